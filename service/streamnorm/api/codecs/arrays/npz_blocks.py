"""Blocks of many streams as arrays: `streams` (N names) and `values` (streams × rows × features)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import Response

from streamnorm.api.codecs.arrays.npy import table_of
from streamnorm.api.codecs.arrays.npz import NPZ, from_npz, to_npz
from streamnorm.api.codecs.batches import AnsweredBlocks, BlocksBatch
from streamnorm.api.codecs.codec import BINARY, DecodeContext, Described
from streamnorm.api.http.responses import Pieces
from streamnorm.api.middleware.authorization import check_streams
from streamnorm.engine.blocks.stack import BlockStack
from streamnorm.engine.names import stream_id_fault
from streamnorm.engine.reading import ordinal_names
from streamnorm.engine.validation import abbreviate
from streamnorm.errors import InvalidReading

Arrays = Mapping[str, npt.NDArray[Any]]

#: `features` has F names, `first_seq` N numbers (negative for none), `timestamps` T or N × T epoch seconds
MEMBERS = frozenset({"streams", "values", "features", "first_seq", "timestamps"})
LAST_ASCII = 127


def blocks_of(arrays: Arrays) -> BlockStack:
    """Return a block of each stream; the answers may take the place of the values.

    Raises:
        InvalidReading: an array is missing or invalid; the error names it.

    """
    for name in ("streams", "values"):
        if name not in arrays:
            raise InvalidReading.at(f"/{name}", "is missing")
    streams = _names(arrays, "streams")
    values = table_of(arrays["values"], "values", "streams", "rows", "features")
    many, rows, columns = values.shape
    if len(streams) != many:
        raise InvalidReading.at("/streams", f"names {len(streams)} streams, values have {many}")
    for index, stream in enumerate(streams):
        if fault := stream_id_fault(stream):
            raise InvalidReading.at(f"/streams/{index}", f"{fault}, not {abbreviate(stream)}")
    if len(set(streams)) != many or not many:
        raise InvalidReading.at("/streams", "names a stream twice" if many else "must name at least one stream")
    names = _names(arrays, "features") if "features" in arrays else ordinal_names(columns)
    numbers = _array(arrays, "first_seq", "iu", (many,))
    times = _array(arrays, "timestamps", "fiu", (rows,), (many, rows))
    if times is not None:
        times = times.astype(np.float64, copy=False)
    own = values.flags.writeable and values.flags.c_contiguous  # the body is nobody else's
    out = values if own else np.empty_like(values, order="C")
    return BlockStack({stream: place for place, stream in enumerate(streams)}, names, values, times, numbers, out)


class NpzCodec:
    """Tables of many streams."""

    media_type = NPZ
    binary = True
    general = False
    body: Described | None = BINARY
    answer: Described | None = BINARY

    def decode(self, data: memoryview, context: DecodeContext) -> BlocksBatch:
        """Decode the arrays without a copy."""
        blocks = blocks_of(from_npz(data, MEMBERS))
        check_streams(context.caller, blocks)
        return BlocksBatch(blocks)

    def encode(self, answered: AnsweredBlocks) -> Response:
        """Encode the arrays without a copy."""
        return Pieces(to_npz(answered.arrays()), NPZ)


def _names(arrays: Arrays, name: str) -> tuple[str, ...]:
    array = arrays[name]
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise InvalidReading.at(
            f"/{name}", f"is {array.dtype} of shape {list(array.shape)}; it must be a list of names"
        )
    letters = np.ascontiguousarray(array).view(np.uint8 if array.dtype.kind == "S" else np.uint32)
    if array.size and letters.max() > (LAST_ASCII if array.dtype.kind == "S" else sys.maxunicode):
        raise InvalidReading.at(f"/{name}", "contains invalid Unicode")
    return tuple(array.astype(np.str_).tolist())


def _array(arrays: Arrays, name: str, kinds: str, *shapes: tuple[int, ...]) -> npt.NDArray[Any] | None:
    if name not in arrays:
        return None
    array = arrays[name]
    if array.dtype.kind not in kinds or array.shape not in shapes:
        what = "numbers" if "f" in kinds else "whole numbers"
        wanted = " or ".join(str(list(shape)) for shape in shapes)
        detail = f"is {array.dtype} of shape {list(array.shape)}; it must be {what} of shape {wanted}"
        raise InvalidReading.at(f"/{name}", detail)
    return array
