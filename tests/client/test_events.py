"""Events as they come, over connections that break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamnorm_client import AsyncClient, Client, Event, Forbidden, InvalidArgument, KindChange, StreamnormError
from streamnorm_client._http.events import EventSource
from streamnorm_client._http.httpx_adapter import connection
from streamnorm_client._http.sync_driver import Transport
from tests.support.processes import Service


def source() -> EventSource:
    """Build a source that reads what it is given."""
    return EventSource((), Transport(connection(None, None, None), 0))


def lines(*events: tuple[str, str]) -> bytes:
    return "".join(f"event: {kind}\ndata: {data}\n\n" for kind, data in events).encode()


def test_events_are_read_wherever_they_are_cut() -> None:
    told = 'id: 1\r\nevent: reading\r\ndata: {"stream":\r\ndata: "é"}\r\n\r\n: silence\n\nevent: end\ndata: {}\n\n'
    text = told.encode()
    whole = list(source().receive(text))
    for at in range(len(text)):
        cut = source()
        assert [*cut.receive(text[:at]), *cut.receive(text[at:])] == whole
    assert whole == [Event("reading", {"stream": "é"}, "1")]


def test_what_is_no_json_is_passed_over() -> None:
    assert list(source().receive(b"data: hello\n\nevent: latest\ndata: {}\n\n")) == [Event("latest", {})]


def test_events_follow_the_readings_of_the_named_streams(service: Service) -> None:
    with Client(service.url) as client:
        client.stream("seen").observe({"temp": 20.0})
        client.stream("other").observe({"temp": 20.0})
        events = client.events("seen", history=True)
        first = next(events)
        client.stream("other").observe({"temp": 22.0})
        client.stream("seen").observe({"temp": 22.0})
        second = next(events)
        events.close()  # type: ignore[attr-defined]
    assert (first.type, first.data["stream"], len(first.data["readings"])) == ("history", "seen", 1)
    assert (second.type, second.data["stream"], second.data["values"]) == ("reading", "seen", {"temp": 22.0})


async def test_with_asyncio_it_is_the_same(service: Service) -> None:
    async with AsyncClient(service.url) as client:
        await client.stream("seen-async").observe({"temp": 20.0})
        async for event in client.events("seen-async", history=True):
            assert event.data["readings"][0]["values"] == {"temp": 20.0}
            break


def test_a_service_that_restarts_is_connected_to_again(tmp_path: Path) -> None:
    with Service(tmp_path) as service, Client(service.url) as client:
        client.stream("s").observe([1.0])
        events = client.events("s", history=True)
        assert next(events).type == "history"
        service.restart()
        client.stream("s").observe([2.0])
        again = next(events)  # what it told between the two connections is in the history
        events.close()  # type: ignore[attr-defined]
    assert again.data["stream"] == "s"


def answers(*bodies: bytes | Exception) -> tuple[httpx.MockTransport, list[dict[str, str]]]:
    """Answer one request after the other; returns the headers that were sent too."""
    seen: list[dict[str, str]] = []
    rest: Iterator[bytes | Exception] = iter(bodies)

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(dict(request.headers))
        body = next(rest)
        if isinstance(body, Exception):
            raise body
        return httpx.Response(200, content=body)

    return httpx.MockTransport(answer), seen


def test_a_connection_that_is_made_again_goes_on_after_the_last_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamnorm_client._calls.retry.FIRST_DELAY", 0.0)
    first, second = b"id: 7\n" + lines(("reading", '{"n": 1}')), lines(("reading", '{"n": 2}'))
    transport, seen = answers(first + b"data: {half", httpx.ReadError("cut"), second)
    with Client(transport=transport, retries=0) as client:
        events = list(islice(client.events(), 2))
    assert [event.data for event in events] == [{"n": 1}, {"n": 2}]
    assert [headers.get("last-event-id") for headers in seen] == [None, "7", "7"]


def test_a_change_of_a_sensors_kind_is_an_event_of_its_own_type() -> None:
    data = '{"stream":"s","feature":"temp","was":"continuous","kind":"stuck","time":7.5}'
    transport, _ = answers(lines(("kind", data)))
    with Client(transport=transport, retries=0) as client:
        change = next(client.events())
    assert isinstance(change, KindChange)
    assert (change.stream, change.feature, change.was, change.kind, change.time) == (
        "s",
        "temp",
        "continuous",
        "stuck",
        7.5,
    )


def test_a_service_that_was_never_there_is_an_error() -> None:
    transport, _ = answers(httpx.ConnectError("refused"))
    with Client(transport=transport, retries=0) as client, pytest.raises(StreamnormError, match="refused"):
        next(client.events())


def test_what_is_refused_is_an_error_at_once() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json={"type": "/problems/forbidden", "detail": "not for this key"})

    with Client(transport=httpx.MockTransport(refuse)) as client, pytest.raises(Forbidden, match="not for this key"):
        next(client.events())


def test_a_name_that_no_stream_has_is_refused_here() -> None:
    with Client() as client, pytest.raises(InvalidArgument, match="not a stream id"):
        next(client.events("a/b"))


def test_streams_come_page_by_page_too(service: Service) -> None:
    with Client(service.url) as client:
        for n in range(5):
            client.stream(f"paged-{n}").observe([n])
        pages = list(client.pages("paged-", size=2))
        rest = list(client.pages("paged-", after=pages[0].next or "", size=2))
    assert [[info.stream for info in page.streams] for page in pages] == [
        ["paged-0", "paged-1"],
        ["paged-2", "paged-3"],
        ["paged-4"],
    ]
    assert rest == pages[1:]


async def test_with_asyncio_pages_are_the_same(service: Service) -> None:
    async with AsyncClient(service.url) as client:
        await client.stream("apaged-1").observe([1])
        assert [len(page.streams) async for page in client.pages("apaged-")] == [1]


def test_any_path_can_be_asked_for(service: Service) -> None:
    with Client(service.url) as client:
        response = client.request("POST", "/v1/streams/raw/readings", params={"stats": "true"}, json={"values": [1]})
    assert (response.status, response.json()["mean"], json.loads(response.body)["count"]) == (200, [1.0], 1)
    assert response.headers["content-type"] == "application/json"


async def test_responses_are_recorded_in_the_task_that_asked(service: Service) -> None:
    async with AsyncClient(service.url) as client:
        with client.record_responses() as responses:
            await client.stream("recorded").observe([1])
        await client.health()
    statuses: list[Any] = [response.status for response in responses]
    assert statuses == [404, 200]  # the stream's last number was asked for first
