"""Answers as plain data."""

from __future__ import annotations

from typing import Any

from streamnorm.engine.blocks.block import BlockAnswer
from streamnorm.engine.reading import Answer, Reading
from streamnorm.engine.state_layout import CREATED, UPDATED
from streamnorm.engine.stream import Stream
from streamnorm.formats.instants import rfc3339


def shaped(reading: Reading, values: list[Any]) -> Any:
    """Return values the form that the reading had: an object, or an array."""
    return values if reading.listed else dict(zip(reading.names, values))  # noqa: B905 - strict, it takes longer


def of_reading(stream_id: str, reading: Reading, answer: Answer) -> dict[str, Any]:
    """Answer one reading."""
    values = shaped(reading, answer.values)
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
    if answer.mean_stds is not None:
        body["mean"] = shaped(reading, [mean for mean, _ in answer.mean_stds])
        body["std"] = shaped(reading, [std for _, std in answer.mean_stds])
    return body


def of_block(
    stream_id: str, names: tuple[str, ...], answer: BlockAnswer, last_seq: int | None = None
) -> dict[str, Any]:
    """Answer a block."""
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
    return body


def as_headers(body: dict[str, Any]) -> dict[str, str]:
    """Return what an answer says beside its values as headers, for where the body has no room for it.

    >>> as_headers({"stream": "boiler-7", "count": 3, "ready": True, "features": ["a", "b"]})
    {'streamnorm-stream': 'boiler-7', 'streamnorm-count': '3', 'streamnorm-ready': 'true'}
    """
    return {
        f"streamnorm-{name.replace('_', '-')}": str(item).lower() if isinstance(item, bool) else str(item)
        for name, item in body.items()
        if not isinstance(item, (list, tuple))
    }


def of_stream(stream_id: str, stream: Stream) -> dict[str, Any]:
    """Describe a stream."""
    return {
        "stream": stream_id,
        "count": stream.count,
        "last_seq": stream.last_seq,
        "features": list(stream.layout.names),
        "config": stream.plan.to_json(),
        "created": rfc3339(stream.state[CREATED]),
        "updated": rfc3339(stream.state[UPDATED]),
    }
