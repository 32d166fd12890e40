"""Recordings in chunks of rows, each with the place in the file where it ends: the work can go on from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from streamnorm.backfill.cells import columnar
from streamnorm.backfill.cells.rows import Cells, cut
from streamnorm.backfill.files.containers import opened
from streamnorm.backfill.findings.findings import Findings
from streamnorm.backfill.reading.arrow import arrow_column, pyarrow
from streamnorm.backfill.unreadable import Unreadable
from streamnorm.formats import lenient_json

Row = dict[str, Any]
#: A chunk is so many bytes: some 100 000 rows, which take a hundred megabytes as cells.
CHUNK = 2**22
#: Of a service, a chunk of one stream is one request, which the SDK keeps below 8 MiB of JSON.
REMOTE_CHUNK = 2**18
#: Arrow takes as long to import as a megabyte takes without it.
COLUMNAR = 2**20
#: rows of Parquet a chunk
BATCH, REMOTE_BATCH = 50_000, 5_000


class Place(NamedTuple):
    """A place between two rows: bytes before it (of Parquet: rows), rows before it, and the number of the next line."""

    at: int = 0
    rows: int = 0
    line: int = 1


class Chunk(Protocol):
    """Some rows by columns."""

    end: Place
    raw: bytes

    def __len__(self) -> int: ...
    def column(self, name: str) -> Sequence[Any]: ...  # noqa: D102
    def line(self, row: int) -> int: ...  # noqa: D102


@dataclass
class CsvChunk:
    """Rows of a CSV, as cells."""

    cells: Cells
    index: dict[str, int]
    end: Place
    raw: bytes

    def __len__(self) -> int:
        return len(self.cells)

    def column(self, name: str) -> Sequence[Any]:
        """Return a column's cells, as they are carried."""
        return self.cells.columns[self.index[name]]

    def line(self, row: int) -> int:
        """Return a row's number in the file."""
        return self.cells.lines[row]


@dataclass
class ColumnarChunk:
    """Rows of a CSV that are all alike, as Arrow's columns."""

    rows: columnar.Rows
    index: dict[str, int]
    end: Place
    raw: bytes

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> Sequence[Any]:
        """Return a column's cells, as they are carried."""
        return columnar.Texts(self.rows.columns[self.index[name]])

    def line(self, row: int) -> int:
        """Return a row's number in the file."""
        return self.rows.first + row


@dataclass
class RowsChunk:
    """Rows of NDJSON."""

    rows: list[Row]
    numbers: list[int]
    end: Place
    raw: bytes

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> Sequence[Any]:
        """Return a column's values; what is nested is shown as text."""
        return [repr(v) if isinstance(v := row.get(name), (dict, list)) else v for row in self.rows]

    def line(self, row: int) -> int:
        """Return a row's number in the file."""
        return self.numbers[row]


@dataclass
class ArrowChunk:
    """Rows of Parquet."""

    batch: Any
    end: Place
    raw: bytes = b""

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def column(self, name: str) -> Sequence[Any]:
        """Return a column: numbers, times in seconds, or values one by one."""
        found: Sequence[Any] = arrow_column(self.batch.column(self.batch.schema.get_field_index(name)))
        return found

    def line(self, row: int) -> int:
        """Return a row's number, from 1."""
        return self.end.rows - len(self) + row + 1


def begin(findings: Findings) -> Place:
    """Return the place of the first row."""
    encoding = findings.encoding
    size = len(encoding.mark) + len(findings.head.encode(encoding.carrier))
    return Place(size, 0, findings.table.data + 1) if findings.form == "csv" else Place()


def chunks(path: Path, findings: Findings, start: Place, *, until: int = 0, remote: bool = False) -> Iterator[Chunk]:
    """Read the rows of the file at `path` from `start` on, as `findings` tell; the first chunk ends at `until`.

    Chunks are smaller where the streams are `remote`.
    """
    if findings.form == "parquet":
        yield from _parquet(path, start, until, REMOTE_BATCH if remote else BATCH)
        return
    index, table = {name: place for place, name in enumerate(findings.names)}, findings.table
    at_once = findings.form == "csv" and findings.encoding.unit == 1 and path.stat().st_size >= COLUMNAR
    at_once = at_once and columnar.available(table.dialect)
    for raw, text in _blocks(path, findings, start.at, until, REMOTE_CHUNK if remote else CHUNK):
        chunk: Chunk
        rows_ = columnar.cut(raw, table.dialect, table.width, start.line, findings.header) if at_once else None
        if rows_ is not None:
            end = Place(start.at + len(raw), start.rows + len(rows_), start.line + len(rows_))
            chunk = ColumnarChunk(rows_, index, end, raw)
        elif findings.form == "csv":
            cells = cut(text, table.dialect, table.width, start.line, findings.header)
            end = Place(start.at + len(raw), start.rows + len(cells), start.line + _lines(text))
            chunk = CsvChunk(cells, index, end, raw)
        else:
            rows, numbers = parsed_lines(raw, start.line)
            end = Place(start.at + len(raw), start.rows + len(rows), start.line + raw.count(b"\n"))
            chunk = RowsChunk(rows, numbers, end, raw)
        start = end
        yield chunk


def parsed_lines(raw: bytes, line: int) -> tuple[list[Row], list[int]]:
    """Read lines of JSON, and their numbers.

    Raises:
        Unreadable: naming the line.

    """
    numbered = [
        (n, text) for n, text in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), line) if text.strip()
    ]
    try:
        rows = orjson.loads(b"[" + b",".join(text for _, text in numbered) + b"]")
    except orjson.JSONDecodeError:
        rows = None
    if rows is None or len(rows) != len(numbered) or not all(isinstance(row, dict) for row in rows):
        rows = [_object(n, text) for n, text in numbered]
    return [_flat(row) for row in rows], [n for n, _ in numbered]


def _lines(text: str) -> int:
    return text.count("\n") or text.count("\r")


def _flat(row: Row) -> Row:
    """Lift the values of a reading as the service takes it."""
    nested = row.pop("values", None) if isinstance(row.get("values"), dict) else None
    return row | nested if nested else row


def _object(number: int, text: bytes) -> Row:
    try:
        row = lenient_json.loads(text)
    except orjson.JSONDecodeError as error:
        message = f"line {number} is not JSON: {error}"
        raise Unreadable(message) from None
    if not isinstance(row, dict):
        message = f"line {number} must be an object"
        raise Unreadable(message)
    return row


def _blocks(path: Path, findings: Findings, start: int, until: int, size: int) -> Iterator[tuple[bytes, str]]:
    """Read whole rows, block by block, from a byte on; the first block ends at `until` if that is not 0."""
    encoding, quote = findings.encoding, findings.table.dialect.quote if findings.form == "csv" else ""
    old = findings.form == "csv" and "\n" not in findings.head and "\r" in findings.head
    end = ("\r" if old else "\n").encode(encoding.carrier)
    rest = b""
    with opened(path) as file:
        file.seek(start)
        if until > start:
            raw = file.read(until - start)
            yield raw, raw.decode(encoding.carrier, "ignore")
        while True:
            data = file.read(size)
            rest += data
            if not data:
                if rest:
                    yield rest, rest.decode(encoding.carrier, "ignore")
                return
            place = _last(rest, end, encoding.unit)
            if place <= 0:
                continue
            text = rest[:place].decode(encoding.carrier, "ignore")
            if quote and text.count(quote) % 2:
                text = _whole(text, quote)
                place = len(text.encode(encoding.carrier))
                if not place:
                    continue
            yield rest[:place], text
            rest = rest[place:]


def _last(data: bytes, end: bytes, unit: int) -> int:
    """Return the place behind the last line end."""
    place = data.rfind(end)
    while place >= 0 and place % unit:
        place = data.rfind(end, 0, place + len(end) - 1)
    return place + len(end)


def _whole(text: str, quote: str) -> str:
    """Return the rows of a text that are whole: their quotes are closed."""
    odd, place = True, len(text)
    while odd and place > 0:
        before = text.rfind("\n", 0, place - 1) + 1
        odd ^= text.count(quote, before, place) % 2 == 1
        place = before
    return text[:place]


def _parquet(path: Path, start: Place, until: int, size: int) -> Iterator[Chunk]:
    file = pyarrow(".parquet").ParquetFile(path)
    for batch in _aligned(file.iter_batches(size), start.at, until):
        place = Place(start.at + batch.num_rows, start.rows + batch.num_rows)
        yield ArrowChunk(batch, place)
        start = place


def _aligned(batches: Iterator[Any], start: int, until: int) -> Iterator[Any]:
    """Leave out the rows before a place; a batch is cut where the first one must end."""
    seen = 0
    for batch in batches:
        first, seen = seen, seen + batch.num_rows
        if seen <= start:
            continue
        part = batch.slice(max(0, start - first))
        if start < until < seen:
            count = until - max(start, first)
            yield part.slice(0, count)
            part = part.slice(count)
        yield part
