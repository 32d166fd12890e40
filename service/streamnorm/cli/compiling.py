"""Says that a command compiles: its first run takes longer than others, and seems to hang otherwise."""

from __future__ import annotations

import sys

from streamnorm.kernels import on_compiling


def announce_compiling(command: str) -> None:
    """Print a line on standard error as soon as `command` compiles something, which only its first runs do."""
    text = f"streamnorm {command}: compiling for this machine, which the next run need not do"
    on_compiling(lambda: print(text, file=sys.stderr, flush=True))  # noqa: T201
