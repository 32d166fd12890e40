"""The CPU time of engines, whose processes and threads come and go."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def spent(process: str = "self") -> float:
    """Return the CPU time of all that a process started, in seconds, also of what has ended."""
    total = 0.0
    for task in Path(f"/proc/{process}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in (task / "children").read_text().split():
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
                total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + spent(child)
    return total
