"""Recorded files: CSV, NDJSON and Parquet, read and written row by row; a row is a dict."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Generator, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, TextIO, cast

import orjson

Form = Literal["csv", "ndjson", "parquet"]
Row = dict[str, Any]
FORMS: dict[str, Form] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}


class Unreadable(ValueError):
    """A file is not of the form it claims to be."""


class Chunk(NamedTuple):
    """Some rows, the number of the first one (from 0), and how much of the file is read after them (0 to 1)."""

    first: int
    rows: list[Row]
    part: float


def form_of(path: Path, form: str = "") -> Form:
    """Tell a file's form by its name, unless it is said."""
    found = form or FORMS.get(path.suffix.lower(), "")
    if found not in FORMS.values():
        message = f"{path} does not tell its form by its ending: name it, csv, ndjson or parquet"
        raise Unreadable(message)
    return cast("Form", found)


def chunks(path: Path, form: Form, size: int) -> Generator[Chunk, None, None]:
    """Read a file in chunks of so many rows.

    Raises:
        Unreadable: naming the line.

    """
    if form == "parquet":
        yield from _parquet(path, size)
        return
    with path.open("rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        total = max(1, path.stat().st_size)
        rows = _csv(text, path) if form == "csv" else _ndjson(raw)
        first = 0
        while chunk := list(itertools.islice(rows, size)):
            yield Chunk(first, chunk, min(1.0, raw.tell() / total))
            first += len(chunk)


def encoded(rows: list[Row], form: Form, columns: list[str], *, head: bool) -> bytes:
    """Write rows as CSV, with its head if wanted, or as NDJSON (which a file of Parquet is made of at the end)."""
    if form != "csv":
        return b"".join(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n" for row in rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    if head:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def to_parquet(part: Path, out: Path, source: tuple[Path, Form], features: set[str], size: int) -> None:
    """Build the file of Parquet of its rows as NDJSON; columns keep the types that they have in a source of Parquet."""
    arrow, parquet = pyarrow(), pyarrow(".parquet")
    known = {field.name: field.type for field in parquet.read_schema(source[0])} if source[1] == "parquet" else {}
    writer = None
    for chunk in chunks(part, "ndjson", size):
        if writer is None:
            inferred = arrow.Table.from_pylist(chunk.rows).schema
            schema = arrow.schema([(field.name, _type(field, known, features)) for field in inferred])
            writer = parquet.ParquetWriter(out, schema)
        writer.write_table(arrow.Table.from_pylist([_typed(row, schema) for row in chunk.rows], schema))
    if writer is not None:
        writer.close()


def pyarrow(module: str = "") -> Any:
    """Return the library that knows Parquet, which is an extra."""
    import importlib  # noqa: PLC0415

    try:
        return importlib.import_module(f"pyarrow{module}")
    except ModuleNotFoundError:
        message = "Parquet needs pyarrow: pip install 'streamnorm[parquet]'"
        raise Unreadable(message) from None


def _csv(text: TextIO, path: Path) -> Iterator[Row]:
    reader = csv.reader(text, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    names = next(reader, None)
    if not names or len(set(names)) != len(names):
        message = f"{path}: the first line must name the columns, each once"
        raise Unreadable(message)
    for cells in reader:
        if len(cells) != len(names):
            if not cells:
                continue
            message = f"{path}: line {reader.line_num} has {len(cells)} cells, the first line {len(names)}"
            raise Unreadable(message)
        yield dict(zip(names, cells, strict=True))


def _ndjson(raw: BinaryIO) -> Iterator[Row]:
    for number, line in enumerate(raw, 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            message = f"line {number} is not JSON: {error}"
            raise Unreadable(message) from None
        if not isinstance(row, dict):
            message = f"line {number} must be an object"
            raise Unreadable(message)
        nested = row.pop("values", None) if isinstance(row.get("values"), dict) else None
        yield row | nested if nested else row


def _parquet(path: Path, size: int) -> Iterator[Chunk]:
    file = pyarrow(".parquet").ParquetFile(path)
    total = max(1, file.metadata.num_rows)
    first = 0
    for batch in file.iter_batches(size):
        yield Chunk(first, batch.to_pylist(), min(1.0, (first + len(batch)) / total))
        first += len(batch)


def _type(field: Any, known: dict[str, Any], features: set[str]) -> Any:
    arrow = pyarrow()
    if field.name in features:
        return arrow.float64()
    return known.get(field.name, arrow.string() if arrow.types.is_null(field.type) else field.type)


def _typed(row: Row, schema: Any) -> Row:
    types = pyarrow().types
    found = {}
    for field in schema:
        value = row.get(field.name)
        if isinstance(value, str) and types.is_timestamp(field.type):
            value = datetime.fromisoformat(value)
        elif isinstance(value, str) and types.is_date(field.type):
            value = date.fromisoformat(value)
        found[field.name] = value
    return found
