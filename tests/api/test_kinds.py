"""What a client of the API hears of a sensor that becomes another kind."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from streamnorm.api.routes import sse
from streamnorm.api.routes.sse import event_stream
from tests.support.http_calls import NOW, Api


async def test_a_change_of_kind_is_an_event_and_a_figure(api: Api) -> None:
    context = api.app.state.context
    service, hub = context.service, context.events
    await api.post("/v1/streams/boiler", {"horizon": 20.0, "warmup": 5}, method="PUT")
    subscription = hub.subscribe()
    stream = event_stream(hub, subscription, [])
    await anext(stream)
    for place, value in enumerate([1.0, 2.0, 4.0, 1.0, 3.0, 2.0, 5.0, 1.5, None, None, None]):
        service.clock = lambda now=NOW + place: now
        await api.observe("boiler", {"values": {"temp": value}})
    text = (await anext(stream)).decode()
    name, data = text.split("\n\n")[-2].split("\n")
    assert name == "event: kind"
    change = json.loads(data.removeprefix("data: "))
    assert change == {"stream": "boiler", "feature": "temp", "was": "continuous", "kind": "invalid", "time": NOW + 9.0}
    figures: httpx.Response = await api.get("/metrics")
    assert '\nstreamnorm_features{kind="invalid"} 1.0\n' in figures.text
    assert '\nstreamnorm_features{kind="stuck"} 0.0\n' in figures.text
    hub.end()
    assert (await anext(stream)).startswith(b"event: end")


async def test_a_reading_is_encoded_once_for_all_its_subscribers(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []

    def encode_event(event: str, **data: Any) -> bytes:
        encoded.append(event)
        return original(event, **data)

    original = sse.encode_event
    monkeypatch.setattr(sse, "encode_event", encode_event)
    hub = api.app.state.context.events
    streams = [event_stream(hub, hub.subscribe(), []) for _ in range(3)]
    for stream in streams:
        await anext(stream)
    await api.observe("boiler", {"values": {"temp": 21.5}})
    await api.observe("large", {"values": {str(n): 21.5 for n in range(20)}})
    texts = [(await anext(stream)).decode() for stream in streams]
    assert texts[0].count("event: reading") == 2
    assert texts == texts[:1] * 3
    assert encoded == ["reading"] * 4  # one for all, and a large one for each
    hub.end()


async def test_the_list_of_streams_counts_the_features_by_kind_where_it_is_asked_to(api: Api) -> None:
    service = api.app.state.context.service
    for place in range(60):
        service.clock = lambda now=NOW + place: now
        varied, gone = place * 7919 % 101 / 101, None if place > 40 else place * 31 % 17 / 1.0
        await api.observe("boiler", {"values": {"temp": varied, "supply": 24.0, "lost": gone}})
    (listed,) = (await api.get("/v1/streams?kinds=true")).json()["streams"]
    assert listed["kinds"] == {"continuous": 1, "constant": 1, "invalid": 1}
    (listed,) = (await api.get("/v1/streams")).json()["streams"]
    assert "kinds" not in listed
