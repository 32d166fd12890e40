"""A stream as its blob: readings in, answers and the next blob out. No I/O, no clock, nothing is remembered.

Rules:

1. However a stream’s readings are cut into calls, answers and blobs have the bits that a service would have given that
   believes stamps: there is no clock to compare them with.
2. A reading that is refused changes nothing; its error takes the place of its answer, and the next one is observed.
3. Rules hold as in a service, which asks the same `Rulebook`: `streamnorm.engines.rules` says what may be given.
4. A stream is made by the first reading that is not refused. Where rules do not go together for it, all its readings
   are refused.

`rules` are what `streamnorm.engines.rules` says, `now` is the time (s since 1970) of readings without one, and `limits`
bound a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streamnorm.engine.blocks.answers import AnswerColumns
from streamnorm.engine.blocks.bulk import Work, observe_each
from streamnorm.engine.blocks.coalesce import observe_run
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.limits import LARGEST_SEQ, LARGEST_VALUE, Limits
from streamnorm.engine.reading import Answer, Array, Reading
from streamnorm.engines.rules import AnyRules, refuse_circular, rulebook_of
from streamnorm.errors import InvalidConfiguration, InvalidReading, StreamnormError
from streamnorm.stores.codec import decode, encode
from streamnorm.stores.ruled import as_ruled

if TYPE_CHECKING:
    from streamnorm.engine.streams.rulebook import Rulebook
    from streamnorm.engine.streams.stream import Stream

#: Stamps are believed. How many readings come at once is for the engine to say.
LIMITS = Limits(max_rows=2**31, max_ahead=None)


@dataclass(frozen=True, slots=True)
class Table:
    """Readings of one stream: `values` is rows × features, NaN where a value is missing.

    `times` are seconds since 1970, NaN for none; `seqs` are numbers, negative for none.
    """

    names: tuple[str, ...]
    values: Array
    times: Array | None = None
    seqs: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class TableAnswer:
    """The answers to a table, row by row; the values of a row that was refused are NaN, and its count is 0."""

    values: Array
    counts: npt.NDArray[np.int64]
    ready: npt.NDArray[np.bool_]
    gaps: npt.NDArray[np.int64]
    replayed: npt.NDArray[np.bool_]
    #: see `Answer.skew`
    skews: Array
    #: why rows were refused, by their places
    errors: dict[int, StreamnormError]


def observe_blob(
    blob: bytes | None,
    readings: Sequence[Reading],
    rules: AnyRules,
    now: float,
    *,
    stream_id: str = "",
    columns: Sequence[str] = (),
    limits: Limits = LIMITS,
) -> tuple[bytes | None, list[Answer | StreamnormError]]:
    """Observe readings into the blob of the stream `stream_id`; None is a stream that has seen nothing.

    `now` is the time of readings that have none, in seconds since 1970. Of the features in `columns` the answers have
    room for one value each: rules that make two of one are refused.

    >>> from streamnorm.engine.reading import Reading
    >>> blob, answers = observe_blob(None, [Reading(("temp",), [20.0]), Reading(("temp",), [22.0])], {}, 0.0)
    >>> [round(answer.values[0], 3) for answer in answers]
    [0.0, 0.999]
    >>> observe_blob(blob, [Reading(("temp",), [20.0])], {}, 0.0)[1][0].count
    3

    Raises:
        InvalidConfiguration, InvalidConfigFile: the rules are none.
        StoreCorrupt: the blob is none of a stream.

    """
    rulebook = rulebook_of(rules)
    try:
        stream = _load(blob, rulebook, stream_id, columns)
    except InvalidConfiguration as error:
        return blob, [error] * len(readings)
    answers: list[Answer | StreamnormError] = []
    while len(answers) < len(readings):
        run = observe_run(stream, readings[len(answers) :], now, limits)
        answers += run.answers
        if run.error is not None:
            answers.append(run.error)
    return _next(blob, stream), answers


def observe_table(
    blob: bytes | None, table: Table, rules: AnyRules, now: float, *, stream_id: str = "", limits: Limits = LIMITS
) -> tuple[bytes | None, TableAnswer]:
    """Observe a table of readings into the blob of the stream `stream_id`, to the bits of its rows one by one.

    Raises:
        InvalidReading: it is no table: names and columns differ in number, or a name comes twice.
        InvalidConfiguration, InvalidConfigFile, StoreCorrupt: as `observe_blob` says.

    """
    if table.values.ndim != 2 or len(set(table.names)) != table.values.shape[1]:  # noqa: PLR2004 - rows and columns
        raise InvalidReading.at("/features", f"names {len(set(table.names))} features, the rows have others")
    rulebook, rows = rulebook_of(rules), len(table.values)
    columns = ReadingColumns.of_table(table.names, table.values, table.times, table.seqs, limits)
    answers = AnswerColumns(columns)
    answers.values[:] = np.nan
    errors: dict[int, StreamnormError] = {}
    try:
        stream = _load(blob, rulebook, stream_id, table.names)
    except InvalidConfiguration as error:
        errors = dict.fromkeys(range(rows), error)
    else:
        errors = _wild(table)
        good = np.setdiff1d(np.arange(rows), list(errors)) if errors else np.arange(rows)
        if len(good) and table.names:
            observe_each(stream, Work(columns, answers, now, limits), good, errors.__setitem__)
        blob = _next(blob, stream)
    found = answers.values.reshape(table.values.shape)
    return blob, TableAnswer(
        found, answers.counts, answers.ready, answers.gaps, answers.replayed, answers.skews, errors
    )


def _load(blob: bytes | None, rulebook: Rulebook, stream_id: str, columns: Sequence[str]) -> Stream:
    """Return a stream as a store would load it, or a new one.

    Raises:
        InvalidConfiguration: rules do not go together for it, or make two values of a column.

    """
    stream = rulebook.new(stream_id) if blob is None else as_ruled(rulebook, stream_id, decode(stream_id, blob))
    refuse_circular(stream.plan, columns)
    return stream


def _next(blob: bytes | None, stream: Stream) -> bytes | None:
    """Return the stream's blob; a stream that has taken nothing is not made."""
    return blob if blob is None and not stream.count else encode(stream)


def _wild(table: Table) -> dict[int, StreamnormError]:
    """Find the rows with values or numbers that no reading can have."""
    errors: dict[int, StreamnormError] = {}
    bad = ~(np.abs(table.values) <= LARGEST_VALUE) & ~np.isnan(table.values)
    for row, column in np.argwhere(bad)[::-1].tolist():
        detail = f"{float(table.values[row, column])!r} is not within ±{LARGEST_VALUE:g}"
        errors[row] = InvalidReading.at(f"/values/{table.names[column]}", detail)
    if table.seqs is not None:
        for row in np.flatnonzero(table.seqs > LARGEST_SEQ).tolist():
            errors[row] = InvalidReading.at("/seq", f"{table.seqs[row]} is not within 0 and {LARGEST_SEQ}")
    return errors
