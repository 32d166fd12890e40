"""Blocks of readings: of one stream, as JSON and as NDJSON, and of many streams."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.http_calls import NDJSON, NOW, Api, running

ROWS = np.random.default_rng(0).normal(20, 3, (40, 2)).tolist()
BLOCK = "/v1/streams/block/bulk"


def items(response: httpx.Response) -> list[Any]:
    """Return the lines of an answer."""
    assert response.headers["content-type"] == NDJSON
    return [json.loads(line) for line in response.text.splitlines()]


async def one_by_one(api: Api) -> list[list[float]]:
    """Observe the rows one by one."""
    return [(await api.observe("single", {"values": row}))["values"] for row in ROWS]


async def test_a_block_gives_the_same_bits_as_its_rows_one_by_one(api: Api) -> None:
    assert (await api.post(BLOCK, {"values": ROWS})).json()["values"] == await one_by_one(api)


async def test_a_block_leaves_the_same_state_as_its_rows_one_by_one(api: Api) -> None:
    await api.post(BLOCK, {"values": ROWS})
    await one_by_one(api)
    state = await api.state()
    assert state["block"] == state["single"]


async def test_a_block_is_answered_with_its_features_and_the_counters(api: Api) -> None:
    answer = (await api.post(BLOCK, {"features": ["a", "b"], "values": ROWS, "first_seq": 5})).json()
    del answer["values"]
    assert answer == {"stream": "block", "count": 40, "ready": True, "features": ["a", "b"], "last_seq": 44}


async def test_columns_without_names_are_numbered(api: Api) -> None:
    assert (await api.post(BLOCK, {"values": ROWS})).json()["features"] == ["0", "1"]


async def test_a_missing_value_of_a_block_is_null(api: Api) -> None:
    answer = (await api.post(BLOCK, {"values": [[1, None], [None, 2]]})).json()
    assert answer["values"] == [[0.0, None], [None, 0.0]]


async def test_a_block_may_have_a_time_a_row(api: Api) -> None:
    await api.post("/v1/streams/block", {"time_constant": 60}, method="PUT")
    rows = {"values": [[1], [2], [4]], "timestamps": [NOW - 90, "2026-11-22T08:59:00Z", NOW]}
    answer = (await api.post(BLOCK, rows)).json()
    await api.post("/v1/streams/single", {"time_constant": 60}, method="PUT")
    singles = [{"values": [x], "timestamp": t} for x, t in ((1, NOW - 90), (2, NOW - 60), (4, NOW))]
    assert (await api.observe("single", *singles))["values"] == answer["values"][-1]


async def test_a_gap_before_a_block_is_told(api: Api) -> None:
    await api.observe("block", {"values": [1], "seq": 1})
    assert (await api.post(BLOCK, {"values": [[1]], "first_seq": 4})).json()["gap"] == 2


async def test_a_numbered_block_again_is_answered_with_the_first_answer(api: Api) -> None:
    body = {"values": ROWS, "first_seq": 0}
    first = (await api.post(BLOCK, body)).json()
    before = await api.state()
    assert (await api.post(BLOCK, body)).json() == first | {"replayed": True}
    assert await api.state() == before


async def test_a_block_can_be_normalized_only(api: Api) -> None:
    await api.post(BLOCK, {"values": ROWS})
    before = await api.state()
    block = (await api.post(f"{BLOCK}?learn=false", {"values": ROWS[:3]})).json()["values"]
    single = [(await api.post("/v1/streams/block/readings?learn=false", {"values": row})).json() for row in ROWS[:3]]
    assert block == [answer["values"] for answer in single]
    assert await api.state() == before


async def test_a_heavy_block_gives_the_same_bits_as_light_ones() -> None:
    rows = np.arange(24_000).reshape(-1, 6).tolist()
    light: list[Any] = []
    async with running() as api:
        heavy = (await api.post(BLOCK, {"values": rows})).json()["values"]
        for start in range(0, len(rows), 1000):
            light += (await api.post("/v1/streams/light/bulk", {"values": rows[start : start + 1000]})).json()["values"]
    assert heavy == light


async def test_lines_are_answered_a_line_each(api: Api) -> None:
    answers = items(await api.lines(BLOCK, *({"values": row} for row in ROWS)))
    assert [answer["values"] for answer in answers] == await one_by_one(api)
    assert [answer["count"] for answer in answers] == list(range(1, 41))


async def test_lines_may_have_features_of_their_own_and_numbers_and_times(api: Api) -> None:
    sent = [{"values": {"a": 1}, "seq": 1}, {"values": {"ir": [1, 2]}, "seq": 3, "timestamp": NOW}]
    answers = items(await api.lines(BLOCK, *sent))
    assert [(set(answer["values"]), answer.get("gap")) for answer in answers] == [({"a"}, None), ({"ir"}, 1)]


async def test_empty_lines_and_carriage_returns_are_passed_over(api: Api) -> None:
    answers = items(await api.lines(BLOCK, '{"values": [1]}\r', "", '{"values": [2]}', "  ", ""))
    assert [answer["count"] for answer in answers] == [1, 2]


async def test_numbered_lines_again_are_answered_with_the_first_answers(api: Api) -> None:
    sent = [{"values": row, "seq": seq} for seq, row in enumerate(ROWS[:4])]
    first = items(await api.lines(BLOCK, *sent))
    assert [answer["seq"] for answer in first] == [0, 1, 2, 3]
    before = await api.state()
    assert items(await api.lines(BLOCK, *sent)) == [answer | {"replayed": True} for answer in first]
    assert await api.state() == before


async def test_one_numbered_line_again_is_answered_with_the_first_answer(api: Api) -> None:
    sent = {"values": ROWS[0], "seq": 3}
    (first,) = items(await api.lines(BLOCK, sent))
    assert items(await api.lines(BLOCK, sent)) == [first | {"replayed": True}]


async def test_lines_can_be_normalized_only(warm: Api) -> None:
    before = await warm.state()
    answers = items(await warm.lines("/v1/streams/boiler-7/bulk?learn=false", {"values": {"temp": 20}}))
    assert answers[0]["count"] == 3
    assert await warm.state() == before


@pytest.mark.parametrize("form", ["json", "ndjson"])
async def test_readings_of_many_streams_are_answered_in_the_order_they_came(api: Api, form: str) -> None:
    sent = [{"stream": stream, "values": [x]} for stream, x in (("b", 1), ("a", 5), ("b", 2), ("b", 3), ("a", 6))]
    if form == "json":
        answers = (await api.post("/v1/bulk", {"readings": sent})).json()["readings"]
    else:
        answers = items(await api.lines("/v1/bulk", *sent))
    got = [(answer["stream"], answer["count"]) for answer in answers]
    assert got == [("b", 1), ("a", 1), ("b", 2), ("b", 3), ("a", 2)]


async def test_readings_of_many_streams_give_the_same_bits_as_one_by_one(api: Api) -> None:
    sent = [{"stream": f"s-{n % 3}", "values": row} for n, row in enumerate(ROWS)]
    answers = items(await api.lines("/v1/bulk", *sent))
    for n, row in enumerate(ROWS):
        assert (await api.observe(f"t-{n % 3}", {"values": row}))["values"] == answers[n]["values"]


async def test_an_accept_header_that_can_be_met_is_met(api: Api) -> None:
    for accept in ("application/json", "text/html, application/json;q=0.5", "application/*", "*/*"):
        assert (await api.post(BLOCK, {"values": [[1]]}, headers={"accept": accept})).status_code == 200
