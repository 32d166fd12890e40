"""Readings of one stream that come close behind each other: those that are alike are taken in as one table."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np

from streamnorm.engine.blocks.block import Block, BlockAnswer, before_last_block
from streamnorm.engine.blocks.convert import ready_after
from streamnorm.engine.limits import LARGEST_SEQ, Limits
from streamnorm.engine.postprocess import postprocess_block
from streamnorm.engine.reading import EARLIEST, LATEST, Answer, Array, Reading
from streamnorm.engine.state_layout import COUNT, GAP, LAST_SEQ, UPDATED
from streamnorm.engine.stream import NO_SEQ, Stream
from streamnorm.errors import InvalidReading, StreamnormError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Fewer readings are as fast one by one.
SHORTEST_TABLE = 4


@dataclass(slots=True)
class RunResult:
    """What became of readings that were observed one after the other."""

    #: one for each reading up to the first one that was refused
    answers: list[Answer] = field(default_factory=list)
    #: why that one was; it and those behind it are not observed
    error: StreamnormError | None = None
    #: the same in the pieces that were worked on at once, for who listens
    pieces: list[tuple[Reading, Answer] | tuple[Block, BlockAnswer]] = field(default_factory=list)


def observe_run(stream: Stream, readings: Sequence[Reading], now: float, limits: Limits) -> RunResult:
    """Observe readings one after the other, to the same bits as `Stream.observe` does."""
    run = RunResult()
    answers = run.answers
    try:
        while len(answers) < len(readings):
            start = len(answers)
            end = _split_by_features(stream, readings, start, now + limits.max_ahead)
            if end - start >= SHORTEST_TABLE:
                _observe_table(stream, readings[start:end], now, run)
                continue
            for reading in readings[start : max(end, start + 1)]:
                answer = stream.observe(reading, now, limits)
                answers.append(answer)
                run.pieces.append((reading, answer))
    except StreamnormError as error:
        run.error = error
    return run


def observe_readings(
    draft: Stream, readings: Sequence[Reading], now: float, limits: Limits, pointers: Sequence[str]
) -> list[Answer]:
    """Observe readings one after the other, as a whole or not at all; `pointers` name their places in errors.

    Raises:
        StaleSequence: a number was applied before, and the readings are not the last ones again.
        InvalidReading: naming the row.

    """
    numbered = [(row, reading.seq) for row, reading in enumerate(readings) if reading.seq is not None]
    if numbered and len(readings) > 1 and numbered[0][1] <= draft.state[LAST_SEQ]:
        then = before_last_block(draft, numbered[0][1], numbered[-1][1], len(readings))
        answers = observe_readings(then, readings, draft.state[UPDATED], limits, pointers)
        return [replace(answer, replayed=True) for answer in answers]
    for (_, earlier), (row, later) in pairwise(numbered):
        if later <= earlier:
            raise InvalidReading.at(f"{pointers[row]}/seq", f"{later} is not after {earlier}, the one before it")
    before = draft.state[:]
    run = observe_run(draft, readings, now, limits)
    if isinstance(run.error, InvalidReading):
        raise run.error.within(pointers[len(run.answers)])
    if run.error is not None:
        raise run.error
    if numbered and len(readings) > 1:
        draft.before = before
    return run.answers


def _split_by_features(stream: Stream, readings: Sequence[Reading], start: int, latest: float) -> int:
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


def _observe_table(stream: Stream, readings: Sequence[Reading], now: float, run: RunResult) -> None:
    plan, where, state = stream.plan, stream.layout, stream.state
    values = np.array([reading.values for reading in readings])
    times = np.array([now if reading.timestamp is None else reading.timestamp for reading in readings])
    lacking = stream.warmup_remaining(where.starts)
    ready = ready_after(values, lacking)
    ys = plan.kernel.observe_block(values, times, plan.rule, plan.p, state, where.starts, where.ends)
    gaps = [_number(state, reading.seq) for reading in readings]
    stream.before = None
    stream.answered = None if readings[-1].seq is None else array("d", ys[-1])
    count = int(state[COUNT])
    state[COUNT] += len(readings)
    state[UPDATED] = now
    done = postprocess_block(plan, where.names, ys)
    rows = cast("list[list[float | Array]]", done.tolist())
    run.answers += map(Answer, rows, range(count + 1, count + 1 + len(rows)), ready, gaps)
    run.pieces.append(
        (Block(where.names, values, times), BlockAnswer(done, count + len(rows), ready[-1], lacking=lacking))
    )


def _number(state: array[float], seq: int | None) -> int:
    """Note a reading's number, and tell how many before it never came."""
    if seq is None:
        return 0
    last = state[LAST_SEQ]
    gap = 0 if last == NO_SEQ else int(seq - last - 1.0)
    state[LAST_SEQ] = seq
    state[GAP] = gap
    return gap
