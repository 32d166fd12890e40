"""The readings in a chunk of rows, by streams: wide tables (a row a reading) and long ones (a row a value)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from streamnorm.backfill.cells.numbers import Reader
from streamnorm.backfill.cells.rows import unquoted
from streamnorm.backfill.files.containers import plain_name
from streamnorm.backfill.findings.findings import Findings
from streamnorm.backfill.findings.time_columns import cells_of_time
from streamnorm.backfill.reading.sources import Chunk, CsvChunk
from streamnorm.backfill.times.clock import Clock
from streamnorm.backfill.unreadable import Unreadable
from streamnorm.engine.reading import Array
from streamnorm.engine.streams.clock import EARLIEST, LATEST
from streamnorm.formats.ids import SEPARATORS, escaped, shortened

Places = np.ndarray[Any, np.dtype[np.intp]]
_FIELD = re.compile(r"\{([^{}]+)\}")
#: one that is not in the name of a column
_SLASH = re.compile(r"/(?![^{}]*\})")


class Bad(NamedTuple):
    """A cell that cannot be understood."""

    line: int
    column: str
    text: str


class Part(NamedTuple):
    """One stream's readings in a chunk; `where[r, f]` is the row that a value came from, −1 for none."""

    stream: str
    names: tuple[str, ...]
    values: Array
    times: Array | None
    where: Places


@dataclass
class Taken:
    """What a chunk holds: its parts, its bad cells, and the rows that are to be written (None: all)."""

    parts: list[Part]
    bad: list[Bad]
    keep: list[bool] | None = None


@dataclass
class Memory:
    """What is known of the rows before a chunk."""

    time: float = math.nan
    last: dict[str, float] = field(default_factory=dict)
    unordered: int = 0
    doubled: int = 0
    clock: tuple[float, bool] = (-math.inf, False)


@dataclass
class Sorter:
    """Takes chunks apart; `skip` leaves rows with bad cells out."""

    findings: Findings
    template: str
    skip: bool = False
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self._readers = {name: Reader(self.findings.numerals.of(name)) for name in self.findings.roles.numbered}
        self._clock = Clock(self.findings.roles.time_form)

    def taken(self, chunk: Chunk) -> Taken:
        """Take a chunk apart.

        Raises:
            Unreadable: a row does not say which stream or feature it is of.

        """
        roles = self.findings.roles
        bad: dict[int, list[Bad]] = {}
        columns: dict[str, Array] = {}
        for name in roles.numbered:
            cells = chunk.column(name)
            columns[name], places = self._readers[name].column(cells)
            for place in places:
                bad.setdefault(place, []).append(Bad(chunk.line(place), name, self._shown(cells[place])))
        self._odd(chunk, columns, bad)
        times = self._times(chunk, bad)
        rows = np.arange(len(chunk))
        keep = None
        if self.skip and bad:
            rows = np.setdiff1d(rows, list(bad))
            keep = np.isin(np.arange(len(chunk)), rows).tolist()
        streams = self._streams(chunk, rows)
        parts = [
            self._long(chunk, stream, columns, times, places)
            if roles.feature_column
            else self._wide(stream, columns, times, places)
            for stream, places in streams.items()
            if len(places)
        ]
        return Taken(
            [part for part in parts if part.values.size], [each for place in sorted(bad) for each in bad[place]], keep
        )

    def _compared(self, part: Part) -> None:
        """Count readings that are earlier than the one before them in their stream, or of its time."""
        if part.times is not None:
            steps = np.diff(part.times, prepend=self.memory.last.get(part.stream, math.nan))
            self.memory.unordered += int((steps < 0).sum())
            self.memory.doubled += int((steps == 0).sum())
            self.memory.last[part.stream] = float(part.times[-1])

    def put(self, part: Part, ys: Array, results: dict[str, Array]) -> None:
        """Put the normalized values `ys` of a `part` where they came from: in the columns of `results`."""
        roles = self.findings.roles
        for place, name in enumerate(part.names):
            column = roles.value_column if roles.feature_column else name
            rows = part.where[:, place]
            known = rows >= 0
            results[column][rows[known]] = ys[known, place]

    def _shown(self, cell: Any) -> str:
        return unquoted(self.findings.encoding.decoded(cell)) if isinstance(cell, str) else str(cell)

    def _odd(self, chunk: Chunk, columns: dict[str, Array], bad: dict[int, list[Bad]]) -> None:
        """Take no value from rows whose cells may have moved: they have more or less than the table."""
        if not isinstance(chunk, CsvChunk):
            return
        table = self.findings.table
        for row, count in chunk.cells.odd.items():
            if count < table.width and table.dialect.ragged:
                continue
            for values in columns.values():
                values[row] = math.nan
            bad[row] = [Bad(chunk.line(row), "", f"{count} cells, not {table.width}")]

    def _times(self, chunk: Chunk, bad: dict[int, list[Bad]]) -> Array | None:
        """Read the rows' times; a row without one has that of the row before it."""
        roles = self.findings.roles
        if not roles.time or not len(chunk):
            return None
        cells = cells_of_time(roles, {name: chunk.column(name) for name in roles.time})
        self._clock.state = self.memory.clock
        found = self._clock.column(cells)
        self.memory.clock = self._clock.state
        unknown = ~((found >= EARLIEST) & (found <= LATEST))
        for place in np.flatnonzero(unknown).tolist():
            bad.setdefault(place, []).append(Bad(chunk.line(place), " ".join(roles.time), self._shown(cells[place])))
        if unknown.all() and math.isnan(self.memory.time):
            column = " and ".join(roles.time)
            shown = self._shown(cells[0])
            message = f"the times of {column!r} cannot be read, such as {shown!r}: --time-format or --time-column"
            raise Unreadable(message)
        if unknown.any():
            first = self.memory.time if not math.isnan(self.memory.time) else float(found[~unknown][0])
            last = np.maximum.accumulate(np.where(unknown, -1, np.arange(len(found))))
            found = np.where(last >= 0, found[last], first)
        self.memory.time = float(found[-1])
        return found

    def _streams(self, chunk: Chunk, rows: Places) -> dict[str, Places]:
        """Sort rows by their streams."""
        fields = _FIELD.findall(self.template)
        if not fields:
            return {self.template: rows}
        columns = [list(chunk.column(name)) for name in fields]
        separators = "".join(letter for letter in SEPARATORS if letter in _FIELD.sub("", self.template))
        known: dict[tuple[Any, ...], list[int]] = {}
        for row in rows.tolist():
            known.setdefault(tuple(column[row] for column in columns), []).append(row)
        found: dict[str, list[int]] = {}
        for key, places in known.items():
            texts = [self._shown(cell) if isinstance(cell, str) else _named(cell) for cell in key]
            if not all(texts):
                message = f"line {chunk.line(places[0])}: the column {fields[texts.index('')]!r} is empty"
                raise Unreadable(message)
            name = self.template
            for each, text in zip(fields, texts, strict=True):
                name = name.replace(f"{{{each}}}", escaped(text, separators))
            found.setdefault(shortened(name), []).extend(places)
        return {stream: np.array(sorted(places)) for stream, places in found.items()}

    def _wide(self, stream: str, columns: dict[str, Array], times: Array | None, rows: Places) -> Part:
        names = self.findings.roles.features
        whole = len(rows) == len(columns[names[0]])
        values = np.column_stack([columns[name] if whole else columns[name][rows] for name in names])
        when = None if times is None else times if whole else times[rows]
        return Part(stream, names, values, when, np.broadcast_to(rows[:, None], (len(rows), len(names))))

    def _long(self, chunk: Chunk, stream: str, columns: dict[str, Array], times: Array | None, rows: Places) -> Part:
        """Make readings of single values: those of one time that follow each other are one reading."""
        roles = self.findings.roles
        labels, values = list(chunk.column(roles.feature_column)), columns[roles.value_column]
        readings: list[dict[str, int]] = []
        last = math.nan
        for row in rows.tolist():
            label = labels[row]
            name = self._shown(label) if isinstance(label, str) else _named(label)
            if not name:
                message = f"line {chunk.line(row)}: the column {roles.feature_column!r} is empty"
                raise Unreadable(message)
            now = math.nan if times is None else float(times[row])
            if readings and (times is None or now == last) and name not in readings[-1]:
                readings[-1][name] = row
            else:
                readings.append({name: row})
            last = now
        names = tuple(dict.fromkeys(name for reading in readings for name in reading))
        where = np.array([[reading.get(name, -1) for name in names] for reading in readings], dtype=np.intp).reshape(
            -1, len(names)
        )
        table = np.where(where >= 0, values[where], math.nan)
        when = None if times is None else times[[next(iter(reading.values())) for reading in readings]]
        return Part(stream, names, table, when, where)


def stream_template(asked: str, path: Path) -> str:
    """Return how the streams of a file are named: as was asked for, else by the file's name but for its last ending.

    `{file}` and `{folder}` are the file's own, other names in braces are columns.

    >>> stream_template("", Path("a/客厅 2.csv.gz")), stream_template("{folder}-{Device}", Path("/a/x.csv"))
    ('客厅 2', 'a-{Device}')
    """
    name = plain_name(path)
    stem = name.stem if name.suffix else name.name
    template = _SLASH.sub("~1", asked or "{file}").replace("{file}", escaped(stem))
    template = template.replace("{folder}", escaped(path.resolve().parent.name))
    return template if _FIELD.search(template) else shortened(template)


def _named(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
