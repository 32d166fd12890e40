"""NumPy's npy format: a short header, then the numbers in memory layout; read without a copy, never unpickled."""

from __future__ import annotations

import ast
import io
import math
import struct
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from fastapi import Response

from streamnorm.api.codecs.batches import BlockBatch
from streamnorm.api.codecs.codec import BINARY, Answered, DecodeContext, Described
from streamnorm.api.codecs.serialize import as_headers, of_block
from streamnorm.api.http.responses import Piece, Pieces
from streamnorm.engine.blocks.block import Block
from streamnorm.engine.reading import Array, ordinal_names
from streamnorm.errors import InvalidReading

NPY = "application/x-npy"

#: Headers of arrays of numbers have about a hundred bytes.
LONGEST_HEADER = 4096
LARGEST_AXIS = 2**40
#: the limit of all NumPy versions; tables have three at most
MOST_AXES = 32
_MAGIC = b"\x93NUMPY"
_SIZES = {1: struct.Struct("<H"), 2: struct.Struct("<I")}
_CUT_SHORT = "it is cut short within its header"
_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def from_npy(data: memoryview, what: str = "the body") -> npt.NDArray[Any]:
    """Return the array in an npy file without copying it; errors refer to the file as `what`.

    Raises:
        InvalidReading: the data are not an npy file, are truncated, or hold Python objects.

    """
    try:
        start, kind, by_columns, shape = _header(data)
    except ValueError as error:
        raise InvalidReading.at("", f"{what} is no npy file of version 1 or 2: {error}") from None
    if kind.hasobject or kind.fields is not None or kind.subdtype is not None or not kind.itemsize:
        raise InvalidReading.at("", f"{what} holds {kind}, not numbers or text")
    numbers = data[start:]
    count = math.prod(shape)
    if len(numbers) != count * kind.itemsize:
        detail = f"{what} has {len(numbers)} bytes of numbers; an array of {shape} {kind} has {count * kind.itemsize}"
        raise InvalidReading.at("", detail)
    array = np.frombuffer(numbers, dtype=kind, count=count)
    if not array.flags.aligned or not kind.isnative:
        array = array.astype(kind.newbyteorder("="))
    return array.reshape(shape, order="F" if by_columns else "C")


def _header(data: memoryview) -> tuple[int, np.dtype[Any], bool, tuple[int, ...]]:
    """Parse an npy header: the offset of the data, their type, whether in Fortran order, and their shape.

    NumPy's own reader can raise any error of Python's tokenizer, and warns about files written by Python 2.

    Raises:
        ValueError: the header is invalid; the message says why.

    """
    if not data:
        raise ValueError("it is empty")
    at = len(_MAGIC)
    if data[:at] != _MAGIC[: len(data)]:
        raise ValueError("it does not begin as one")
    version = bytes(data[at : at + 2])
    size = _SIZES.get(version[0] if version else 1)
    if size is None:
        raise ValueError(f"its version is {version[0]}")
    at += 2 + size.size
    if at > len(data):
        raise ValueError(_CUT_SHORT)
    (length,) = size.unpack_from(data, at - size.size)
    if length > LONGEST_HEADER:
        raise ValueError(f"its header is longer than {LONGEST_HEADER} bytes")
    if at + length > len(data):
        raise ValueError(_CUT_SHORT)
    return at + length, *_described(bytes(data[at : at + length]).decode("latin1"))


def _described(header: str) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    """Parse the text of a header, a Python dict."""
    try:
        fields = ast.literal_eval(header)
        kind, by_columns, shape = fields["descr"], bool(fields["fortran_order"]), fields["shape"]
        dtype = np.dtype(kind) if isinstance(kind, str) else None
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        raise ValueError("its header cannot be read") from None
    if dtype is None:
        raise ValueError("it is of a structured type")
    if (
        not isinstance(shape, tuple)
        or len(shape) > MOST_AXES
        or not all(type(axis) is int and 0 <= axis < LARGEST_AXIS for axis in shape)
    ):
        raise ValueError("the shape in its header is invalid")
    return dtype, by_columns, shape


def table_of(array: npt.NDArray[Any], what: str, *axes: str) -> Array:
    """Check that an `array`, called `what` in errors, is float64 or float32 and has the named `axes`.

    Raises:
        InvalidReading: it has another type or number of axes.

    """
    if array.dtype not in _FLOATS:
        raise InvalidReading.at("/values", f"{what} is {array.dtype}; it must be float64 or float32")
    if array.ndim != len(axes):
        detail = f"{what} has the shape {list(array.shape)}; it must have {len(axes)} axes: {', '.join(axes)}"
        raise InvalidReading.at("/values", detail)
    return array


def to_npy(array: npt.NDArray[Any]) -> list[Piece]:
    """Build an npy file: its header, and a view of the array."""
    array = np.ascontiguousarray(array)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    return [head.getvalue(), array.reshape(-1).data.cast("B") if array.size else b""]


class NpyCodec:
    """A table of one stream; an answer's other members are sent as headers."""

    media_type = NPY
    binary = True
    general = True
    body: Described | None = BINARY
    answer: Described | None = BINARY

    def decode(self, data: memoryview, context: DecodeContext) -> BlockBatch:
        """Decode the array without a copy; its answer may take its place."""
        values = table_of(from_npy(data), "the body", "rows", "features")
        names = ordinal_names(values.shape[1]) if context.features is None else tuple(context.features.split(","))
        own = values.flags.writeable and values.flags.c_contiguous  # the body is nobody else's
        block = Block(names, values, None, context.first_seq, values if own else None)
        return BlockBatch(context.stream_id or "", block)

    def encode(self, answered: Answered) -> Response:
        """Encode the array without a copy."""
        table = answered.table()
        body = of_block(*table)
        values, headers = body.pop("values"), as_headers(body)
        if table.answer.names is not None:  # other features than those of the request
            headers["streamnorm-features"] = ",".join(quote(name, safe="") for name in table.answer.names)
        return Pieces(to_npy(values), NPY, headers)
