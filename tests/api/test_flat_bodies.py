"""JSON as people write it: flat bodies, NaN, byte order marks; on every way in alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from streamnorm.engine.limits import Limits
from streamnorm.errors import InvalidReading
from streamnorm.formats import lenient_json
from streamnorm.formats.payload import decoded
from tests.support.http_calls import NOW, Api, assert_problem, running

HERE = "/v1/streams/boiler-7/readings"
FLAT = {
    "temp": 21.5,
    "door": True,
    "ir": [[1, 2], [3, 4]],
    "room": "roof",
    "note": None,
    "seq": 7,
    "timestamp": NOW - 9,
}


async def last(api: Api) -> dict[str, Any]:
    """Return what is kept of the stream: its last number, time and values."""
    snapshot = (await api.get("/v1/streams/boiler-7/snapshot")).json()
    info = (await api.get("/v1/streams/boiler-7")).json()
    return {"seq": info["last_seq"], **{each["name"]: each["last"] for each in snapshot["features"]}}


async def test_a_body_without_values_is_the_values(api: Api) -> None:
    answer = await api.observe("boiler-7", FLAT)
    assert set(answer["values"]) == {"temp", "door", "ir"}
    assert await last(api) == {"seq": 7, "temp": 21.5, "door": 1.0, "ir": 2.5}


@pytest.mark.parametrize("path", ["/v1/streams/boiler-7/bulk", "/v1/bulk"])
async def test_a_line_without_values_is_the_values(api: Api, path: str) -> None:
    response = await api.lines(path, FLAT if "streams" in path else FLAT | {"stream": "boiler-7"})
    assert response.status_code == 200
    assert await last(api) == {"seq": 7, "temp": 21.5, "door": 1.0, "ir": 2.5}


async def test_readings_without_values_are_the_values(api: Api) -> None:
    response = await api.post("/v1/bulk", {"readings": [FLAT | {"stream": "boiler-7"}]})
    assert response.status_code == 200
    assert await last(api) == {"seq": 7, "temp": 21.5, "door": 1.0, "ir": 2.5}


def test_a_message_without_values_is_the_values() -> None:
    [reading] = decoded(
        b'{"temp": 21.5, "door": true, "room": "roof", "seq": 7, "timestamp": 1795338000000}', 0, Limits()
    )
    assert (reading.names, reading.values, reading.seq, reading.timestamp) == (("temp", "door"), [21.5, 1.0], 7, NOW)


@pytest.mark.parametrize(
    "body",
    [
        '{"values": {"temp": NaN, "door": 1}}',
        '{"values": {"temp": "NaN", "door": 1}}',
        '\ufeff{"values": {"temp": null, "door": 1}}',
    ],
)
async def test_what_is_missing_may_be_written_in_several_ways(api: Api, body: str) -> None:
    response = await api.post(HERE, body)
    assert response.json()["values"] == {"temp": None, "door": 0.0}


@pytest.fixture(name="roomy")
async def an_api_that_takes_large_bodies() -> AsyncIterator[Api]:
    """Give an API with the usual limits."""
    async with running() as api:
        yield api


MISSING = pytest.mark.parametrize("missing", ["null", "NaN", "nan", "-nan", '"nan"', '"NaN"'])
#: rows behind, for a body that is parsed in slices
MANY = pytest.mark.parametrize("more", [0, 900])


@MANY
@MISSING
async def test_in_a_table_too(roomy: Api, missing: str, more: int) -> None:
    row = f", [21.25, {'1.5':>80}]"
    rows = f"[[{missing}, 1], [21, {missing}]{row * more}]"
    response = await roomy.post("/v1/streams/boiler-7/bulk", f'{{"features": ["temp", "door"], "values": {rows}}}')
    assert response.json()["values"][:2] == [[None, 0.0], [0.0, None]]


@MANY
@MISSING
async def test_in_readings_of_many_streams_too(roomy: Api, missing: str, more: int) -> None:
    reading = f'{{"stream": "boiler-7", "values": {{"temp": {missing}, "door": 1}}}}'
    response = await roomy.post("/v1/bulk", f'{{"readings": [{reading}{f", {reading}" * (more)}]}}')
    assert response.json()["readings"][0]["values"] == {"temp": None, "door": 0.0}


@MANY
@MISSING
async def test_in_a_pack_too(roomy: Api, missing: str, more: int) -> None:
    record = f'{{"n": "temp", "v": {missing}}}, {{"n": "door", "v": 1}}'
    headers = {"content-type": "application/senml+json"}
    response = await roomy.post(HERE, f"[{record}{f', {record}' * (more)}]", headers=headers)
    assert [(each["n"], each["v"]) for each in response.json()[:1]] == [("door", 0.0)]


@pytest.mark.parametrize("missing", ["NaN", '"nan"'])
async def test_nan_in_a_flat_body_is_a_missing_number(api: Api, missing: str) -> None:
    response = await api.post(HERE, f'{{"temp": {missing}, "door": 1, "room": "roof"}}')
    assert response.json()["values"] == {"temp": None, "door": 0.0}


async def test_what_is_wrong_beside_nan_is_told_where_it_stands(api: Api) -> None:
    response = await api.post("/v1/streams/boiler-7/bulk", '{"values": [[NaN, 1], [2, warm]]}')
    assert response.json()["detail"].endswith("line 1, column 27")


def test_texts_beside_nan_stay_as_they_are() -> None:
    assert str(lenient_json.loads(r"""{"a\", nan,": [nan, "[-nan]"]}""")) == """{'a", nan,': [nan, '[-nan]']}"""


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"temp": "21.5", "seq": 7}, ["/temp"]),
        ({"value": {"temp": 21.5}}, ["/values", "/value"]),
        ({"seq": 7}, ["/values"]),
        ({"temp": 1e80}, ["/temp"]),
        ({"temp": 21.5, "timestamp": "noon"}, ["/timestamp"]),
        ({"temp": 21.5, "seq": "7"}, ["/seq"]),
    ],
)
async def test_what_is_wrong_in_a_flat_body_is_named_where_it_stands(api: Api, body: Any, pointers: list[str]) -> None:
    assert_problem(await api.post(HERE, body), 422, "invalid-reading", *pointers)


@pytest.mark.parametrize("path", ["/v1/streams/boiler-7/readings", "/v1/streams/boiler-7/bulk", "/v1/bulk"])
async def test_texts_alone_are_told_with_what_was_expected(api: Api, path: str) -> None:
    body = {"temp": "21.5", "stream": "boiler-7"} if path == "/v1/bulk" else {"temp": "21.5"}
    response = await (api.lines(path, body) if "bulk" in path else api.post(path, body))
    assert response.json()["detail"].endswith("/temp: must be a number, null or an array of numbers, not '21.5'")


def test_texts_alone_in_a_message_are_told_a_few_of_them() -> None:
    with pytest.raises(InvalidReading) as caught:
        decoded(b'{"temp": "21.5"}', 0, Limits())
    assert str(caught.value) == "/temp: must be a number, null or an array of numbers, not '21.5'"
    with pytest.raises(InvalidReading) as caught:
        decoded(orjson.dumps({f"t{n}": "x" for n in range(1000)}), 0, Limits())
    assert [fault.pointer for fault in caught.value.faults] == [f"/t{n}" for n in range(8)]


async def test_a_flat_body_nested_without_end_is_refused(api: Api) -> None:
    body = '{"deep": ' + "[" * 900 + "1" + "]" * 900 + "}"
    assert_problem(await api.post(HERE, body), 422, "invalid-reading", "/deep")


async def test_infinity_is_no_json(api: Api) -> None:
    assert_problem(await api.post(HERE, '{"a": NaN, "b": -Infinity}'), 400, "malformed-json")
