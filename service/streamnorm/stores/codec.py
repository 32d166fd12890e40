"""Binary encoding of a stream's state, shared by all stores.

Layout: one byte of version, four of the header's length (little-endian), the header as JSON, then float64 values
(little-endian): the state, the last numbered reading's answer, the state before the last numbered block.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import Any

import orjson

from streamnorm.engine.configuration.plan import Plan, of_key
from streamnorm.engine.state.layout import HEADER_SIZE, TIME
from streamnorm.engine.state.mixed_layout import layout_of
from streamnorm.engine.streams.clock import begin_clock
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StoreCorrupt, StreamnormError
from streamnorm.kernels import base_statistics

VERSION = 3
#: of streams without layers and without a configuration of their own, so that an older service can read them
PLAIN_VERSION = 2
#: of version 1: numbers before the first feature's
FORMER_HEAD = 5
_PREFIX = struct.Struct("<BI")


def encode(stream: Stream) -> bytes:
    """Return a stream's whole state as bytes."""
    answered = stream.answered if stream.answered is not None else array("d")
    before = stream.before if stream.before is not None else array("d")
    header = orjson.dumps(
        {
            "config": stream.plan.key,
            "names": stream.layout.sources,
            "shapes": stream.layout.source_shapes,
            "floats": (len(stream.state), len(answered), len(before)),
        }
    )
    values = stream.state + answered + before
    if sys.byteorder == "big":
        values.byteswap()
    plain = not stream.plan.layers and stream.plan.own is None
    return _PREFIX.pack(PLAIN_VERSION if plain else VERSION, len(header)) + header + values.tobytes()


def decode(stream_id: str, blob: bytes) -> Stream:
    """Restore the stream that was encoded, bit for bit.

    Raises:
        StoreCorrupt: the blob is not a valid stream, or was written in an unknown version of the format.

    """
    try:
        version, length = _PREFIX.unpack_from(blob)
        if not 1 <= version <= VERSION:
            message = f"the stored state of {stream_id!r} has version {version}, this streamnorm reads {VERSION}"
            raise StoreCorrupt(message)
        start = _PREFIX.size + length
        header: dict[str, Any] = orjson.loads(blob[_PREFIX.size : start])
        values = array("d")
        values.frombytes(blob[start:])
        if sys.byteorder == "big":
            values.byteswap()
        size, answered, before = header["floats"]
        stream = Stream(of_key(header["config"]))
        names, shapes = tuple(header["names"]), tuple(tuple(shape) for shape in header["shapes"])
        stream.layout = layout_of(stream.plan, names, shapes)
        stream.state = values[:size]
        stream.answered = values[size : size + answered] or None
        stream.before = values[size + answered :] or None
        whole = len(values) == size + answered + before
        if version < PLAIN_VERSION:
            stream.state = _of_version_1(stream.state, stream.plan, len(names))
            stream.before = stream.before and _of_version_1(stream.before, stream.plan, len(names))
        fits = whole and len(stream.state) == stream.layout.size
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, StreamnormError) as error:
        if isinstance(error, StoreCorrupt):
            raise
        message = f"the stored state of {stream_id!r} cannot be read: {error}"
        raise StoreCorrupt(message) from error
    if not fits:
        message = f"the stored state of {stream_id!r} is cut short"
        raise StoreCorrupt(message)
    return stream


def _of_version_1(state: array[float], plan: Plan, features: int) -> array[float]:
    """Return a state of version 1 with what is kept since: of the device's clock, of levels, and by methods.

    Raises:
        ValueError: the numbers are not those of so many features.

    """
    method = plan.kernel.method
    stride, rest = divmod(len(state) - FORMER_HEAD, max(features, 1))
    if rest or stride < 0:
        raise ValueError(f"{len(state)} numbers are not those of {features} features")
    made = state[:FORMER_HEAD] + array("d", bytes(8 * (HEADER_SIZE - TIME)))
    for at in range(FORMER_HEAD, len(state), max(stride, 1)):
        end = at + stride - plan.timed
        base = base_statistics.completed(state[at : at + base_statistics.FORMER_SIZE].tolist())
        own = state[at + base_statistics.FORMER_SIZE : end].tolist()
        kept = method.convert(plan.p, base, own) if method.convert is not None else None
        made.extend([*base, *(own + [0.0] * method.grown if kept is None else kept)])
        made.extend(state[end : at + stride])
    begin_clock(made, made[HEADER_SIZE + plan.stride - 1 :: plan.stride] if plan.timed else ())
    return made
