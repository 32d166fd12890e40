"""Says that a command compiles: its first run takes longer than others, and seems to hang otherwise."""

from __future__ import annotations

import sys


def announce_compiling(command: str) -> None:
    """Print a line on standard error as soon as `command` compiles something, which only its first runs do."""
    from streamnorm.kernels import on_compiling  # noqa: PLC0415 - --help needs none of it

    text = f"streamnorm {command}: compiling for this machine, which the next run need not do"
    on_compiling(lambda: print(text, file=sys.stderr, flush=True))  # noqa: T201
