"""Compiles the loops in this process with Numba (the extra `fast`), where no library was built for the processor.

Compiled code is given buffers by address. Handing a NumPy array over costs more than the arithmetic of a reading; with
every call inlined a loop is 4 times as fast, and with columns side by side 10 to 17 times (see
`streamnorm.kernels.cpu.pointers`).
"""

from __future__ import annotations

import functools
import hashlib
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import config, event
from numba.core import types as numba_types

from streamnorm.kernels.cpu.abi import signature
from streamnorm.kernels.cpu.entries import entries
from streamnorm.kernels.cpu.loops import Loops
from streamnorm.kernels.method import Method

numba_config: Any = config
types: Any = numba_types  # their functions have no annotations
listeners: Any = event
KINDS = {"i": types.int64, "b": types.int64, "d": types.float64, "?": types.boolean, "-": types.void}


def arguments(name: str) -> tuple[Any, ...]:
    """Return Numba's types of the arguments of an entry."""
    return tuple(KINDS[letter] for letter in signature(name)[:-1])


def returned(name: str) -> Any:
    """Return Numba's type of what an entry returns."""
    return KINDS[signature(name)[-1]]


class NumbaLoops(Loops):
    """Loops that are compiled, each at its first call."""

    def __init__(self, entries: Mapping[str, Any]) -> None:
        super().__init__(entries)
        entry = entries["row"]

        def row(call: bytes) -> bool:
            held = array("b", call)
            ready: bool = entry(held.buffer_info()[0])
            return ready

        self.row = row

    def compile(self) -> None:
        """Compile everything now, or load it from the cache."""
        for name, entry in self.entries.items():
            entry.compile(arguments(name))

    @property
    def signatures(self) -> int:
        """How many machine codes there are: it stays, once all is compiled."""
        return sum(len(entry.signatures) for entry in self.entries.values())


@functools.cache
def compiled(method: Method) -> NumbaLoops:
    """Return a method's loops, to be compiled."""
    return NumbaLoops(_shared() | entries(method, lambda _: _entry, f"{method.name}-{sources()}"))


@functools.cache
def _shared() -> dict[str, Any]:
    return entries(None, lambda _: _entry, f"all-{sources()}")


class _Compiling(event.Listener):
    """Calls a function at the first compilation; what is loaded from the cache is not compiled."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell: Callable[[], None] | None = tell

    def on_start(self, _: Any) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell()

    def on_end(self, _: Any) -> None:
        """Do nothing."""


def on_compiling(tell: Callable[[], None]) -> None:
    """Call `tell` once, when something begins to be compiled."""
    listeners.register("numba:compile", _Compiling(tell))


def use_cache_dir(folder: Path) -> None:
    """Keep what is compiled from now on in a folder, instead of where Numba would."""
    numba_config.CACHE_DIR = str(folder)


@functools.cache
def sources() -> str:
    """Return a digest of the kernels' source.

    Numba's cache looks at the file of a function, not at what it calls. Of that file it looks at place and time: what
    another installation has kept, or this one before it was installed anew, is compiled once more.
    """
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(f"{file} {file.stat().st_mtime_ns}".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _entry(function: Callable[..., Any]) -> Any:
    try:
        return njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # nowhere to keep the cache
        return njit(nogil=True, error_model="numpy")(function)
