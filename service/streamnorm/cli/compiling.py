"""Says that a command compiles: its first run takes longer than others, and seems to hang otherwise."""

from __future__ import annotations

import importlib.util
import sys


def announce_compiling(command: str) -> None:
    """Print a line on standard error as soon as `command` compiles something, which only its first runs do."""
    if importlib.util.find_spec("numba") is None:
        return
    from streamnorm.kernels.cpu import numba_loops  # noqa: PLC0415 - slow to import; only where it will be used

    text = f"streamnorm {command}: compiling for this machine, which the next run need not do"
    numba_loops.on_compiling(lambda: print(text, file=sys.stderr, flush=True))  # noqa: T201
