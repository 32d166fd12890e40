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


class Ratio(NamedTuple):
    """Ours over a peer's in turns: the median, the least and the greatest."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        """Write the median, and in brackets the range.

        >>> str(Ratio(1.0, 0.5, 2.0))
        '1.00 (0.50 to 2.00)'
        """
        return f"{self.median:.2f} ({self.least:.2f} to {self.greatest:.2f})"


class Row(NamedTuple):
    """One comparison. The figures are in `unit`; a goal is in words. What could not be measured has no figure."""

    what: str
    peer: str
    theirs: float | None
    ours: float | None
    unit: str
    goal: str = ""
    conditions: str = ""
    #: ours over theirs, where that is not the quotient of the figures
    ratio: Ratio | None = None

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        ratio = "" if self.ratio is None else str(self.ratio)
        if self.ratio is None and self.theirs and self.ours is not None:
            ratio = f"{self.ours / self.theirs:.2f}"
        return (
            self.what,
            self.peer,
            "" if self.theirs is None else figure(self.theirs, self.unit),
            "" if self.ours is None else figure(self.ours, self.unit),
            ratio,
            self.goal,
            self.conditions,
        )


def figure(value: float, unit: str) -> str:
    """Write a figure with three digits that mean something.

    >>> figure(39012.3, "/s"), figure(0.01234, "s")
    ('39 000 /s', '0.0123 s')
    """
    text = f"{round(value, 3 - len(str(int(abs(value))))):,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text.replace(',', ' ')} {unit}"


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


def against(theirs: Sequence[float], ours: Sequence[float]) -> tuple[float, float, Ratio]:
    """Return the medians of two measured in turns, and their ratios."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    ratio = Ratio(statistics.median(ratios), min(ratios), max(ratios))
    return statistics.median(theirs), statistics.median(ours), ratio


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
