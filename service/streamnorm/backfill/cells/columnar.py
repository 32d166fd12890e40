"""Rows of a CSV that are all alike, cut, read and written by Arrow (the extra `files`): a fifth of the time.

It cuts the same cells as `cells`, and reads the same bits as `numbers` and `times`; left to these are rows of other
lengths, quotes, comments, and columns with cells that are no plain numbers.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import orjson

from streamnorm.backfill.cells.rows import BLANKS, Dialect
from streamnorm.engine.reading import Array

COMMA, POINT = ord(","), ord(".")
#: Cells are carried as bytes, a character each; see `encodings`.
CARRIER = "latin-1"


class Texts(Sequence[str]):
    """Cells of a column, as they are carried; strings are made only of those that are asked for."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return list(self)[place]
        text: str = self.array[place].as_py().decode(CARRIER)
        return text

    def __iter__(self) -> Iterator[str]:
        return (cell.decode(CARRIER) for cell in self.array.to_pylist())

    def numbers(self, decimal: str = ".") -> Array | None:
        """Return the cells as numbers, NaN where one is empty; None if one is anything else."""
        arrow, compute = pyarrow(), pyarrow("compute")
        lengths = compute.binary_length(self.array)
        try:
            texts = self.array.cast(arrow.string())
            if decimal != ".":
                if compute.any(compute.match_substring(texts, ".")).as_py():
                    return None
                texts = compute.replace_substring(texts, decimal, ".")
            if compute.min(lengths).as_py() == 0:
                texts = compute.if_else(compute.cast(lengths, arrow.bool_()), texts, arrow.nulls(1, arrow.string())[0])
            found = texts.cast(arrow.float64())
        except arrow.ArrowInvalid:
            return None
        values = numpy_of(found, np.float64)
        plain = int(np.isfinite(values).sum()) == len(values) - found.null_count
        return values if plain else None

    def instants(self, ending: str) -> Array | None:
        """Return ISO times as seconds since 1970; None if they are not all of one length and one zone."""
        arrow, compute = pyarrow(), pyarrow("compute")
        lengths = compute.min_max(compute.binary_length(self.array)).as_py()
        if lengths["min"] != lengths["max"]:
            return None
        try:
            texts = self.array.cast(arrow.string())
            if ending:
                if not compute.all(compute.ends_with(texts, ending)).as_py():
                    return None
                texts = compute.utf8_slice_codeunits(texts, 0, -len(ending))
            micros = texts.cast(arrow.timestamp("us")).cast(arrow.int64())
        except arrow.ArrowInvalid:
            return None
        return np.asarray(numpy_of(micros, np.int64) / 1e6)


@dataclass
class Rows:
    """Rows of a CSV as Arrow's columns, and what ends each of them; `first` is the number of the first one's line."""

    columns: list[Any]
    line_end: bytes
    first: int

    def __len__(self) -> int:
        return len(self.columns[0])


def available(dialect: Dialect) -> bool:
    """Tell whether Arrow is installed, and can cut lines so."""
    if len(dialect.delimiter) != 1 or dialect.delimiter == BLANKS:
        return False
    try:
        pyarrow("csv")
    except ModuleNotFoundError:
        return False
    return True


def cut(raw: bytes, dialect: Dialect, width: int, line: int, header: str = "") -> Rows | None:
    """Cut whole lines into rows of `width` cells; None where they are not all alike, a line each, without quotes.

    `raw` is the text as it lies in the file, `dialect` how its cells are told apart; `line` numbers the first line, and
    lines like `header` are no rows.
    """
    end = b"\r\n" if b"\r\n" in raw else b"\n"
    between = dialect.delimiter.encode(CARRIER)
    signs = [sign.encode(CARRIER) for sign in (dialect.quote, dialect.comment, header) if sign]
    if (  # lines without any cell are no rows, and Arrow's are
        width < 2  # noqa: PLR2004
        or any(sign in raw for sign in signs)
        or not raw.endswith(end)
        or raw.count(b"\r") != (raw.count(b"\n") if end == b"\r\n" else 0)
        or any(end + line + end in raw or raw.startswith(line + end) for line in (b"", between * (width - 1)))
    ):
        return None
    arrow, table = pyarrow(), pyarrow("csv")
    names = [str(place) for place in range(width)]
    try:
        found = table.read_csv(
            arrow.py_buffer(raw),
            read_options=table.ReadOptions(use_threads=False, block_size=len(raw) + 1, column_names=names),
            parse_options=table.ParseOptions(delimiter=dialect.delimiter, quote_char=False, ignore_empty_lines=False),
            convert_options=table.ConvertOptions(
                column_types=dict.fromkeys(names, arrow.binary()), strings_can_be_null=False, check_utf8=False
            ),
        )
    except arrow.ArrowInvalid:
        return None
    return Rows([column.combine_chunks() for column in found.columns], end, line)


def joined(rows: Rows, columns: Sequence[Any], dialect: Dialect, keep: Sequence[bool] | None = None) -> bytes:
    """Write `rows` again in their `dialect`, of these `columns`: texts, or `Numbers`; `keep` tells which of them."""
    compute = pyarrow("compute")
    parts: list[Any] = []
    for place, column in enumerate(columns, 1):
        behind = dialect.delimiter.encode(CARRIER) if place < len(columns) else rows.line_end
        if isinstance(column, Numbers):
            parts.append(column.texts(behind[:1]))
            behind = behind[1:]
        else:
            parts.append(column)
        if behind:
            parts.append(scalar(behind))
    found = compute.binary_join_element_wise(*parts, scalar(b""))
    if keep is not None:
        found = found.filter(pyarrow().array(keep))
    _, offsets, data = found.buffers()
    if data is None:
        return b""
    places = np.frombuffer(offsets, dtype=np.int32)
    return bytes(memoryview(data)[int(places[found.offset]) : int(places[found.offset + len(found)])])


def listed(texts: Sequence[str]) -> Any:
    """Return texts as a column."""
    return pyarrow().array([text.encode(CARRIER) for text in texts], pyarrow().binary())


@dataclass
class Numbers:
    """Numbers of columns that lie side by side, to be written, empty for NaN."""

    columns: list[Array]
    delimiter: str
    decimal: str

    def texts(self, behind: bytes) -> Any:
        """Return them as one column of texts, each with one sign `behind` it: so none is moved."""
        arrow, table = pyarrow(), np.column_stack(self.columns)
        text = orjson.dumps(table.ravel(), option=orjson.OPT_SERIALIZE_NUMPY)
        signs = np.frombuffer(bytearray(text.replace(b"null", b"")), dtype=np.uint8)[1:]
        commas = np.flatnonzero(signs == COMMA)
        ends = np.append(commas, len(signs) - 1)[len(self.columns) - 1 :: len(self.columns)]
        if self.decimal != ".":
            signs[signs == POINT] = ord(self.decimal)
        if self.delimiter != ",":
            signs[commas] = ord(self.delimiter)
        signs[ends] = behind[0]
        offsets = np.zeros(len(table) + 1, dtype=np.int32)
        offsets[1:] = ends + 1
        buffers = [None, arrow.py_buffer(offsets), arrow.py_buffer(signs)]
        return arrow.Array.from_buffers(arrow.binary(), len(table), buffers)


def numpy_of(array: Any, kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return numbers as NumPy's, null as NaN; see `scalar`."""
    bits, data = array.buffers()
    span = slice(array.offset, array.offset + len(array))
    values = np.frombuffer(data, dtype=kind)[span].copy()
    if array.null_count:
        values[np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")[span] == 0] = np.nan
    return values


def scalar(text: bytes) -> Any:
    """Return a text as a scalar: Arrow's own function imports pandas, where that is installed, which takes a second."""
    arrow = pyarrow()
    offsets = np.array([0, len(text)], dtype=np.int32)
    return arrow.Array.from_buffers(arrow.binary(), 1, [None, arrow.py_buffer(offsets), arrow.py_buffer(text)])[0]


def pyarrow(module: str = "") -> Any:
    """Import Arrow, or a module of it, which is an extra."""
    return importlib.import_module(f"pyarrow.{module}" if module else "pyarrow")
