"""What is shown of the work: what was found, how far it is, what came of it. No text of a recording is markup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rich.console import Console

from streamnorm.backfill.work.conduct import Looked
from streamnorm.backfill.work.run import Done

if TYPE_CHECKING:
    from streamnorm.backfill.bar import Bar

MOST_NAMES = 12


class Screen:
    """Shows the work on standard error, with a bar over all recordings as soon as one moves on."""

    def __init__(self, console: Console, files: Sequence[Path]) -> None:
        self._console = console
        self._sizes = [path.stat().st_size if path.is_file() else 1 for path in files]
        self._files = files
        self._before = 0
        self._rows = self._rows_before = 0
        self._at = -1
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def next(self) -> None:
        """Go on to the next recording."""
        self._before = sum(self._sizes[: self._at + 1])
        self._rows_before = self._rows
        self._at += 1
        if self._bar is not None:
            self._bar.show(self._files[self._at].name, self._before, self._rows)

    def progress(self, rows: int, part: float) -> None:
        """Show how far the recording is."""
        if self._bar is None:
            from streamnorm.backfill.bar import Bar  # noqa: PLC0415 - what was found is told before it is loaded

            self._bar = Bar(self._console, max(1, sum(self._sizes)))
        self._rows = self._rows_before + rows
        self._bar.show(self._files[self._at].name, self._before + part * self._sizes[self._at], self._rows)

    def note(self, text: str) -> None:
        """Say something of the recording."""
        self.say(f"{self._files[self._at].name}: {text}")

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True, emoji=False)

    def found(self, looked: Looked) -> None:
        """Tell what was found."""
        for line in described(looked):
            self.say(line)

    def summed_up(self, done: Sequence[tuple[Path, Done]], where: str) -> None:
        """Show a table of what came of it."""
        from rich.table import Table  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415 - as above

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("file", "rows", "features", "kinds", "bad cells", "stream"):
            table.add_column(name, justify="right" if name in {"rows", "bad cells"} else "left", overflow="fold")
        for path, each in done:
            streams = shortened(each.streams) if len(each.streams) < 4 else f"{len(each.streams):,} streams"  # noqa: PLR2004
            kinds = ", ".join(dict.fromkeys(each.kinds.values()))
            cells = (path.name, f"{each.rows:,}", shortened(each.features), kinds, f"{each.bad:,}", streams)
            table.add_row(*map(Text, cells))
        self._console.print(table)
        rows, fed = sum(each.rows for _, each in done), {name for _, each in done for name in each.streams}
        earlier = sum(each.resumed_at for _, each in done)
        again = f" (the first {earlier:,} of them in an earlier run)" if earlier else ""
        self.say(f"{counted(rows, 'row')}{again} in {counted(len(fed), 'stream')}, warmed up in {where}")

    def troubles(self, path: Path, done: Done) -> None:
        """List bad cells, and tell of times that do not rise."""
        for bad in done.shown:
            column = f", column {bad.column}" if bad.column else ""
            self.say(f"{path}, line {bad.line}{column}: {bad.text!r:.60} is taken as missing")
        if done.bad > len(done.shown):
            self.say(f"{path}: {done.bad - len(done.shown):,} more cells are bad, {done.bad:,} in all")
        if done.unordered:
            self.say(f"{path}: {done.unordered:,} rows are earlier than the row before them")
        if done.doubled and not done.unordered:
            self.say(f"{path}: {done.doubled:,} rows have the time of the row before them")


def described(looked: Looked) -> list[str]:
    """Say what was found in a recording, in lines."""
    findings, roles = looked.findings, looked.findings.roles
    lines = [f"{looked.file}: {', '.join(findings.described())}"]
    if roles.time:
        zone = (
            " (no zone is named; --time-zone says another)"
            if roles.time_form.naive and roles.time_form.zone == "UTC" and not findings.preset
            else ""
        )
        lines.append(f"  time: {' + '.join(roles.time)}, {roles.time_form}{zone}")
    else:
        lines.append("  time: none found; --time-column says which")
    if roles.feature_column:
        lines.append(f"  features: named by {roles.feature_column}, values in {roles.value_column}")
    else:
        lines.append(f"  features: {shortened(roles.features, 40)}")
    left = [
        f"{name} ({why})" for name, why in roles.kept.items() if name not in roles.time and not why.startswith("names")
    ]
    if left:
        lines.append(f"  left as they are: {shortened(left, 40)}")
    lines.append(f"  stream: {looked.template}")
    return lines + [f"  note: {note}" for note in (*findings.notes, *roles.notes)]


def dry(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show `rows` on the `console`, raw and normalized, below the `names` of the columns."""
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def counted(count: int, what: str) -> str:
    """Return a count with its noun.

    >>> counted(1, "stream"), counted(1_200, "row")
    ('1 stream', '1,200 rows')
    """
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def shortened(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """Return names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
