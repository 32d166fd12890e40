"""Bodies that are read many at a time become what each becomes by itself, or are left to be read so."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.api.codecs.json.plain_readings import append_all_plain
from streamnorm.api.codecs.json.readings import ReadingParser
from streamnorm.auth.api_keys import ANYONE, ApiKey
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.limits import Limits
from streamnorm.errors import LimitExceeded
from tests.support.http_calls import NDJSON, running

LINES = {"content-type": NDJSON}
SCOPED = ApiKey("1", "sensors", frozenset(), prefix="a")
NUMBERS: st.SearchStrategy[Any] = st.sampled_from([
    *(1.5, -0.0, 0, 3, 2**53 + 1, 2**64 - 1, -(2**63), 1e50, None),
    *(1e76, True, "on", [1.0, 2.0], [[1.0]], {}, "21.4"),
])  # fmt: skip
NAMES = st.sampled_from(["temp", "door", "é", "values", "stream", "seq", ""])
VALUES = st.dictionaries(NAMES, NUMBERS, max_size=3) | st.lists(NUMBERS, max_size=3) | NUMBERS
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "seq": st.sampled_from([0, 17, 2**53 - 1, 2**53, -1, 1.0, True, None, "1"]),
    "timestamp": st.sampled_from([0, 1.5, 1_795_338_000_000, -1, "2026-11-22T09:00:00Z", "9:00", None, True, [1]]),
    "more": st.just(1),
}
STREAMS = st.sampled_from(["a", "b", "a/b~1", "", " ", 7, None, ["a"]])
ONE = st.fixed_dictionaries({"values": VALUES}, optional=MEMBERS) | st.dictionaries(NAMES, NUMBERS) | NUMBERS
MANY = st.fixed_dictionaries({"stream": STREAMS, "values": VALUES}, optional=MEMBERS) | st.fixed_dictionaries(
    {"stream": STREAMS, "temp": NUMBERS}, optional=MEMBERS
)


def one_by_one(bodies: list[Any], caller: ApiKey, stream_id: str | None) -> ReadingColumns:
    """Parse each body by itself."""
    columns = ReadingColumns(Limits())
    for body in bodies:
        columns.append(*ReadingParser(Limits(), stream_id, caller)(json.dumps(body)))
    return columns


def told(columns: ReadingColumns) -> list[tuple[str, str]]:
    """Return the stream and the text of each reading."""
    columns.freeze()
    streams = [columns.stream_ids[place] for place in columns.stream_of]
    return [(stream, repr(columns.reading(row))) for row, stream in enumerate(streams)]


def check(bodies: list[Any], caller: ApiKey, stream_id: str | None) -> None:
    """Compare both ways, of bodies that came as JSON."""
    columns = ReadingColumns(Limits())
    if append_all_plain(columns, orjson.loads(json.dumps(bodies)), caller, stream_id):
        assert told(columns) == told(one_by_one(bodies, caller, stream_id))
    else:
        assert not len(columns)


@given(st.lists(ONE, min_size=1, max_size=3))
def test_bodies_of_one_stream_become_what_each_becomes_by_itself(bodies: list[Any]) -> None:
    check(bodies, ANYONE, "boiler-7")


@given(st.lists(MANY, min_size=1, max_size=3), st.sampled_from([ANYONE, SCOPED]))
def test_bodies_that_name_their_streams_become_what_each_becomes_by_itself(bodies: list[Any], caller: ApiKey) -> None:
    check(bodies, caller, None)


PLAIN: dict[str, list[dict[str, Any]]] = {
    "objects": [{"values": {"temp": 1.5, "door": 0}}, {"values": {"light": None}}],
    "arrays": [{"values": [1.5, 2]}, {"values": [None]}],
    "flat": [{"temp": 1.5}, {"temp": 2, "door": 1}],
    "numbered": [{"values": [1.5], "seq": 1}, {"values": [1.5], "seq": 2**53 - 1}],
    "flat and stamped": [{"temp": 1.5, "timestamp": 1}, {"door": 1, "timestamp": "2026-11-22T09:00:00Z"}],
}


@pytest.mark.parametrize("bodies", PLAIN.values(), ids=PLAIN)
def test_plain_bodies_are_read_at_once(bodies: list[dict[str, Any]]) -> None:
    columns = ReadingColumns(Limits())
    assert append_all_plain(columns, bodies, ANYONE, "boiler-7")
    assert told(columns) == told(one_by_one(bodies, ANYONE, "boiler-7"))
    named = [{"stream": f"b-{row % 2}"} | body for row, body in enumerate(bodies * 2)]
    columns = ReadingColumns(Limits())
    assert append_all_plain(columns, named, ANYONE)
    assert told(columns) == told(one_by_one(named, ANYONE, None))


#: beside a plain body of the same form, each is another reading, or none, or one to be refused
ODD: list[Any] = [
    *({"values": [value]} for value in (True, "1", [1.0], {"a": 1.0}, 1e76, 2**80)),
    *({"temp": value} for value in (None, True, "on", [1.0], {"a": 1.0}, -1e76)),
    *({"values": []}, {"values": {}}, {"values": None}, {"values": 1.5}, {"values": "1"}),
    *({"values": [1.5], "seq": seq} for seq in (-1, 2**53, 1.0, True, None, "1")),
    *({"values": [1.5], "timestamp": time} for time in ("9:00", None, True, [1])),
    *({"temp": 1.5, "seq": seq} for seq in (-1, 2**53, True, None)),
    *({"temp": None, "door": 1.5}, {"values": [1.5], "more": 1}, {"temp": 1.5, "values": 1}, {}, [], None, 1.5),
]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_bodies_beside_plain_ones_become_what_they_become_by_themselves(odd: Any) -> None:
    given = odd if isinstance(odd, dict) else {}
    plain = {name: {"values": [1.5], "seq": 5, "timestamp": 5.0}.get(name, 1.5) for name in given if name != "more"}
    for other in (plain, {"values": [1.5]}, {"temp": 1.5}):
        for bodies in ([other, odd], [odd, other], [odd]):
            check(bodies, ANYONE, "boiler-7")
            named = [{"stream": "a"} | body if isinstance(body, dict) else body for body in bodies]
            check(named, ANYONE, None)


@pytest.mark.parametrize("stream", ["b", "", " ", "a" * 300, 7, None, ["a"]], ids=repr)
def test_streams_that_are_none_or_not_the_callers_leave_all_to_be_refused(stream: Any) -> None:
    columns = ReadingColumns(Limits())
    for bodies in ([{"stream": "a", "temp": 1.5}, {"stream": stream, "temp": 1.5}], [{"stream": stream, "temp": 1.5}]):
        assert not append_all_plain(columns, bodies, SCOPED)
    assert not append_all_plain(columns, [{"temp": 1.5}], SCOPED)
    assert not len(columns)


def test_a_missing_number_that_came_as_nan_is_one() -> None:
    columns = ReadingColumns(Limits())
    assert append_all_plain(columns, [{"values": [math.nan, 1.0]}], ANYONE, "boiler-7")
    assert repr(columns.freeze().reading(0).values) == "[nan, 1.0]"


def test_too_many_are_left_to_be_refused() -> None:
    columns = ReadingColumns(Limits(max_rows=2))
    assert not append_all_plain(columns, [{"temp": 1.0}] * 3, ANYONE, "boiler-7")
    assert append_all_plain(columns, [{"temp": 1.0}] * 2, ANYONE, "boiler-7")
    with pytest.raises(LimitExceeded, match="max_features"):
        append_all_plain(ReadingColumns(Limits(max_features=2)), [{"values": [1, 2, 3]}], ANYONE, "boiler-7")


def test_empty_lines_are_passed_over() -> None:
    columns, parse = ReadingColumns(Limits()), ReadingParser(Limits(), "boiler-7")
    lines = [b'{"values":[1.5]}', b"", b'{"values":[2.5]}\r', b""]
    assert parse.append_all_plain(columns, lines)
    assert [reading.values for _, reading in columns.freeze().readings()] == [[1.5], [2.5]]
    again = parse.parse_all_plain(lines)
    assert again is not None
    assert [*again.readings()] == [*columns.readings()]
    assert parse.parse_all_plain([b""]) is None
    assert parse.parse_all_plain([b"{}"]) is None
    assert ReadingParser(Limits(max_features=1), "boiler-7").parse_all_plain([b'{"values":[1,2]}']) is None


@pytest.mark.parametrize(
    ("odd", "where"),
    [
        (b'{"stream":"a","values":[1}', "line 200"),
        (b'{"stream":"a","values":["x"]}', "/198/values/0"),
        (b'{"stream":"a","values":[1]},{"stream":"a","values":[2]}', "line 200"),
        (b'{"stream":"a"', "line 200"),
    ],
)
async def test_a_fault_is_told_by_its_own_line(odd: bytes, where: str) -> None:
    lines = [b'{"stream":"a","values":[1.5]}'] * 300
    async with running() as api:
        response = await api.post("/v1/bulk", b"\n".join([*lines[:150], b"", *lines[:48], odd, *lines]), headers=LINES)
        assert where in response.text
        assert await api.state() == {}


async def test_lines_that_are_not_plain_are_read_among_others() -> None:
    plain = b'{"stream":"a","values":{"0":1.5},"seq":%d}'
    flat = b'{"stream":"a","0":1.5,"note":"calm","seq":%d}'
    lines = [(flat if seq % 100 == 50 else plain) % seq for seq in range(1, 301)]
    async with running() as api, running() as other:
        response = await api.post("/v1/bulk", b"\n".join(lines), headers=LINES)
        answers = response.text.splitlines()
        for line, answer in zip(lines, answers, strict=True):
            alone = await other.post("/v1/bulk", line, headers=LINES)
            assert alone.text == answer + "\n"
