"""The progress bar of a backfill, over all recordings."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text


class Rate(ProgressColumn):
    """Rows, and rows a second."""

    def render(self, task: Task) -> Text:
        """Show the rows and the rate since the start."""
        rows = task.fields["rows"]
        return Text(f"{rows:,} rows, {rows / task.elapsed:,.0f}/s" if task.elapsed and rows else "")


class Bar:
    """A bar on the `console` from now until it is stopped; `total` is the recordings' size in bytes."""

    def __init__(self, console: Console, total: int) -> None:
        name, left = TextColumn("{task.description}", markup=False), TextColumn("left", markup=False)
        columns = (name, BarColumn(), TaskProgressColumn(), Rate(), left, TimeRemainingColumn())
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task("", total=total, rows=0)
        self._progress.start()

    def show(self, name: str, completed: float, rows: int) -> None:
        """Show the `name` of the recording that is read, the bytes that are `completed`, and the `rows`."""
        self._progress.update(self._task, description=name, completed=completed, rows=rows)

    def stop(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()
