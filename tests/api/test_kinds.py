"""What a client of the API hears of a sensor that becomes another kind."""

from __future__ import annotations

import json

import httpx

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
