"""Many readings of one stream at once, as columns: those that are alike are worked on as tables.

Every function gives the bits that the readings would have given one by one. What learns runs on a draft of the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streamnorm.engine.blocks.answers import AnswerColumns
from streamnorm.engine.blocks.block import before_last_block
from streamnorm.engine.blocks.coalesce import latest_time, observe_table
from streamnorm.engine.blocks.columns import ReadingColumns, Rows
from streamnorm.engine.blocks.readiness import ready_for
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Answer, Reading
from streamnorm.engine.state.layout import LAST_SEQ, UPDATED
from streamnorm.engine.streams.clock import EARLIEST
from streamnorm.engine.streams.postprocess import postprocess_block
from streamnorm.errors import InvalidReading, StreamnormError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamnorm.engine.streams.stream import Stream

#: Rows of a table: enough that the work around it counts for nothing, few enough that others have the processor soon.
CHUNK = 8192
#: Fewer rows are as fast one by one.
SHORTEST_TABLE = 4

#: Gives a row's place in errors.
Pointer = Callable[[int], str]
#: Hears of a row that was refused, and why.
Refused = Callable[[int, StreamnormError], None]


class Work(NamedTuple):
    """Readings, where their answers go, the time it is, and how a row is named in errors."""

    columns: ReadingColumns
    answers: AnswerColumns
    now: float
    limits: Limits
    pointer: Pointer = str


def observe_bulk(draft: Stream, work: Work, rows: Rows) -> None:
    """Observe `rows` of a stream, as a whole or not at all, and put their answers in place.

    `work` has the readings, and where the answers go; the stream is a `draft`, which an error may leave half changed.

    Raises:
        StaleSequence: a number was applied before, and the readings are not the last ones again.
        InvalidReading: naming the row.
        LimitExceeded: the stream would have too many features.

    """
    seqs = work.columns.seqs[rows]
    numbered = np.flatnonzero(seqs >= 0)
    several = len(numbered) > 0 and len(rows) > 1
    if several and seqs[numbered[0]] <= draft.state[LAST_SEQ]:
        then = before_last_block(draft, int(seqs[numbered[0]]), int(seqs[numbered[-1]]), len(rows))
        observe_bulk(then, work._replace(now=draft.state[UPDATED]), rows)
        work.answers.replayed[rows] = True
        return
    falls = np.flatnonzero(np.diff(seqs[numbered]) <= 0)
    if len(falls):
        earlier, later = numbered[falls[0]], numbered[falls[0] + 1]
        detail = f"{seqs[later]} is not after {seqs[earlier]}, the one before it"
        raise InvalidReading.at(f"{work.pointer(int(rows[later]))}/seq", detail)
    before = draft.state[:]

    def refuse(row: int, error: StreamnormError) -> None:
        raise error.within(work.pointer(row)) if isinstance(error, InvalidReading) else error

    observe_each(draft, work, rows, refuse)
    if several:
        draft.before = before


def observe_readings(
    draft: Stream, readings: Sequence[Reading], now: float, limits: Limits, pointers: Sequence[str]
) -> list[Answer]:
    """Observe readings one after the other, as a whole or not at all; `pointers` name their places in errors.

    `draft` is the copy of a stream that is changed, `now` the time of arrival in seconds since 1970; `limits` bound it.

    Raises:
        StaleSequence, InvalidReading, LimitExceeded: as `observe_bulk` says.

    """
    columns = ReadingColumns.of([("", reading) for reading in readings], limits)
    answers = AnswerColumns(columns)
    observe_bulk(draft, Work(columns, answers, now, limits, pointers.__getitem__), np.arange(len(columns)))
    return [answers.answer(row) for row in range(len(columns))]


def observe_each(stream: Stream, work: Work, rows: Rows, refused: Refused) -> None:
    """Observe `rows` of a `stream`'s `work` one by one; `refused` hears of one that is, and that changes nothing."""
    columns, answers, now, limits, _ = work
    for start, end in _runs(columns, rows):
        head = columns.heads[columns.head_of[rows[start]]]
        at = start
        while at < end:
            some = rows[at : min(end, at + CHUNK)]
            length = 0
            where = stream.layout
            if head.plain and len(some) >= SHORTEST_TABLE and where.tabular and where.names == head.names:
                length = fit(stream, columns, some, latest_time(now, limits))
            if length >= SHORTEST_TABLE:
                _observe_table(stream, some[:length], work)
                at += length
                continue
            for row in some[: max(length, 1)].tolist():
                try:
                    answers.put(row, stream.observe(columns.reading(row), now, limits))
                except StreamnormError as error:
                    refused(row, error)
                at += 1


def normalize_bulk(stream: Stream, columns: ReadingColumns, rows: Rows, answers: AnswerColumns, now: float) -> None:
    """Normalize `rows` of the `columns` by a `stream`'s statistics, and learn nothing; fills in their `answers`.

    `now` is the time of arrival (s since 1970).
    """
    for start, end in _runs(columns, rows):
        head = columns.heads[columns.head_of[rows[start]]]
        if not head.plain or stream.plan.mixed or end - start < SHORTEST_TABLE:
            for row in rows[start:end].tolist():
                answers.put(row, stream.normalize(columns.reading(row), now))
            continue
        for at in range(start, end, CHUNK):
            some = rows[at : min(end, at + CHUNK)]
            scored = [stream.score(name, xs) for name, xs in zip(head.names, columns.table(some).T, strict=True)]
            ys = postprocess_block(stream.plan, head.names, np.column_stack(scored))
            answers.put_values(some, ys)
            answers.counts[some] = stream.count
            answers.ready[some] = ready_for(stream, head.names, now)


def _runs(columns: ReadingColumns, rows: Rows) -> Iterator[tuple[int, int]]:
    """Find the runs of rows that have the same head, and all times or none."""
    forms = columns.form_of[rows]
    changes = [] if columns.uniform else (np.flatnonzero(forms[1:] != forms[:-1]) + 1).tolist()
    return pairwise([0, *changes, len(rows)])


def fit(stream: Stream, columns: ReadingColumns, rows: Rows, latest: float) -> int:
    """Count the rows of a run of `columns`, from the first one on, whose times and numbers leave nothing to object to.

    No time may be after the `latest`, in seconds since 1970; numbers have to follow those of the `stream`.
    """
    if columns.earliest >= EARLIEST and columns.latest <= latest and not columns.numbered:
        return len(rows)
    times, seqs = columns.times[rows], columns.seqs[rows]
    wrong = (times < EARLIEST) | (times > latest)
    numbered = np.flatnonzero(seqs >= 0)
    if len(numbered):
        wrong[numbered] |= np.diff(seqs[numbered], prepend=int(stream.state[LAST_SEQ])) <= 0
    return int(wrong.argmax()) if wrong.any() else len(rows)


def _observe_table(stream: Stream, rows: Rows, work: Work) -> None:
    columns, answers, now, limits, _ = work
    stamps = columns.times[rows]
    stamped = not np.isnan(stamps[0])
    if not stamped:
        stamps[:] = now
    seqs = columns.seqs[rows] if columns.numbered else None
    count = stream.count
    numbers = seqs if seqs is not None and (seqs >= 0).any() else None
    done = observe_table(stream, columns.table(rows), stamps, numbers, now=now, limits=limits, stamped=stamped)
    answers.put_values(rows, done.values)
    answers.counts[rows] = np.arange(count + 1, count + 1 + len(rows))
    answers.ready[rows] = done.ready
    answers.gaps[rows] = 0 if done.gaps is None else done.gaps
    answers.replayed[rows] = False
    answers.skews[rows] = 0.0 if done.skews is None else done.skews
