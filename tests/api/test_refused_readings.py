"""What is wrong in a reading is told with its place, and changes no bit of any stream."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.http_calls import NOW, Api, assert_problem

HERE = "/v1/streams/boiler-7/readings"
READING = "invalid-reading"


def nested(depth: int) -> dict[str, Any]:
    """Build a reading with a channel so deep."""
    channel: Any = 1
    for _ in range(depth):
        channel = [channel]
    return {"values": {"deep": channel}}


#: what is wrong -> the body, and the places named
WRONG: dict[str, tuple[Any, list[str]]] = {
    "an array for a body": ([], [""]),
    "a number for a body": (1, [""]),
    "null for a body": ("null", [""]),
    "no values": ({"seq": 18}, ["/values"]),
    "an unknown field": ({"values": {"temp": 1}, "sequence": 1}, ["/sequence"]),
    "two wrong fields": ({"value": {"temp": 1}, "seq": "18"}, ["/values", "/seq", "/value"]),
    "a field whose name needs escaping": ({"values": {"temp": 1}, "a/b~c": 1}, ["/a~1b~0c"]),
    "a number for values": ({"values": 1}, ["/values"]),
    "text for values": ({"values": "21.4"}, ["/values"]),
    "null for values": ({"values": None}, ["/values"]),
    "empty values": ({"values": {}}, ["/values"]),
    "an empty array for values": ({"values": []}, ["/values"]),
    "text for a number": ({"values": {"temp": "21.4"}}, ["/values/temp"]),
    "an object for a number": ({"values": {"temp": {"c": 21.4}}}, ["/values/temp"]),
    "two wrong values": ({"values": {"temp": "a", "door": 0, "ir": "b"}}, ["/values/temp", "/values/ir"]),
    "a wrong value of an array": ({"values": [1, "x"]}, ["/values/1"]),
    "a wrong value whose name needs escaping": ({"values": {"a/b~c": "x"}}, ["/values/a~1b~0c"]),
    "a number beyond all sensors": ({"values": {"temp": 1e80}}, ["/values/temp"]),
    "text in a channel": ({"values": {"ir": [[1, 2], [3, "4"]]}}, ["/values/ir/1/1"]),
    "a number beyond all sensors in a channel": ({"values": {"ir": [[1, 2], [3, -1e80]]}}, ["/values/ir"]),
    "an empty channel": ({"values": {"ir": []}}, ["/values/ir"]),
    "a channel of empty rows": ({"values": {"ir": [[], []]}}, ["/values/ir"]),
    "a ragged channel": ({"values": {"ir": [[1, 2], [3]]}}, ["/values/ir"]),
    "a channel of uneven depth": ({"values": {"ir": [[1, 2], 3]}}, ["/values/ir"]),
    "a channel nested too deep": (nested(33), ["/values/deep"]),
    "a feature without a name": ({"values": {"temp": 1, "": 1}}, ["/values"]),
    "a feature's name over the limit": ({"values": {"n" * 129: 1}}, ["/values"]),
    "a feature's name that cannot be printed": ({"values": {"a\nb": 1}}, ["/values"]),
    "a naive timestamp": ({"values": {"temp": 1}, "timestamp": "2026-11-22T09:00:00"}, ["/timestamp"]),
    "a timestamp that is no time": ({"values": {"temp": 1}, "timestamp": "yesterday"}, ["/timestamp"]),
    "a timestamp of a day that never was": ({"values": {"temp": 1}, "timestamp": "2026-02-30T09:00Z"}, ["/timestamp"]),
    "a boolean for a timestamp": ({"values": {"temp": 1}, "timestamp": True}, ["/timestamp"]),
    "an array for a timestamp": ({"values": {"temp": 1}, "timestamp": [2026, 11]}, ["/timestamp"]),
    "a timestamp far in the future": ({"values": {"temp": 1}, "timestamp": NOW + 86_401}, ["/timestamp"]),
    "a timestamp in the year 9999": ({"values": {"temp": 1}, "timestamp": "9999-12-31T23:59:59-14:00"}, ["/timestamp"]),
    "a timestamp before the year 1": ({"values": {"temp": 1}, "timestamp": "0001-01-01T00:00+14:00"}, ["/timestamp"]),
    "a timestamp beyond all years": ({"values": {"temp": 1}, "timestamp": -1e300}, ["/timestamp"]),
    "a negative number": ({"values": {"temp": 1}, "seq": -1}, ["/seq"]),
    "a number with a fraction": ({"values": {"temp": 1}, "seq": 18.5}, ["/seq"]),
    "a number as text": ({"values": {"temp": 1}, "seq": "18"}, ["/seq"]),
    "a boolean for the number": ({"values": {"temp": 1}, "seq": True}, ["/seq"]),
    "a number above 2⁵³": ({"values": {"temp": 1}, "seq": 2**53}, ["/seq"]),
    "a number above 2⁶⁴": ({"values": {"temp": 1}, "seq": 2**70}, ["/seq"]),
}  # fmt: skip
#: the same for what is only wrong beside what was before
CONFLICTS: dict[str, tuple[Any, list[str]]] = {
    "a channel that changes its shape": ({"values": {"ir": [[1, 2, 3, 4]]}}, ["/values/ir"]),
    "a channel that becomes a number": ({"values": {"temp": 1, "ir": 1}}, ["/values/ir"]),
    "a number that becomes a channel": ({"values": {"temp": [1]}}, ["/values/temp"]),
    "the last number with other features": ({"values": {"temp": 1}, "seq": 17}, ["/values"]),
}


@pytest.mark.parametrize(("body", "pointers"), [*WRONG.values(), *CONFLICTS.values()], ids=[*WRONG, *CONFLICTS])
async def test_a_reading_is_refused_for(warm: Api, body: object, pointers: list[str]) -> None:
    before = await warm.state()
    assert_problem(await warm.post(HERE, body), 422, READING, *pointers)
    assert await warm.state() == before


async def test_no_stream_is_made_by_what_is_refused(api: Api) -> None:
    for body, _ in WRONG.values():
        await api.post(HERE, body)
    assert await api.state() == {}


NO_JSON: dict[str, str | bytes] = {
    "no body": b"",
    "blanks": b" \n",
    "truncated JSON": '{"values": {"temp": 21.4',
    "two bodies": '{"values": {"temp": 1}} {"values": {"temp": 2}}',
    "Infinity": '{"values": {"temp": -Infinity}}',
    "a number beyond float64": '{"values": {"temp": 1e999}}',
    "a whole number beyond float64": '{"values": {"temp": ' + "9" * 400 + "}}",
    "single quotes": "{'values': {'temp': 1}}",
    "a trailing comma": '{"values": {"temp": 1,}}',
    "invalid UTF-8": b'{"values": {"temp\xff": 1}}',
    "half a surrogate pair": '{"values": {"\\ud800": 1}}',
    "nesting without end": '{"values": ' + "[" * 5000,
    "nesting beyond the parser's limit": '{"values": {"ir": ' + "[" * 2000 + "1" + "]" * 2000 + "}}",
    "a form": "values=21.4",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
async def test_no_json_is(warm: Api, body: str | bytes) -> None:
    before = await warm.state()
    assert_problem(await warm.post(HERE, body), 400, "malformed-json")
    assert await warm.state() == before


async def test_deep_nesting_within_the_parsers_limit_is_refused(warm: Api) -> None:
    before = await warm.state()
    body = '{"values": {"deep": ' + "[" * 900 + "1" + "]" * 900 + "}}"
    assert_problem(await warm.post(HERE, body), 422, READING, "/values/deep")
    assert await warm.state() == before


async def test_a_stale_number_is_told_with_the_last_one(warm: Api) -> None:
    before = await warm.state()
    problem = assert_problem(await warm.post(HERE, {"values": {"temp": 1}, "seq": 16}), 409, "stale-sequence")
    assert problem["last_seq"] == 17
    assert await warm.state() == before


async def test_too_many_features_are_told_with_the_limit(warm: Api) -> None:
    before = await warm.state()
    values = {f"f{n}": n for n in range(18)}  # and the stream's own three
    problem = assert_problem(await warm.post(HERE, {"values": values}), 422, "limit-exceeded")
    assert problem["limit"] == "max_features"
    assert await warm.state() == before


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"values": {"temp": "x"}}, ["/values/temp"]),
        ({"values": {"temp": 1}, "seq": 1}, ["/seq"]),
        ({}, ["/values"]),
    ],
    ids=["text for a number", "an unknown field", "no values"],
)
async def test_denormalizing_is_refused_for(warm: Api, body: object, pointers: list[str]) -> None:
    assert_problem(await warm.post("/v1/streams/boiler-7/denormalize", body), 422, READING, *pointers)


async def test_an_unknown_feature_cannot_be_denormalized(warm: Api) -> None:
    body = {"values": {"temp": 1, "a/b": 1}}
    assert_problem(await warm.post("/v1/streams/boiler-7/denormalize", body), 422, "cannot-invert", "/values/a~1b")


async def test_a_feature_whose_gamma_is_0_cannot_be_denormalized(warm: Api) -> None:
    await warm.post("/v1/streams/boiler-7", {"affine": {"temp": {"gamma": 0}}}, method="PUT")
    body = {"values": {"temp": 1}}
    assert_problem(await warm.post("/v1/streams/boiler-7/denormalize", body), 422, "cannot-invert", "/values/temp")
