"""Streams and features under names in any letters: by every way in alike, and what is no name is refused by all."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from tests.support.http_calls import Api, assert_problem

STREAM = "zigbee2mqtt~1客厅 🏠?#%2F&=+"
VALUES = {"températur": 20, "a/b": 1}
BAD = {"a\n": "printable", "\x1b[31m": "printable", "a/b": "slash", "\ufffd": "UTF-8", "u\u0308": "form C", "": ""}


def npz(stream: str) -> bytes:
    """Write a block of a stream."""
    file = io.BytesIO()
    np.savez(file, streams=np.array([stream]), values=np.array([[[20.0]]]), features=np.array(["températur"]))
    return file.getvalue()


async def test_every_call_takes_the_same_stream(api: Api) -> None:
    path = f"/v1/streams/{quote(STREAM, safe='')}"
    assert (await api.post(f"{path}/readings", {"values": VALUES})).json()["stream"] == STREAM
    assert (await api.post(f"{path}/bulk", {"values": [[20, 1]], "features": [*VALUES]})).json()["stream"] == STREAM
    assert (await api.lines("/v1/bulk", {"stream": STREAM, "values": VALUES})).json()["stream"] == STREAM
    await api.post("/v1/bulk", {"readings": [{"stream": STREAM, "values": {"températur": [1.0, 2.0]}}]})
    await api.post("/v1/bulk", npz(STREAM), headers={"content-type": "application/x-npz"})
    assert (await api.get(path)).json()["count"] == 4
    assert [*(await api.get(f"{path}/profile")).json()["features"]] == [*VALUES]
    listed = (await api.get("/v1/streams", prefix="zigbee2mqtt~1客")).json()["streams"]
    assert [each["stream"] for each in listed] == [STREAM]
    assert (await api.client.delete(path)).status_code == 204
    assert await api.state() == {}


@pytest.mark.parametrize("stream", BAD)
async def test_what_is_no_id_is_refused_wherever_it_comes(api: Api, stream: str) -> None:
    reading: dict[str, Any] = {"stream": stream, "values": {"a": 1}}
    one = await api.post("/v1/bulk", {"readings": [reading]})
    assert_problem(one, 422, "invalid-reading", "/readings/0/stream")
    line = await api.lines("/v1/bulk", reading)
    assert_problem(line, 422, "invalid-reading", "/0/stream")
    block = await api.post("/v1/bulk", npz(stream), headers={"content-type": "application/x-npz"})
    assert_problem(block, 422, "invalid-reading", "/streams/0")
    assert all(BAD[stream] in each.text for each in (one, line, block))
    events = await api.get("/v1/events", stream=stream)
    assert_problem(events, 422, "invalid-request", "/query/stream/0")
    if stream and "/" not in stream:
        named = await api.post(f"/v1/streams/{quote(stream, safe='')}/readings", {"values": {"a": 1}})
        assert_problem(named, 422, "invalid-request", "/path/stream_id")
        assert BAD[stream] in named.text
    assert await api.state() == {}


@pytest.mark.parametrize("path", ["%FF", "%ED%A0%80", "%E5%AE"])
async def test_a_path_that_is_not_utf8_names_no_stream(api: Api, path: str) -> None:
    response = await api.post(f"/v1/streams/{path}/readings", {"values": {"a": 1}})
    assert response.status_code == 422
    assert await api.state() == {}


async def test_a_feature_in_two_code_points_is_refused_with_the_reason(api: Api) -> None:
    refused = await api.post("/v1/streams/a/readings", {"values": {"u\u0308": 1}})
    assert_problem(refused, 422, "invalid-reading", "/values")
    assert "form C" in refused.text
