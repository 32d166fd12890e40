"""Serializes answers to plain data and to JSON, in slices that bound how long the encoder holds the GIL."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from streamnorm.api.http.responses import Piece, dumps, dumps_line
from streamnorm.engine.blocks.answers import AnswerColumns
from streamnorm.engine.blocks.block import BlockAnswer
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.reading import Answer, Array, Reading
from streamnorm.engine.state.layout import CREATED, OFFSET, SKEW, UPDATED
from streamnorm.engine.streams.feature_profile import profile
from streamnorm.engine.streams.stream import Stream
from streamnorm.formats.instants import rfc3339

T = TypeVar("T")

#: Answers encoded in one call: about two milliseconds.
ROWS = 1000
#: Numbers of a table encoded in one call, with the same duration.
VALUES = 10_000


def reshape_like(reading: Reading, values: Sequence[Any], names: tuple[str, ...] | None = None) -> Any:
    """Return values in the form of the reading, an object or an array; `names` are theirs if not the reading's."""
    if reading.listed:
        return np.asarray(values) if isinstance(values, array) else values
    return dict(zip(names or reading.names, values))  # noqa: B905 - strict, it takes longer


def reading_to_json(stream_id: str, reading: Reading, answer: Answer) -> dict[str, Any]:
    """Return the JSON members of the `answer` to a `reading` of the stream `stream_id`."""
    values = reshape_like(reading, answer.values, answer.names)
    body: dict[str, Any]
    if reading.seq is None:
        body = {"stream": stream_id, "count": answer.count, "ready": answer.ready, "values": values}
    else:
        body = {
            "stream": stream_id,
            "seq": reading.seq,
            "count": answer.count,
            "ready": answer.ready,
            "values": values,
        }
    if answer.gap:
        body["gap"] = answer.gap
    if answer.replayed:
        body["replayed"] = True
    if answer.skew:
        body["clock_ahead" if answer.skew > 0.0 else "clock_set_back"] = round(abs(answer.skew), 3)
    if answer.mean_stds is not None:
        body["mean"] = reshape_like(reading, [mean for mean, _ in answer.mean_stds], answer.names)
        body["std"] = reshape_like(reading, [std for _, std in answer.mean_stds], answer.names)
    return body


def of_block(
    stream_id: str, names: tuple[str, ...], answer: BlockAnswer, last_seq: int | None = None
) -> dict[str, Any]:
    """Return the JSON members of the `answer` to a block of `stream_id` with the features `names`.

    `last_seq` is the sequence number of the last row, if rows are numbered.
    """
    body: dict[str, Any] = {
        "stream": stream_id,
        "count": answer.count,
        "ready": answer.ready,
        "features": names,
        "values": answer.values,
    }
    if last_seq is not None:
        body["last_seq"] = last_seq
    if answer.gap:
        body["gap"] = answer.gap
    if answer.replayed:
        body["replayed"] = True
    if answer.clock_ahead:
        body["clock_ahead"] = round(answer.clock_ahead, 3)
    if answer.clock_set_back:
        body["clock_set_back"] = round(answer.clock_set_back, 3)
    return body


def rows_to_json(columns: ReadingColumns, answers: AnswerColumns) -> Iterator[dict[str, Any]]:
    """Yield the answer to each reading of a batch, equal to that of a single reading."""
    reading, answer = Reading((), []), Answer([], 0, ready=False)  # reused: creating them costs as much as encoding
    for start in range(0, len(columns), ROWS):
        rows = slice(start, start + ROWS)
        counters = zip(
            answers.counts[rows].tolist(),
            answers.ready[rows].tolist(),
            answers.gaps[rows].tolist(),
            answers.replayed[rows].tolist(),
            answers.skews[rows].tolist(),
            strict=True,
        )
        own = zip(
            columns.stream_of[rows].tolist(), columns.head_of[rows].tolist(), columns.seqs[rows].tolist(), strict=True
        )
        values = columns.split_rows(rows, answers.values)
        for row, (ys, (stream, head, seq), counted) in enumerate(zip(values, own, counters, strict=True), start):
            reading.names, _, reading.listed = columns.heads[head]
            reading.seq = None if seq < 0 else seq
            if row in answers.renamed:
                yield reading_to_json(columns.stream_ids[stream], reading, answers.renamed[row])
                continue
            answer.values = ys
            answer.count, answer.ready, answer.gap, answer.replayed, answer.skew = counted
            yield reading_to_json(columns.stream_ids[stream], reading, answer)


def lines(items: Iterator[Any]) -> list[Piece]:
    """Encode items as NDJSON, slice by slice."""
    return [b"".join(map(dumps_line, some)) for some in batched(items, ROWS)]


def elements(items: Iterator[Any]) -> list[Piece]:
    """Encode items as the elements of a JSON array, without its brackets, slice by slice."""
    pieces: list[Piece] = []
    for some in batched(items, ROWS):
        pieces += [b",", dumps(some)[1:-1]]
    return pieces[1:]


def table_rows(values: Array) -> list[Piece]:
    """Encode a table's rows as the elements of a JSON array, without its brackets, slice by slice."""
    values = np.ascontiguousarray(values)
    height = max(1, VALUES // values.shape[1])
    pieces: list[Piece] = []
    for start in range(0, len(values), height):
        pieces += [b",", dumps(values[start : start + height])[1:-1]]
    return pieces[1:]


def batched(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Yield items in lists of at most `size`."""
    while some := list(islice(items, size)):
        yield some


def as_headers(body: dict[str, Any]) -> dict[str, str]:
    """Return an answer's members other than its values as headers, for bodies that cannot hold them.

    >>> as_headers({"stream": "boiler-7", "count": 3, "ready": True, "features": ["a", "b"]})
    {'streamnorm-stream': 'boiler-7', 'streamnorm-count': '3', 'streamnorm-ready': 'true'}
    """
    return {
        f"streamnorm-{name.replace('_', '-')}": str(item).lower() if isinstance(item, bool) else str(item)
        for name, item in body.items()
        if not isinstance(item, (list, tuple))
    }


def of_stream(stream_id: str, stream: Stream) -> dict[str, Any]:
    """Return the JSON description of a stream."""
    return {
        "stream": stream_id,
        "count": stream.count,
        "last_seq": stream.last_seq,
        "features": list(stream.layout.names),
        "config": stream.plan.to_json(),
        "created": rfc3339(stream.state[CREATED]),
        "updated": rfc3339(stream.state[UPDATED]),
    }


def of_profile(stream_id: str, stream: Stream, now: float) -> dict[str, Any]:
    """Describe the features of `stream` at the time `now` (seconds since 1970), and its device's clock.

    `stream_id` is how the answer names it.
    """
    return {
        "stream": stream_id,
        "clock_ahead": max(0.0, round(stream.state[SKEW], 3)),
        "clock_set_back": round(stream.state[OFFSET], 3),
        "features": profile(stream, now),
    }
