"""The demo's output: a table of raw and normalized readings, live on a terminal, otherwise at intervals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from streamnorm_client import Normalized, Profile

FRAMES_PER_SECOND = 10
SECONDS_BETWEEN_PLAIN_TABLES = 5.0

Tables = Mapping[str, Table]
Show = Callable[[Tables], None]


def table(answer: Normalized, raw: Mapping[str, float], units: Mapping[str, str], profile: Profile) -> Table:
    """Build the table of an `answer`: `raw` values in `units`, normalized ones, and each sensor's kind (`profile`)."""
    state = "" if answer.ready else ", still warming up"
    title = f"{answer.stream}: {answer.count} readings{state}"
    grid = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("sensor", min_width=11)
    for name, width in (("raw", 13), ("normalized", 10)):
        grid.add_column(name, justify="right", min_width=width)
    for name in ("mean", "std"):
        grid.add_column(name, justify="right", min_width=8, no_wrap=True)
    grid.add_column("kind", no_wrap=True)
    for name, x in raw.items():
        y = answer.values[name]
        statistics = (f"{answer.mean[name]:.4g}", f"{answer.std[name]:.3g}")
        grid.add_row(name, f"{x:.4g} {units[name]}", f"{y:+.3f}", *statistics, profile.features[name].kind)
    return grid


@contextmanager
def showing(console: Console) -> Iterator[Show]:
    """Yield a function that shows tables: in place on a terminal, otherwise every few seconds and at the end."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=FRAMES_PER_SECOND) as live:
            yield lambda tables: live.update(Group(*tables.values()))
        return
    latest: dict[str, Table] = {}
    due = time.monotonic() + SECONDS_BETWEEN_PLAIN_TABLES

    def show(tables: Tables) -> None:
        nonlocal due
        latest.update(tables)
        if time.monotonic() >= due:
            due = time.monotonic() + SECONDS_BETWEEN_PLAIN_TABLES
            console.print(*latest.values())

    try:
        yield show
    finally:
        console.print(*latest.values())
