"""Live connections: the same answers as over HTTP, and nothing lost or applied twice where they break."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import pytest

from streamnorm_client import AsyncClient, Client, ConnectionFailed, InvalidReading, StaleSequence
from tests.client.proxy import Proxy
from tests.processes import Service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url, timeout=60) as made:
        yield made


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> str:
    name: str = request.node.name
    return name[:128]


def test_a_reading_is_answered_as_over_http(client: Client, stream: str) -> None:
    with client.stream(stream).live() as live:
        found = [live.observe({"temp": 20.0 + n, "door": None}) for n in range(3)]
    other = client.stream(f"{stream}-http")
    expected = [other.observe({"temp": 20.0 + n, "door": None}) for n in range(3)]
    assert [(one.values, one.count, one.seq, one.ready) for one in found] == [
        (one.values, one.count, one.seq, one.ready) for one in expected
    ]


def test_numbers_go_on_from_those_over_http_and_back(client: Client, stream: str) -> None:
    handle = client.stream(stream)
    first = handle.observe([1])
    with handle.live() as live:
        second = live.observe([2])
    assert [first.seq, second.seq, handle.observe([3]).seq] == [1, 2, 3]


def test_a_reading_may_have_a_time_a_number_or_none(client: Client, stream: str) -> None:
    with client.stream(stream).live() as live:
        live.observe({"a": 1}, timestamp="2026-11-22T09:00:00Z")
        assert live.observe({"a": 1}, seq=17).seq == 17
        assert live.observe({"a": 1}, numbered=False).seq is None


def test_a_refused_reading_raises_and_the_connection_goes_on(client: Client, stream: str) -> None:
    with client.stream(stream).live() as live:
        live.observe({"a": 1})
        with pytest.raises(InvalidReading):
            live.observe({"a": [1, 2]})
        assert live.observe({"a": 2}).count == 2


def test_a_number_applied_before_raises(client: Client, stream: str) -> None:
    with client.stream(stream).live() as live:
        live.observe({"a": 1}, seq=5)
        with pytest.raises(StaleSequence):
            live.observe({"a": 1}, seq=4)


def test_a_lost_answer_is_asked_for_again_and_the_reading_applied_once(service: Service, stream: str) -> None:
    with Proxy(service.port) as proxy, Client(proxy.url, timeout=60) as client, client.stream(stream).live() as live:
        live.observe({"a": 1})
        proxy.cut(1)
        answer = live.observe({"a": 2})
        assert (answer.count, answer.replayed) == (2, True)
        assert live.observe({"a": 3}).count == 3


def test_a_service_that_restarts_is_connected_to_again(service: Service, stream: str) -> None:
    with Client(service.url, timeout=60, retries=20) as client, client.stream(stream).live() as live:
        live.observe({"a": 1})
        service.restart()
        assert live.observe({"a": 2}).count == 2


def test_where_nobody_is_the_error_says_so() -> None:
    with Client("http://127.0.0.1:9", retries=0) as client, client.stream("a").live() as live:
        with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:9") as raised:
            live.observe({"a": 1}, seq=1)
        assert not raised.value.maybe_applied


def test_asyncio_does_the_same(service: Service, stream: str) -> None:
    async def main() -> list[int]:
        async with AsyncClient(service.url, timeout=60) as client, client.stream(stream).live() as live:
            return [(await live.observe({"a": n})).count for n in range(3)]

    assert asyncio.run(main()) == [1, 2, 3]


def test_asyncio_asks_again_for_a_lost_answer(service: Service, stream: str) -> None:
    async def main(url: str, proxy: Proxy) -> tuple[int, bool]:
        async with AsyncClient(url, timeout=60) as client, client.stream(stream).live() as live:
            await live.observe({"a": 1})
            proxy.cut(1)
            answer = await live.observe({"a": 2})
            return answer.count, answer.replayed

    with Proxy(service.port) as proxy:
        assert asyncio.run(main(proxy.url, proxy)) == (2, True)


def test_without_websockets_it_is_said_what_to_install(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "streamnorm_client._sockets", raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == "websockets"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"streamnorm-client\[live\]"):
        client.stream("a").live()
