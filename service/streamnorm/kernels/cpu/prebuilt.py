"""Loads the libraries that a build made of the kernels, by what the processor has; `emit` makes them.

A library needs nothing but `exp`, which Python has loaded with the C library. No compiler is loaded.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

from streamnorm.kernels.cpu.abi import ALL_METHODS, names_for, signature, symbol
from streamnorm.kernels.cpu.loops import Loops
from streamnorm.kernels.cpu.targets import fitting_targets, path_for
from streamnorm.kernels.method import Method

KINDS: dict[str, Any] = {"i": ctypes.c_int64, "b": ctypes.c_char_p, "d": ctypes.c_double, "?": ctypes.c_bool, "-": None}


@functools.cache
def fitting_library() -> Path | None:
    """Return the best library for this machine; None where there is none."""
    for path in map(path_for, fitting_targets()):
        if path.exists():
            try:
                ctypes.CDLL(str(path))
            except OSError:  # a folder that nothing may be run from
                continue
            return path
    return None


def load(method: Method, path: Path) -> Loops:
    """Return a method's loops of a library."""
    blocks, readings = ctypes.CDLL(str(path)), ctypes.PyDLL(str(path))
    found: dict[str, Any] = {}
    for name in names_for(method.counts):
        letters = signature(name)
        # Readings take less time than to release the GIL and have it back from a thread that wants it, too.
        library = readings if name in {"row", "readings"} else blocks
        function = getattr(library, symbol(None if name in ALL_METHODS else method.name, name))
        function.argtypes, function.restype = [KINDS[letter] for letter in letters[:-1]], KINDS[letters[-1]]
        found[name] = function
    return Loops(found)
