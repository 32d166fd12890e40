"""Bodies of line protocol: however many lines are read at once, each is what it is alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.api.codecs.codec import DecodeContext
from streamnorm.api.codecs.devices import line_protocol as codec
from streamnorm.engine.limits import Limits
from streamnorm.errors import InvalidInput
from streamnorm.formats.line_protocol import Malformed, parsed, stream_id, to_reading
from streamnorm.formats.point_columns import PointColumns

PLAIN = st.sampled_from(["m f=1 17", "m,t=a f=1.5,g=2i", "m,t=b g=3,f=-1e-3 18", "n f=7"])
#: comments, nothing, errors, texts of one line and of several, and ends of lines as Windows has them
# fmt: off
ODD = st.sampled_from([
    "", "# a comment", "m", "m f=t", "m f=1e99", 'm f="x"', 'm f="x\ny",g=1', 'm f="x\nm f=1\ny",g=1', 'm f="x',
    "m f=1\r",
])
# fmt: on


def rows_of(columns: PointColumns) -> list[tuple[str, int, str]]:
    """Return the stream, the line and the reading of each row."""
    streams = [columns.stream_ids[stream] for stream in columns.stream_of]
    return [(stream, columns.lines[row], repr(columns.reading(row))) for row, stream in enumerate(streams)]


def one_by_one(body: str) -> tuple[list[tuple[str, int, str]], int]:
    """Read a body as its lines say, one after the other: its rows, and how many lines were refused."""
    columns, refused = PointColumns(Limits()), 0
    for line, point, _ in parsed(body):
        try:
            reading = None if point is None else to_reading(point, 1, Limits())
        except InvalidInput:
            reading = None
        refused += reading is None and (point is None or bool(point.numbers()))
        if point is not None and reading is not None:
            columns.append_point(stream_id(point), reading, line)
    return rows_of(columns.freeze()), refused


def decoded(body: str) -> list[tuple[str, int, str]]:
    """Read a body as the codec does, and return its rows."""
    return rows_of(codec.LineProtocolCodec().decode(body.encode(), DecodeContext(Limits(), 0.0, 10**6, tick=1)).columns)


@pytest.mark.parametrize("at_once", [1, 3, 64])
@given(st.lists(PLAIN, max_size=12), st.lists(st.tuples(st.integers(0, 12), ODD), max_size=3))
def test_lines_are_read_at_once_as_one_by_one(at_once: int, plain: list[str], odd: list[tuple[int, str]]) -> None:
    lines = [*plain]
    for place, line in odd:
        lines.insert(place, line)
    body = "\n".join(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "AT_ONCE", at_once)
        batch = codec.LineProtocolCodec().decode(body.encode(), DecodeContext(Limits(), 0.0, 10**6, tick=1))
    assert (rows_of(batch.columns), batch.faults.count) == one_by_one(body)


def test_an_invalid_byte_is_told_with_its_place_in_the_body() -> None:
    body = b"m f=1\n" * 20_000 + b"m,t=\xff f=1"
    with pytest.raises(Malformed, match=f"position {len(body) - 5}"):
        codec.LineProtocolCodec().decode(body, DecodeContext(Limits(), 0.0, 10**6, tick=1))


def test_lines_that_end_as_on_windows_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"m,t=a f={n} {n}" for n in range(20_000)]
    found = [decoded("\n".join(lines)), decoded("\n".join([*lines, ""]))]
    alone: list[str] = []
    monkeypatch.setattr(PointColumns, "append_line", lambda _, __, line: alone.append(line))
    assert [decoded("\r\n".join(lines)), decoded("\r\n".join([*lines, ""]))] == found
    assert alone == []
