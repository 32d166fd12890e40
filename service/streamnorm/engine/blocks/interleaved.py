"""Readings of many streams that arrived together, a few of each: one call of compiled code takes most of them in."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streamnorm.engine.blocks.bulk import Work, fit, observe_each
from streamnorm.engine.blocks.coalesce import count_rows, latest_time
from streamnorm.engine.state.layout import COUNT, HEADER_BYTES
from streamnorm.engine.streams.clock import settle_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streamnorm.engine.blocks.columns import ReadingColumns, Rows
    from streamnorm.engine.limits import Limits
    from streamnorm.engine.reading import Array
    from streamnorm.engine.streams.clock import Settled
    from streamnorm.engine.streams.stream import Stream
    from streamnorm.errors import StreamnormError
    from streamnorm.kernels.cpu.loops import Loops

#: Of fewer rows, in all or of a stream on average, each is observed faster by itself.
FEWEST, SHORTEST_MEAN = 32, 4
#: Numbers of one stream that are worth a table of their own.
LEAST_IN_TABLE = 1024


class Run(NamedTuple):
    """Rows of a stream: their numbers, None where no row has one, and their times, None where those do not matter."""

    stream: Stream
    rows: Rows
    seqs: Rows | None
    settled: Settled | None
    #: the state before them, where that is kept for a retry
    before: array[float] | None


def are_runs(columns: ReadingColumns) -> bool:
    """Return whether so many rows, and of each stream, arrived together that `observe_interleaved` is worth it."""
    return len(columns) >= max(FEWEST, SHORTEST_MEAN * len(columns.stream_ids))


def all_fit(stream: Stream, columns: ReadingColumns, rows: Rows, now: float, limits: Limits) -> bool:
    """Return whether `rows` of the `columns` have just the features of their `stream`, and nothing to object to.

    `now` is the time of arrival (s since 1970), `limits` are those of each reading.
    """
    where, forms = stream.layout, columns.form_of
    if not columns.uniform and (forms[rows] != forms[rows[0]]).any():
        return False
    head = columns.heads[0 if columns.uniform else columns.head_of[rows[0]]]
    usual = head.plain and where.tabular and where.names == head.names
    return usual and fit(stream, columns, rows, latest_time(now, limits)) == len(rows)


def observe_interleaved(streams: Iterable[tuple[Stream, Rows]], work: Work) -> None:
    """Observe some `streams`, each with its rows of the `work`, which `all_fit`.

    The bits are those of one reading after the other.
    """
    columns, answers, now, limits, _ = work
    answers.values[:] = columns.numbers
    runs: dict[Loops, list[Run]] = {}
    stamped = columns.earliest < math.inf
    for stream, rows in streams:
        plan, loops = stream.plan, stream.plan.kernel.fast
        seqs = columns.seqs[rows] if columns.numbered and (columns.seqs[rows] >= 0).any() else None
        before = stream.state[:] if seqs is not None and len(rows) > 1 else None
        if loops is None or plan.mixed or plan.finishes or columns.size(rows) >= LEAST_IN_TABLE:
            observe_each(stream, work, rows, _refused)
            stream.before = before
            continue
        settled = None
        if plan.clocked or (stamped and not np.isnan(columns.times[rows[0]])):
            stamps = columns.times[rows]
            settled = settle_rows(stream.state, np.where(np.isnan(stamps), now, stamps), now, limits, plan.patience)
        runs.setdefault(loops, []).append(Run(stream, rows, seqs, settled, before))
    for loops, some in runs.items():
        _observe_runs(loops, some, work)


def _observe_runs(loops: Loops, runs: Sequence[Run], work: Work) -> None:
    columns, answers, now, _, _ = work
    rows = np.concatenate([run.rows for run in runs])
    lengths = [len(run.rows) for run in runs]
    times: Array = np.full(len(rows), now)
    own = [(run.stream.state.buffer_info()[0] + HEADER_BYTES, run.stream.plan.row.address) for run in runs]
    ends = np.cumsum(lengths)
    for run, end in zip(runs, ends.tolist(), strict=True):
        if run.settled is not None:
            times[end - len(run.rows) : end] = run.settled.times
    starts = columns.starts[rows]
    answers.ready[rows] = loops.observe_readings(
        answers.values, starts, columns.starts[rows + 1] - starts, times, np.repeat(np.array(own), lengths, axis=0)
    )
    counts = np.array([run.stream.state[COUNT] for run in runs], np.int64)
    answers.counts[rows] = np.arange(1, len(rows) + 1) + np.repeat(counts - ends + lengths, lengths)
    for run in runs:
        stream, seqs = run.stream, run.seqs
        gaps = count_rows(stream, len(run.rows), seqs, run.settled, now)
        stream.before = run.before
        if gaps is not None:
            answers.gaps[run.rows] = gaps
        if seqs is not None and seqs[-1] >= 0:
            last = int(run.rows[-1])
            stream.answered = array("d", answers.values[columns.starts[last] : columns.starts[last + 1]])
        if run.settled is not None and run.settled.skews is not None:
            answers.skews[run.rows] = run.settled.skews


def _refused(_row: int, error: StreamnormError) -> None:
    raise error
