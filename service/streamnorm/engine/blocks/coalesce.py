"""Readings of one stream that come close behind each other: those that are alike are taken in as one table."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.blocks.observed import Batch, ObservedBlock, Pair
from streamnorm.engine.blocks.readiness import Before, MixedBefore, ready_after, rested
from streamnorm.engine.limits import LARGEST_SEQ, Limits
from streamnorm.engine.reading import Answer, Array, Reading
from streamnorm.engine.state.layout import COUNT, GAP, HEADER_SIZE, LAST_SEQ, SKEW, TIME, UPDATED
from streamnorm.engine.streams import mixed
from streamnorm.engine.streams.clock import EARLIEST, LATEST, Settled, settle_rows
from streamnorm.engine.streams.stream import NO_SEQ, Stream
from streamnorm.errors import StreamnormError

if TYPE_CHECKING:
    from collections.abc import Sequence

Rows = npt.NDArray[np.int64]

#: Fewer readings are faster one by one.
SHORTEST_RUN = 16


@dataclass(slots=True)
class RunResult:
    """What became of readings that were observed one after the other."""

    #: one for each reading up to the first one that was refused
    answers: list[Answer] = field(default_factory=list)
    #: why that one was; it and those behind it are not observed
    error: StreamnormError | None = None
    #: the same as listeners are told of it: what was worked on in the same way is a batch; without what was replayed
    batches: list[Batch] = field(default_factory=list)


class Table(NamedTuple):
    """What became of rows that were observed as a table; `gaps` is None where no row has a number."""

    values: Array
    #: after which rows
    ready: Array
    gaps: Rows | None
    #: what the features rested on before
    before: Before | MixedBefore
    #: see `Answer.skew`, one a row; None where there is nothing to tell
    skews: Array | None


def observe_run(stream: Stream, readings: Sequence[Reading], now: float, limits: Limits) -> RunResult:
    """Observe `readings` of a `stream` one after the other, to the same bits as `Stream.observe` does.

    `now` is the time of arrival (s since 1970), `limits` are those of each reading.
    """
    run = RunResult()
    answers = run.answers
    try:
        while len(answers) < len(readings):
            start = len(answers)
            end = _split_by_features(stream, readings, start, latest_time(now, limits))
            if end - start >= SHORTEST_RUN:
                _observe_table(stream, readings[start:end], now, limits, run)
                continue
            alone: list[Pair] = []
            for reading in readings[start : max(end, start + 1)]:
                answer = stream.observe(reading, now, limits)
                answers.append(answer)
                if not answer.replayed:
                    alone.append((reading, answer))
                    if len(alone) == 1:
                        run.batches.append(alone)
    except StreamnormError as error:
        run.error = error
    return run


def nothing_to_refuse(stream: Stream, readings: Sequence[Reading], now: float, limits: Limits) -> bool:
    """Return whether `observe_run` would take all `readings` of a `stream`: nothing about them is unusual.

    `now` is the time of arrival (s since 1970), `limits` are those of each reading.
    """
    return _split_by_features(stream, readings, 0, latest_time(now, limits)) == len(readings)


def latest_time(now: float, limits: Limits) -> float:
    """Return the latest stamp that a reading may have which arrives `now`, in seconds since 1970, within `limits`."""
    return LATEST if limits.max_ahead is None else min(LATEST, now + limits.max_ahead)


def _split_by_features(stream: Stream, readings: Sequence[Reading], start: int, latest: float) -> int:
    """Tell up to where readings have just the stream's features, all of them plain, and nothing to object to."""
    names, stamped = stream.layout.names, readings[start].timestamp is not None
    if not stream.layout.tabular:
        return start
    seq = stream.state[LAST_SEQ]
    for place in range(start, len(readings)):
        reading = readings[place]
        if not reading.plain or reading.names != names:
            return place
        if (reading.timestamp is not None) is not stamped:
            return place
        if reading.timestamp is not None and not EARLIEST <= reading.timestamp <= latest:
            return place
        if reading.seq is not None:
            if not seq < reading.seq <= LARGEST_SEQ:
                return place
            seq = reading.seq
    return len(readings)


def observe_table(
    stream: Stream, values: Array, stamps: Array, seqs: Rows | None, *, now: float, limits: Limits, stamped: bool
) -> Table:
    """Observe rows of exactly the stream's features, of which nothing is to be refused.

    `values` is rows × features, `stamps` are times in seconds since 1970, `now` where the rows are not `stamped`;
    `seqs` are the rows' numbers, negative for none, or None where no row has one; `limits` bound the times.
    """
    plan, where = stream.plan, stream.layout
    settled = settle_rows(stream.state, stamps, now, limits, plan.patience) if plan.clocked or stamped else None
    times = stamps if settled is None else settled.times
    _, values = mixed.prepare_table(stream, where.sources, values, times)
    before = rested(stream, where.starts, values, times)
    ready = ready_after(values, before)
    ys = mixed.observe_columns(stream, values, times, starts=where.starts, ends=where.ends)
    gaps = count_rows(stream, len(values), seqs, settled, now)
    if seqs is not None and seqs[-1] >= 0:
        stream.answered = array("d", ys[-1])
    skews = None if settled is None else settled.skews
    return Table(mixed.finish_block(plan, where, where.names, ys), ready, gaps, before, skews)


def count_rows(stream: Stream, count: int, seqs: Rows | None, settled: Settled | None, now: float) -> Rows | None:
    """Add a `count` of rows to those that a `stream` has taken in: they arrived `now` (s since 1970).

    `settled` are their times, None where those do not matter.

    Returns how many never came before each of them; None where `seqs` is None, for no row has a number.
    """
    state = stream.state
    stream.before = stream.answered = None
    state[COUNT] += count
    state[UPDATED] = now
    state[SKEW] = 0.0
    if settled is not None:
        state[TIME:HEADER_SIZE] = settled.clock[TIME:]
    return None if seqs is None else _number(state, seqs)


def _observe_table(stream: Stream, readings: Sequence[Reading], now: float, limits: Limits, run: RunResult) -> None:
    values = np.array([reading.values for reading in readings])
    stamps = np.array([now if reading.timestamp is None else reading.timestamp for reading in readings])
    numbered = any(reading.seq is not None for reading in readings)
    seqs = np.array([-1 if reading.seq is None else reading.seq for reading in readings]) if numbered else None
    count, stamped = stream.count, readings[0].timestamp is not None
    done = observe_table(stream, values, stamps, seqs, now=now, limits=limits, stamped=stamped)
    rows = cast("list[list[float | Array]]", done.values.tolist())
    gaps = repeat(0) if done.gaps is None else done.gaps.tolist()
    answers = [*map(Answer, rows, range(count + 1, count + 1 + len(rows)), done.ready.tolist(), gaps)]
    if done.skews is not None:
        for answer, skew in zip(answers, done.skews.tolist(), strict=True):
            answer.skew = skew
    run.answers += answers
    if np.count_nonzero(done.ready) not in {0, len(rows)}:  # of a block listeners hear but once whether it is ready
        run.batches.append([*zip(readings, answers, strict=True)])
        return
    whole = BlockAnswer(done.values, stream.count, bool(done.ready[-1]), skews=done.skews, before=done.before)
    block = Block(stream.layout.names, values, stamps)
    run.batches.append(ObservedBlock(block, whole, lambda: zip(readings, answers, strict=True)))


def _number(state: array[float], seqs: Rows) -> Rows:
    """Note rows' numbers, and tell how many before each never came."""
    gaps = np.zeros(len(seqs), np.int64)
    numbered = np.flatnonzero(seqs >= 0)
    last = int(state[LAST_SEQ])
    gaps[numbered] = np.diff(seqs[numbered], prepend=last) - 1
    if last == NO_SEQ:
        gaps[numbered[0]] = 0
    state[LAST_SEQ] = float(seqs[numbered[-1]])
    state[GAP] = float(gaps[numbered[-1]])
    return gaps
