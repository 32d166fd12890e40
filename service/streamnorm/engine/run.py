"""Readings of one stream that come close behind each other: those that are alike are taken in as one table."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, cast

import numpy as np

from streamnorm.engine.finish import finish_block
from streamnorm.engine.layout import COUNT, GAP, LAST_SEQ, UPDATED
from streamnorm.engine.limits import LARGEST_SEQ, Limits
from streamnorm.engine.reading import EARLIEST, LATEST, Answer, Array, Reading
from streamnorm.engine.stream import NO_SEQ, Stream
from streamnorm.errors import StreamnormError
from streamnorm.kernels import profile

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Fewer readings are as fast one by one.
SHORTEST_TABLE = 4


def observe_run(
    stream: Stream, readings: Sequence[Reading], now: float, limits: Limits
) -> tuple[list[Answer], StreamnormError | None]:
    """Observe readings one after the other, to the same bits as `Stream.observe` does.

    Gives the answers, and where a reading was refused its error: it and those behind it are not observed.
    """
    answers: list[Answer] = []
    try:
        while len(answers) < len(readings):
            start = len(answers)
            end = _alike(stream, readings, start, now + limits.max_ahead)
            if end - start >= SHORTEST_TABLE:
                answers += _observe_table(stream, readings[start:end], now)
            else:
                answers.append(stream.observe(readings[start], now, limits))
    except StreamnormError as error:
        return answers, error
    return answers, None


def _alike(stream: Stream, readings: Sequence[Reading], start: int, latest: float) -> int:
    """Tell up to where readings have just the stream's features, all of them plain, and nothing to object to."""
    names = stream.layout.names
    if not stream.layout.plain:
        return start
    seq = stream.state[LAST_SEQ]
    latest = min(latest, LATEST)
    for place in range(start, len(readings)):
        reading = readings[place]
        if not reading.plain or reading.names != names:
            return place
        if reading.timestamp is not None and not EARLIEST <= reading.timestamp <= latest:
            return place
        if reading.seq is not None:
            if not seq < reading.seq <= LARGEST_SEQ:
                return place
            seq = reading.seq
    return len(readings)


def _observe_table(stream: Stream, readings: Sequence[Reading], now: float) -> list[Answer]:
    plan, where, state = stream.plan, stream.layout, stream.state
    values = np.array([reading.values for reading in readings])
    times = np.array([now if reading.timestamp is None else reading.timestamp for reading in readings])
    ready = _ready(stream, values)
    ys = plan.kernel.observe_block(values, times, plan.rule, plan.p, state, where.starts, where.ends)
    gaps = [_number(state, reading.seq) for reading in readings]
    stream.before = None
    stream.answered = None if readings[-1].seq is None else array("d", ys[-1])
    count = int(state[COUNT])
    state[COUNT] += len(readings)
    state[UPDATED] = now
    rows = cast("list[list[float | Array]]", finish_block(plan, where.names, ys).tolist())
    return [
        Answer(row, count + place, done, gap)
        for place, (row, done, gap) in enumerate(zip(rows, ready, gaps, strict=True), 1)
    ]


def _number(state: array[float], seq: int | None) -> int:
    """Note a reading's number, and tell how many before it never came."""
    if seq is None:
        return 0
    last = state[LAST_SEQ]
    gap = 0 if last == NO_SEQ else int(seq - last - 1.0)
    state[LAST_SEQ] = seq
    state[GAP] = gap
    return gap


def _ready(stream: Stream, values: Array) -> list[bool]:
    """Tell after which of the rows, still to be observed, every feature will have had its warmup."""
    starts = stream.layout.starts
    if stream.ready(starts):
        return [True] * len(values)
    had = np.array([stream.state[at + profile.COUNT] for at in starts])
    ready: list[bool] = (had + (~np.isnan(values)).cumsum(axis=0) >= stream.plan.warmup).all(axis=1).tolist()
    return ready
