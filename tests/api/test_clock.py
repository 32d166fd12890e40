"""What a device's clock does is told in the answers, the profile and the refusals of every way in."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from tests.support.http_calls import NDJSON, NOW, Api, assert_problem

HERE = "/v1/streams/clock"
AHEAD = {"values": {"a": 1.0}, "timestamp": NOW + 3600.0}


@pytest.fixture
async def by_time(api: Api) -> Api:
    await api.post(HERE, {"time_constant": 3600.0, "warmup": 2}, method="PUT")
    return api


async def profile(api: Api) -> Any:
    return (await api.get(f"{HERE}/profile")).json()


async def test_a_stamp_ahead_is_told_in_answer_and_profile_until_the_clock_is_right(by_time: Api) -> None:
    answer = await by_time.observe("clock", AHEAD)
    assert (answer["clock_ahead"], (await profile(by_time))["clock_ahead"]) == (3600.0, 3600.0)
    answer = await by_time.observe("clock", {"values": {"a": 2.0}, "timestamp": NOW})
    assert "clock_ahead" not in answer
    assert (await profile(by_time))["clock_ahead"] == 0.0


async def test_a_retry_tells_of_the_clock_what_the_first_answer_told(by_time: Api) -> None:
    first = await by_time.observe("clock", AHEAD | {"seq": 1})
    assert await by_time.observe("clock", AHEAD | {"seq": 1}) == first | {"replayed": True}


async def test_blocks_tell_of_the_clock_in_every_form(by_time: Api) -> None:
    block = {"features": ["a"], "values": [[1.0], [2.0]], "timestamps": [NOW, NOW + 60.0]}
    table = (await by_time.post(f"{HERE}/bulk", block)).json()
    assert table["clock_ahead"] == 60.0
    lines = await by_time.post(f"{HERE}/bulk", block, headers={"accept": NDJSON})
    assert [json.loads(line).get("clock_ahead") for line in lines.text.splitlines()] == [None, 60.0]
    array = await by_time.post(f"{HERE}/bulk", json.dumps(block), headers={"accept": "application/x-npy"})
    assert array.headers["streamnorm-clock-ahead"] == "60.0"
    assert np.load(io.BytesIO(array.content)).shape == (2, 1)


async def test_a_clock_that_was_set_back_is_told_once_and_then_in_the_profile(by_time: Api) -> None:
    readings = [{"values": {"a": 1.0}, "timestamp": NOW - back} for back in (0.0, 3600.0, 3590.0, 3580.0)]
    answers = [await by_time.observe("clock", reading) for reading in readings]
    assert [answer.get("clock_set_back") for answer in answers] == [None, None, 3590.0, None]
    assert (await profile(by_time))["clock_set_back"] == 3590.0


@pytest.mark.parametrize("unit", [1e3, 1e6, 1e9])
async def test_the_unit_of_a_stamp_is_told_by_its_size(by_time: Api, unit: float) -> None:
    await by_time.observe("clock", {"values": {"a": 1.0}, "timestamp": NOW * unit})
    assert (await by_time.get(f"{HERE}/snapshot")).json()["features"][0]["time"] == NOW


async def test_a_leap_second_is_the_second_after_it(by_time: Api) -> None:
    await by_time.observe("clock", {"values": {"a": 1.0}, "timestamp": "2016-12-31T23:59:60Z"})
    assert (await by_time.get(f"{HERE}/snapshot")).json()["features"][0]["time"] == 1_483_228_800.0


@pytest.mark.parametrize("stamp", ["2016-12-31T12:00:60Z", "2016-12-31T23:59:61Z", "2016-13-31T23:59:60Z"])
async def test_a_sixtieth_second_that_is_no_leap_second_is_refused(by_time: Api, stamp: str) -> None:
    response = await by_time.post(f"{HERE}/readings", {"values": {"a": 1.0}, "timestamp": stamp})
    assert_problem(response, 422, "invalid-reading", "/timestamp")


async def test_after_a_gap_of_days_a_stream_is_ready_no_longer(by_time: Api) -> None:
    service = by_time.app.state.context.service
    reading = {"values": {"a": 1.0}}
    assert (await by_time.observe("clock", reading, reading))["ready"]
    service.clock = lambda: NOW + 10 * 86_400.0
    response = await by_time.post(f"{HERE}/readings?learn=false", reading)
    assert not response.json()["ready"]
