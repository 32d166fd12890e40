"""Live connections: the same answers as over HTTP, and nothing lost or applied twice where they break."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import numpy as np
import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from streamnorm_client import (
    AsyncClient,
    Client,
    Closed,
    ConnectionFailed,
    InvalidReading,
    StaleSequence,
    TimedOut,
    UnexpectedAnswer,
)
from tests.support.processes import Service
from tests.support.proxy import Proxy


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url, timeout=60) as made:
        yield made


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> str:
    name: str = request.node.name
    return name[:128]


@pytest.fixture
def nobody() -> Iterator[str]:
    """Listen, and never answer; returns the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


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
        service.restart()
        assert live.observe({"a": 3}, numbered=False).count == 3


def test_where_nobody_is_the_error_says_so() -> None:
    with Client("http://127.0.0.1:9", retries=0) as client, client.stream("a").live() as live:
        with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:9") as raised:
            live.observe({"a": 1}, seq=1)
        assert not raised.value.maybe_applied


def test_a_service_that_does_not_answer_is_timed_out(nobody: str) -> None:
    with Client(nobody, timeout=0.1, retries=1) as client, client.stream("a").live() as live:
        with pytest.raises(TimedOut) as raised:
            live.observe({"a": 1}, seq=1)
        assert not raised.value.maybe_applied


def test_a_reading_without_number_whose_answer_is_lost_is_not_sent_again(service: Service, stream: str) -> None:
    with Proxy(service.port) as proxy, Client(proxy.url, timeout=60) as client, client.stream(stream).live() as live:
        live.observe({"a": 1}, numbered=False)
        proxy.cut(1)
        with pytest.raises(ConnectionFailed) as raised:
            live.observe({"a": 2}, numbered=False)
        assert raised.value.maybe_applied
        assert live.observe({"a": 3}, numbered=False).count == 3


def test_what_is_no_streamnorm_service_is_told(stream: str) -> None:
    def page(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(HTTPStatus.OK, "<html>welcome</html>")

    with serve(lambda _: None, "127.0.0.1", 0, process_request=page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with (
            Client(f"http://127.0.0.1:{server.socket.getsockname()[1]}") as client,
            client.stream(stream).live() as live,
            pytest.raises(UnexpectedAnswer, match="is this a streamnorm service"),
        ):
            live.observe([1], seq=1)
        server.shutdown()
        thread.join()


def test_an_image_comes_back_whole(client: Client, stream: str) -> None:
    image = np.random.default_rng(0).normal(20, 3, (250, 200))
    with client.stream(stream).live() as live:
        answer = live.observe({"image": image})
    assert np.array(answer.values["image"]).std() == pytest.approx(1.0)


def test_a_closed_connection_says_that_it_is_closed(client: Client, stream: str) -> None:
    with client.stream(stream).live() as live:
        live.observe([1])
    with pytest.raises(Closed, match="closed"):
        live.observe([2])
    with pytest.raises(Closed, match="closed"):
        list(live.observe_many([[2]]))
    assert client.stream(stream).observe([3]).count == 2


def test_a_connection_may_be_closed_twice_and_before_it_was_used(client: Client, stream: str) -> None:
    live = client.stream(stream).live()
    live.close()
    live.close()


def test_closing_ends_a_wait_for_an_answer(nobody: str) -> None:
    with Client(nobody, timeout=0.2, retries=1000) as client:
        live = client.stream("a").live()
        closing = threading.Timer(0.5, live.close)
        closing.start()
        with pytest.raises(Closed, match="closed"):
            live.observe({"a": 1}, seq=1)
        closing.join()


def test_several_threads_may_use_one_connection(client: Client, stream: str) -> None:
    with client.stream(stream).live() as live, ThreadPoolExecutor(4) as pool:
        numbers = [answer.seq for answer in pool.map(live.observe, ([n] for n in range(40)))]
    assert sorted(number or 0 for number in numbers) == list(range(1, 41))


def test_asyncio_does_the_same(service: Service, stream: str) -> None:
    async def main() -> list[int]:
        async with AsyncClient(service.url, timeout=60) as client, client.stream(stream).live() as live:
            return [(await live.observe({"a": n})).count for n in range(3)]

    assert asyncio.run(main()) == [1, 2, 3]


async def test_with_asyncio_a_closed_connection_says_that_it_is_closed(service: Service, stream: str) -> None:
    async with AsyncClient(service.url) as client:
        async with client.stream(stream).live() as live:
            await live.observe([1])
        with pytest.raises(Closed, match="closed"):
            await live.observe([2])


async def test_with_asyncio_an_answer_that_nobody_waits_for_is_not_taken_for_the_next_one(
    service: Service, stream: str
) -> None:
    async with AsyncClient(service.url, timeout=60) as client, client.stream(stream).live() as live:
        for n in range(20):
            waiting = asyncio.create_task(live.observe([n]))
            for _ in range(n):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            marked = await live.observe([1000.0 + n], numbered=False)
            assert marked.seq is None


async def test_with_asyncio_several_tasks_may_use_one_connection(service: Service, stream: str) -> None:
    async with AsyncClient(service.url, timeout=60) as client, client.stream(stream).live() as live:
        answers = await asyncio.gather(*(live.observe([n]) for n in range(40)))
    assert [answer.seq for answer in answers] == list(range(1, 41))


async def test_with_asyncio_a_service_that_does_not_answer_is_timed_out(nobody: str) -> None:
    async with AsyncClient(nobody, timeout=0.1, retries=1) as client, client.stream("a").live() as live:
        with pytest.raises(TimedOut):
            await live.observe({"a": 1}, seq=1)


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
    for name in [name for name in sys.modules if name.split(".")[0] == "websockets"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"streamnorm-client\[live\]"):
        client.stream("a").live()
