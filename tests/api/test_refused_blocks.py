"""A bad row refuses its whole block, is named, and changes no bit of any stream."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.http_calls import NDJSON, NOW, Api, assert_problem, running

BLOCK = "/v1/streams/boiler-7/bulk"
READING = "invalid-reading"

BLOCKS: dict[str, tuple[Any, list[str]]] = {
    "an array for a body": ([[1]], [""]),
    "no values": ({"features": ["temp"]}, ["/values"]),
    "an unknown field": ({"values": [[1]], "columns": ["temp"]}, ["/columns"]),
    "no rows": ({"values": []}, ["/values"]),
    "an empty row": ({"values": [[1], []]}, ["/values/1"]),
    "numbers for rows": ({"values": [1, 2]}, ["/values/0"]),
    "ragged rows": ({"values": [[1, 2], [3, 4], [5]]}, ["/values/2"]),
    "text in a row": ({"values": [[1, 2], [3, "4"]]}, ["/values/1/1"]),
    "a channel in a row": ({"values": [[1, 2], [3, [4]]]}, ["/values/1/1"]),
    "a number beyond all sensors": ({"values": [[1], [1e80]]}, ["/values/1/0"]),
    "too few names": ({"values": [[1, 2]], "features": ["temp"]}, ["/features"]),
    "a name twice": ({"values": [[1, 2]], "features": ["temp", "temp"]}, ["/features"]),
    "a number for a name": ({"values": [[1]], "features": [1]}, ["/features/0"]),
    "a name over the limit": ({"values": [[1]], "features": ["n" * 129]}, ["/values"]),
    "a channel's name": ({"values": [[1]], "features": ["ir"]}, ["/values/ir"]),
    "too few timestamps": ({"values": [[1], [2]], "timestamps": [NOW]}, ["/timestamps"]),
    "a naive timestamp": ({"values": [[1]], "timestamps": ["2026-11-22T09:00:00"]}, ["/timestamps/0"]),
    "a timestamp far ahead": ({"values": [[1], [2]], "timestamps": [NOW, NOW + 1e6]}, ["/timestamps/1"]),
    "a number as text": ({"values": [[1]], "first_seq": "18"}, ["/first_seq"]),
    "numbers that end above 2⁵³": ({"values": [[1], [2]], "first_seq": 2**53 - 1}, ["/first_seq"]),
}

LINES: dict[str, tuple[list[Any], list[str]]] = {
    "an array for a line": ([{"values": {"temp": 1}}, [1]], ["/1"]),
    "an unknown field": ([{"values": {"temp": 1}, "stream": "boiler-7"}], ["/0/stream"]),
    "text for a number": ([{"values": {"temp": 1}}, {"values": {"temp": "x"}}], ["/1/values/temp"]),
    "another shape": ([{"values": {"new": 1}}, {"values": {"new": [1]}}], ["/1/values/new"]),
    "a naive timestamp": ([{"values": [1], "timestamp": "2026-11-22T09:00:00"}], ["/0/timestamp"]),
    "a timestamp far ahead": ([{"values": [1]}, {"values": [1], "timestamp": NOW + 1e6}], ["/1/timestamp"]),
    "a number twice": ([{"values": [1], "seq": 18}, {"values": [1], "seq": 18}], ["/1/seq"]),
    "a number that goes back": ([{"values": [1], "seq": 19}, {"values": [1], "seq": 18}], ["/1/seq"]),
    "no line": (["", " "], [""]),
}

MANY: dict[str, tuple[Any, list[str]]] = {
    "an array for a body": ([{"stream": "a", "values": [1]}], [""]),
    "no readings": ({"readings": []}, ["/readings"]),
    "no stream": ({"readings": [{"values": [1]}]}, ["/readings/0/stream"]),
    "a bad id": (
        {"readings": [{"stream": "a", "values": [1]}, {"stream": "a\n", "values": [1]}]},
        ["/readings/1/stream"],
    ),
    "an id over the limit": ({"readings": [{"stream": "a" * 129, "values": [1]}]}, ["/readings/0/stream"]),
    "a number for an id": ({"readings": [{"stream": 7, "values": [1]}]}, ["/readings/0/stream"]),
    "an unknown field": ({"readings": [{"stream": "a", "values": [1], "x": 1}]}, ["/readings/0/x"]),
    "text for a number": (
        {"readings": [{"stream": "a", "values": [1]}, {"stream": "b", "values": ["x"]}]},
        ["/readings/1/values/0"],
    ),
    "another shape": (
        {"readings": [{"stream": "a", "values": [1]}, {"stream": "boiler-7", "values": {"ir": 1}}]},
        ["/readings/1/values/ir"],
    ),
    "a number twice": (
        {"readings": [{"stream": "a", "values": [1], "seq": 1}, {"stream": "a", "values": [1], "seq": 1}]},
        ["/readings/1/seq"],
    ),
}


@pytest.mark.parametrize(("body", "pointers"), BLOCKS.values(), ids=BLOCKS)
async def test_a_block_is_refused_for(warm: Api, body: object, pointers: list[str]) -> None:
    before = await warm.state()
    assert_problem(await warm.post(BLOCK, body), 422, READING, *pointers)
    assert await warm.state() == before


@pytest.mark.parametrize(("lines", "pointers"), LINES.values(), ids=LINES)
async def test_lines_are_refused_for(warm: Api, lines: list[Any], pointers: list[str]) -> None:
    before = await warm.state()
    assert_problem(await warm.lines(BLOCK, *lines), 422, READING, *pointers)
    assert await warm.state() == before


@pytest.mark.parametrize(("body", "pointers"), MANY.values(), ids=MANY)
async def test_readings_of_many_streams_are_refused_for(warm: Api, body: object, pointers: list[str]) -> None:
    before = await warm.state()
    assert_problem(await warm.post("/v1/bulk", body), 422, READING, *pointers)
    assert await warm.state() == before


@pytest.mark.parametrize(("path", "way"), [(BLOCK, "NDJSON"), ("/v1/bulk", '{"readings": […]}')])
@pytest.mark.parametrize("count", [2, 2000])
async def test_an_array_of_readings_is_refused_with_what_to_send_instead(path: str, way: str, count: int) -> None:
    async with running() as api:
        response = await api.post(path, [{"stream": "boiler-7", "values": {"temp": 21.4}}] * count)
        assert way in assert_problem(response, 422, READING, "")["detail"]


@pytest.mark.parametrize("path", [BLOCK, "/v1/bulk"])
@pytest.mark.parametrize("bad", ["{", "nope", '{"values": [1e999]}', "\\"])
async def test_a_line_that_is_no_json_is_told_with_its_number(warm: Api, path: str, bad: str) -> None:
    before = await warm.state()
    good = {"stream": "a", "values": [1]} if path == "/v1/bulk" else {"values": [1]}
    problem = assert_problem(await warm.lines(path, good, "", bad, good), 400, "malformed-json")
    assert "line 3, column" in problem["detail"]
    assert await warm.state() == before


@pytest.mark.parametrize("path", [BLOCK, "/v1/bulk"])
async def test_a_block_that_is_no_json_is_told(warm: Api, path: str) -> None:
    before = await warm.state()
    for body in ("", '{"values": [[1], [2', b'{"values": [["\xff"]]}'):
        assert_problem(await warm.post(path, body), 400, "malformed-json")
    assert await warm.state() == before


@pytest.mark.parametrize("first_seq", [0, 16, 17])
async def test_a_stale_block_is_told_with_the_last_number(warm: Api, first_seq: int) -> None:
    before = await warm.state()
    body = {"features": ["temp"], "values": [[1], [2], [3]], "first_seq": first_seq}
    assert assert_problem(await warm.post(BLOCK, body), 409, "stale-sequence")["last_seq"] == 17
    assert await warm.state() == before


async def test_stale_lines_are_told_with_the_last_number(warm: Api) -> None:
    before = await warm.state()
    lines = [{"values": {"temp": 1}, "seq": 16}, {"values": {"temp": 1}, "seq": 18}]
    assert assert_problem(await warm.lines(BLOCK, *lines), 409, "stale-sequence")["last_seq"] == 17
    assert await warm.state() == before


async def test_a_stale_reading_of_many_streams_is_told_with_its_stream(warm: Api) -> None:
    before = await warm.state()
    lines = [{"stream": "a", "values": [1]}, {"stream": "boiler-7", "values": {"temp": 1}, "seq": 3}]
    problem = assert_problem(await warm.lines("/v1/bulk", *lines), 409, "stale-sequence")
    assert problem["last_seq"] == 17
    assert "boiler-7" in problem["detail"]
    assert await warm.state() == before


@pytest.mark.parametrize("form", ["a block", "lines"])
async def test_too_many_features_of_a_block_are_told_with_the_limit(warm: Api, form: str) -> None:
    before = await warm.state()
    row = list(range(18))
    response = await (
        warm.post(BLOCK, {"values": [row]})
        if form == "a block"
        else warm.lines(BLOCK, {"values": [1]}, {"values": row})
    )
    assert assert_problem(response, 422, "limit-exceeded")["limit"] == "max_features"
    assert await warm.state() == before


async def test_too_many_rows_are_told_with_the_limit(warm: Api) -> None:
    before = await warm.state()
    answers = [
        await warm.post(BLOCK, {"values": [[1]] * 201}),
        await warm.lines(BLOCK, *[{"values": [1]}] * 201),
        await warm.lines("/v1/bulk", *[{"stream": "a", "values": [1]}] * 201),
    ]
    assert [assert_problem(answer, 422, "limit-exceeded")["limit"] for answer in answers] == ["max_rows"] * 3
    assert await warm.state() == before


@pytest.mark.parametrize("path", [BLOCK, "/v1/bulk"])
async def test_an_accept_header_that_cannot_be_met_is_told(warm: Api, path: str) -> None:
    before = await warm.state()
    body = {"values": [[1]]} if path == BLOCK else {"readings": [{"stream": "a", "values": [1]}]}
    assert_problem(await warm.post(path, body, headers={"accept": "text/html"}), 406, "not-acceptable")
    assert await warm.state() == before


@pytest.mark.parametrize("path", [BLOCK, "/v1/bulk"])
async def test_a_media_type_that_is_not_taken_is_told(warm: Api, path: str) -> None:
    before = await warm.state()
    response = await warm.post(path, "temp\n21.4\n", headers={"content-type": "text/csv"})
    problem = assert_problem(response, 415, "unsupported-media-type")
    assert NDJSON in problem["detail"]
    assert await warm.state() == before


@pytest.mark.parametrize("path", [BLOCK, "/v1/bulk"])
async def test_a_line_that_is_only_nan_is_no_reading(warm: Api, path: str) -> None:
    before = await warm.state()
    good = {"stream": "a", "values": [1]} if path == "/v1/bulk" else {"values": [1]}
    assert_problem(await warm.lines(path, good, "NaN", good), 422, READING, "/1")
    assert await warm.state() == before
