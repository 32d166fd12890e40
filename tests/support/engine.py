"""Streams without a service around them, and their state as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from streamnorm.engine.blocks.block import Block, BlockAnswer, observe_block
from streamnorm.engine.blocks.bulk import observe_readings
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Answer, Channel, parse_reading
from streamnorm.engine.streams.stream import Stream

Array = npt.NDArray[np.float64]
NOW = 1_800_000_000.0
LIMITS = Limits()
#: every way of forgetting, and of finishing an answer
CONFIGS: list[dict[str, Any]] = [
    {},
    {"method": "cumulative"},
    {"time_constant": 60.0},
    {
        "clamp": 2.0,
        "missing": "mean",
        "robust": 3.0,
        "warmup": 4,
        "affine": {"a": {"gamma": -2.0, "beta": 0.5}, "b": {"gamma": 3.0}},
    },
]


def new(**config: Any) -> Stream:
    """Build a stream of this configuration, the rest as by default."""
    return Stream(plan(configuration(config, {})))


def observe(stream: Stream, values: object, seq: int | None = None, timestamp: float | None = None) -> Answer:
    return stream.observe(parse_reading(values, LIMITS, timestamp=timestamp, seq=seq), NOW, LIMITS)


def observe_all(
    stream: Stream, rows: Sequence[object] | Array, seqs: Sequence[int | None] | None = None
) -> list[Answer]:
    """Observe readings as a whole or not at all; the stream is a draft."""
    numbers = seqs or [None] * len(rows)
    readings = [parse_reading(row, LIMITS, seq=seq) for row, seq in zip(rows, numbers, strict=True)]
    return observe_readings(stream, readings, NOW, LIMITS, [f"/readings/{place}" for place in range(len(readings))])


def block_of(values: Any, names: Sequence[str] = (), times: Any = None, first_seq: int | None = None) -> Block:
    """Build a block of rows, its features named a, b, c and so on."""
    table = np.asarray(values, dtype=np.float64)
    features = tuple(names) or tuple("abcdefgh"[: table.shape[1]])
    return Block(features, table, None if times is None else np.asarray(times, dtype=np.float64), first_seq)


def observe_rows(stream: Stream, values: Any, first_seq: int | None = None) -> BlockAnswer:
    return observe_block(stream, block_of(values, first_seq=first_seq), NOW, LIMITS)


def normalize(stream: Stream, values: object) -> Answer:
    return stream.normalize(parse_reading(values, LIMITS), NOW)


def denormalize(stream: Stream, values: object) -> list[Any]:
    return stream.denormalize(parse_reading(values, LIMITS))[1]


def varied(readings: int = 100, columns: int = 2, seed: int = 0) -> Array:
    """Return rows of a few different sensors."""
    rng = np.random.default_rng(seed)
    return rng.normal(20.0, 1.0, size=(readings, columns))


def fed(stream: Stream, readings: int = 100, seed: int = 0) -> Stream:
    """Observe numbered readings of a plain feature and a channel."""
    for seq, (a, b) in enumerate(varied(readings, seed=seed).tolist()):
        observe(stream, {"a": a, "ir": [a, b]}, seq)
    return stream


def bits(stream: Stream) -> tuple[Any, ...]:
    """Return all there is to a stream; equal where not a bit differs."""
    answered = None if stream.answered is None else stream.answered.tobytes()
    before = None if stream.before is None else stream.before.tobytes()
    return (stream.plan, stream.layout.names, stream.layout.shapes, stream.state.tobytes(), answered, before)


def ybits(answer: Answer) -> list[bytes]:
    """Return the bits of every answered value."""
    return [np.asarray(y, dtype=np.float64).tobytes() for y in answer.values]


def plain(answer: Answer) -> Array:
    """Return the answer of a reading without channels as an array."""
    return np.array(answer.values, dtype=np.float64)


def channel(value: object) -> Channel:
    """Return the one value of a reading, which is a channel."""
    (made,) = parse_reading([value], LIMITS).values
    assert isinstance(made, Channel)
    return made
