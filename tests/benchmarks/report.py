"""What a benchmark says: a peer, ours, their ratio, and under which conditions."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

LIBRARIES = (
    "streamnorm",
    "numpy",
    "numba",
    "uvicorn",
    "uvloop",
    "httptools",
    "websockets",
    "fastapi",
    "pydantic",
    "orjson",
    "river",
    "pandas",
    "scipy",
    "scikit-learn",
    "ezmsg-sigproc",
)
HEAD = ("what", "peer", "its figure", "ours", "ratio", "goal", "conditions")


class Row(NamedTuple):
    """One comparison, of figures in `unit`, one a turn; a goal is in words. What was not measured has no figures."""

    what: str
    peer: str
    theirs: Sequence[float]
    ours: Sequence[float]
    unit: str
    goal: str = ""
    conditions: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the row as text: medians, and in brackets the least and the greatest ratio, or figure, of a turn.

        >>> Row("a", "b", [10.0, 20.0, 40.0], [20.0, 30.0, 20.0], "s").cells()[2:5]
        ('20 s', '20 s', '1.50 (0.50 to 2.00)')
        >>> Row("a", "", [], [20.0, 30.0, 20.0], "s").cells()[2:5]
        ('', '20 s (20 to 30)', '')
        """
        ours = ratio = ""
        if self.ours:
            ours = figure(statistics.median(self.ours), self.unit)
            if self.theirs:
                ratios = [one / other for one, other in zip(self.ours, self.theirs, strict=True)]
                ratio = f"{statistics.median(ratios):.2f}"
                if len(ratios) > 1:
                    ratio += f" ({min(ratios):.2f} to {max(ratios):.2f})"
            elif len(self.ours) > 1:
                ours += f" ({figure(min(self.ours))} to {figure(max(self.ours))})"
        theirs = figure(statistics.median(self.theirs), self.unit) if self.theirs else ""
        return self.what, self.peer, theirs, ours, ratio, self.goal, self.conditions


def figure(value: float, unit: str = "") -> str:
    """Write a figure with three digits that mean something.

    >>> figure(39012.3, "/s"), figure(0.01234)
    ('39 000 /s', '0.0123')
    """
    text = f"{round(value, 3 - len(str(int(abs(value))))):,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text.replace(',', ' ')} {unit}".rstrip()


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """Keep this process to one core for the time being: what is told of a core is not that of threads on several."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def in_turns(rounds: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Measure several things in turns, so that what else the machine does falls on all of them; a list for each."""
    figures: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for found, measure in zip(figures, measures, strict=True):
            found.append(measure())
    return figures


def table(rows: Sequence[Row]) -> str:
    """Write rows as a table in Markdown."""
    lines = [HEAD, ("---",) * len(HEAD), *(row.cells() for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def show(rows: Sequence[Row]) -> None:
    """Print rows."""
    sys.stdout.write(table(rows) + "\n")
    sys.stdout.flush()


def processor() -> str:
    """Return the make of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def conditions() -> str:
    """Tell the day, the machine and the versions."""
    versions = []
    for library in LIBRARIES:
        try:
            versions.append(f"{library} {importlib.metadata.version(library)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} (UTC) on {os.cpu_count()} cores of {processor()}, "
        f"{platform.system()} {platform.release().partition('-')[0]}, Python {platform.python_version()}; "
        f"{', '.join(versions)}. Load average before: {os.getloadavg()[0]:.1f}.\n"
    )
