"""Normalized rows, in the form that is asked for; of a CSV all that is not normalized stays byte for byte.

Parts are written one after the other, and become the result at the end (`finish`): rows of CSV or NDJSON as they will
be, and for Parquet either the numbers alone, where the columns come from Parquet again, or NDJSON.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from streamnorm.backfill.cells import columnar
from streamnorm.backfill.cells.rows import joined, row_cells, unquoted
from streamnorm.backfill.findings.findings import Findings, Form
from streamnorm.backfill.reading.arrow import pyarrow
from streamnorm.backfill.reading.sources import (
    BATCH,
    Chunk,
    ColumnarChunk,
    CsvChunk,
    RowsChunk,
    begin,
    chunks,
    parsed_lines,
)
from streamnorm.engine.reading import Array

OPTIONS = orjson.OPT_SERIALIZE_NUMPY


@dataclass(frozen=True)
class Shape:
    """How results are written: the raw columns stay where there is a `suffix`; digits behind the point."""

    form: Form
    suffix: str = ""
    precision: int | None = None


class Writer:
    """Writes the rows of one file."""

    def __init__(self, findings: Findings, shape: Shape) -> None:
        self.findings = findings
        self.shape = shape
        self.splices = findings.form == shape.form == "csv"
        self.numbers_only = findings.form == shape.form == "parquet"
        self.targets = [name + shape.suffix for name in findings.roles.numbered]

    def head(self) -> bytes:
        """Return what comes before the first row."""
        findings, shape = self.findings, self.shape
        if shape.form != "csv":
            return b""
        if not self.splices:
            names = list(findings.names) + (self.targets if shape.suffix else [])
            return _csv([dict(zip(names, names, strict=True))], names)
        text = findings.head
        if shape.suffix and findings.table.header is not None:
            text = self._longer_head(text)
        return findings.encoding.mark + text.encode(findings.encoding.carrier)

    def rows(self, chunk: Chunk, ys: Mapping[str, Array], keep: Sequence[bool] | None = None) -> bytes:
        """Return the rows of a `chunk` with the columns `ys` normalized; `keep` tells which ones are written."""
        digits = self.shape.precision
        if digits is not None:
            ys = {name: np.round(values, digits) + 0.0 for name, values in ys.items()}
        if self.splices and isinstance(chunk, ColumnarChunk):
            return self._joined(chunk, ys, keep)
        if self.splices and isinstance(chunk, CsvChunk):
            return self._spliced(chunk, ys, keep)
        if self.numbers_only:
            table = np.column_stack([ys[name] for name in self.findings.roles.numbered])
            mark = np.ones(len(chunk)) if keep is None else np.array(keep, dtype=np.float64)
            return np.column_stack([mark, table]).tobytes()
        rows = self._dicts(chunk, ys)
        kept = rows if keep is None else [row for row, stays in zip(rows, keep, strict=True) if stays]
        if self.shape.form == "csv":
            return _csv(kept, list(self.findings.names) + (self.targets if self.shape.suffix else []))
        return b"".join(orjson.dumps(row, option=OPTIONS) + b"\n" for row in kept)

    def finish(self, part: Path, out: Path, source: Path) -> None:
        """Put the result `part` in its place, `out`; of Parquet the parts stay, so that this can be done again.

        `source` is the recording, whose metadata a Parquet file keeps.
        """
        if self.shape.form != "parquet":
            part.replace(out)
            return
        made = out.with_name(out.name + ".new")
        if self.numbers_only:
            self._to_parquet_again(part, made, source)
        else:
            _to_parquet(part, made, set(self.targets))
        made.replace(out)

    def _joined(self, chunk: ColumnarChunk, ys: Mapping[str, Array], keep: Sequence[bool] | None) -> bytes:
        """Write rows by Arrow: numbers that lie side by side are one column of texts."""
        dialect, decimal = self.findings.table.dialect, self.findings.numerals.decimal
        named = {place: name for name, place in chunk.index.items()}
        places: list[tuple[int, str]] = [(place, named[place]) for place in range(len(chunk.rows.columns))]
        if self.shape.suffix:
            places += [(-1, name) for name in ys]
        columns: list[Any] = []
        for place, name in places:
            if name not in ys or (place >= 0 and self.shape.suffix):
                columns.append(chunk.rows.columns[place])
            elif self._stays(ys[name], chunk.column(name)):
                columns.append(columnar.listed(self._texts(ys[name], list(chunk.column(name)))))
            elif columns and isinstance(columns[-1], columnar.Numbers):
                columns[-1].columns.append(ys[name])
            else:
                columns.append(columnar.Numbers([ys[name]], dialect.delimiter, decimal))
        return columnar.joined(chunk.rows, columns, dialect, keep)

    def _stays(self, values: Array, cells: Sequence[str]) -> bool:
        """Tell whether a cell that says "no value" in a word stays."""
        return not self.shape.suffix and any(cells[place] for place in np.flatnonzero(np.isnan(values)).tolist())

    def _spliced(self, chunk: CsvChunk, ys: Mapping[str, Array], keep: Sequence[bool] | None) -> bytes:
        columns = list(chunk.cells.columns)
        for name, values in ys.items():
            place = chunk.index[name]
            texts = self._texts(values, columns[place])
            if self.shape.suffix:
                columns.append(texts)
            else:
                columns[place] = texts
        text = joined(chunk.cells, columns, self.findings.table.dialect, list(keep) if keep is not None else None)
        return text.encode(self.findings.encoding.carrier)

    def _texts(self, values: Array, cells: Sequence[str]) -> list[str]:
        """Write numbers as the column's cells are written: decimal sign, quotes; what says "no value" stays."""
        texts = (
            orjson.dumps(np.ascontiguousarray(values), option=OPTIONS).decode()[1:-1].split(",") if len(values) else []
        )
        numerals = self.findings.numerals
        if numerals.decimal != ".":
            texts = "\n".join(texts).replace(".", numerals.decimal).split("\n") if texts else texts
        quote = self.findings.table.dialect.quote
        if quote and any(quote in cell for cell in cells):
            texts = [
                f"{quote}{text}{quote}" if cell.strip()[:1] == quote else text
                for text, cell in zip(texts, cells, strict=True)
            ]
        elif self.findings.table.dialect.delimiter == "blanks":
            texts = [cell[: len(cell) - len(cell.lstrip())] + text for text, cell in zip(texts, cells, strict=True)]
        for place in np.flatnonzero(np.isnan(values)).tolist():
            cell = cells[place]
            stays = numerals.is_missing(cell) and not self.shape.suffix
            blank = "NaN" if self.findings.table.dialect.delimiter == "blanks" else ""
            quoted = quote * 2 if quote and cell.strip()[:1] == quote else blank
            texts[place] = cell if stays else quoted
        return texts

    def _longer_head(self, text: str) -> str:
        """Add the new columns' names to the line of the names, and cells to the lines of units."""
        findings = self.findings
        lines, table = text.split("\n"), findings.table
        dialect, header = table.dialect, table.header or 0
        for n in range(header, table.data):
            line = lines[n]
            if n > header and (not line.strip() or (dialect.comment and line.startswith(dialect.comment))):
                continue
            end = "\r" if line.endswith("\r") else ""
            cells = row_cells(line.rstrip("\r"), dialect)
            for name in findings.roles.numbered:
                place = findings.names.index(name)
                unit = cells[place] if place < len(cells) else ""
                new = (
                    _quoted_like(
                        unit, findings.encoding.carried(name + self.shape.suffix), dialect.quote, dialect.between
                    )
                    if n == header
                    else ""
                )
                cells.append(new)
            lines[n] = (dialect.between or " ").join(cells) + end
        return "\n".join(lines)

    def _dicts(self, chunk: Chunk, ys: Mapping[str, Array]) -> list[dict[str, Any]]:
        """Return rows as dicts, texts decoded, with their normalized values."""
        if isinstance(chunk, RowsChunk):
            rows = [dict(row) for row in chunk.rows]
        else:
            decoded = self.findings.encoding.decoded
            quote = self.findings.table.dialect.quote
            columns = [
                [
                    unquoted(decoded(cell), quote) if isinstance(cell, str) else _plain(cell)
                    for cell in chunk.column(name)
                ]
                for name in self.findings.names
            ]
            rows = [dict(zip(self.findings.names, cells, strict=True)) for cells in zip(*columns, strict=True)]
        for name, values in ys.items():
            target = name + self.shape.suffix
            for row, y in zip(rows, values.tolist(), strict=True):
                if name in row:
                    row[target] = None if y != y else y  # noqa: PLR0124 - NaN
        return rows

    def _to_parquet_again(self, part: Path, made: Path, source: Path) -> None:
        """Write the source again, with its metadata and types, and the numbers in place of those columns."""
        arrow, parquet = pyarrow(), pyarrow(".parquet")
        numbered = self.findings.roles.numbered
        schema = parquet.read_schema(source)
        for name, target in zip(numbered, self.targets, strict=True):
            new = arrow.field(target, arrow.float64(), metadata=schema.field(name).metadata)
            schema = schema.append(new) if self.shape.suffix else schema.set(schema.get_field_index(name), new)
        width = 8 * (1 + len(numbered))
        with part.open("rb") as numbers, parquet.ParquetWriter(made, schema) as writer:
            for chunk in chunks(source, self.findings, begin(self.findings)):
                batch: Any = chunk.batch  # type: ignore[attr-defined]
                table = np.frombuffer(numbers.read(width * len(batch))).reshape(len(batch), -1)
                arrays = {name: batch.column(n) for n, name in enumerate(batch.schema.names)}
                for n, target in enumerate(self.targets, 1):
                    arrays[target] = arrow.array(table[:, n], mask=np.isnan(table[:, n]))
                whole = arrow.Table.from_arrays([arrays[field.name] for field in schema], schema=schema)
                writer.write_table(whole.filter(arrow.array(table[:, 0] == 1.0)))


def _quoted_like(cell: str, text: str, quote: str, delimiter: str) -> str:
    wanted = cell.strip()[:1] == quote != "" or (delimiter and delimiter in text)
    sign = quote or '"'
    return f"{sign}{text.replace(sign, sign * 2)}{sign}" if wanted else text


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN


def _csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _to_parquet(part: Path, out: Path, numbers: set[str]) -> None:
    """Make a file of Parquet of rows of NDJSON; what is normalized is float64."""
    arrow, parquet = pyarrow(), pyarrow(".parquet")
    writer: Any = None
    schema: Any = None
    with part.open("rb") as file:
        while lines := list(zip(range(BATCH), file, strict=False)):
            rows, _ = parsed_lines(b"".join(line for _, line in lines), 1)
            if writer is None:
                inferred = arrow.Table.from_pylist(rows).schema
                schema = arrow.schema([(each.name, _type(arrow, each, numbers)) for each in inferred])
                writer = parquet.ParquetWriter(out, schema)
            writer.write_table(
                arrow.Table.from_pylist(
                    [{each.name: _typed(row.get(each.name), each.type) for each in schema} for row in rows], schema
                )
            )
    if writer is not None:
        writer.close()


def _type(arrow: Any, field: Any, numbers: set[str]) -> Any:
    if field.name in numbers:
        return arrow.float64()
    return arrow.string() if arrow.types.is_null(field.type) else field.type


def _typed(value: Any, kind: Any) -> Any:
    types = pyarrow().types
    if isinstance(value, str) and types.is_timestamp(kind):
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if isinstance(value, str) and types.is_date(kind) else value
