"""Many readings on their way at once over a live connection."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from streamnorm_client import AsyncClient, Client, InvalidReading, Live, StreamnormError
from tests.support.processes import Service

ROWS = [{"temp": 20.0 + n % 7, "door": n % 2} for n in range(300)]


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url, timeout=60) as made:
        yield made


@pytest.fixture
def live(client: Client, stream: str) -> Iterator[Live]:
    with client.stream(stream).live() as made:
        yield made


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> str:
    name: str = request.node.name
    return name.replace("[", ".").replace("]", "")[:128]


def test_the_answers_are_those_of_readings_one_by_one(client: Client, live: Live) -> None:
    expected = client.stream("one-by-one").live()
    with expected:
        assert [answer.values for answer in live.observe_many(ROWS)] == [expected.observe(row).values for row in ROWS]


def test_they_are_numbered_one_after_the_other_and_the_numbers_go_on(client: Client, live: Live, stream: str) -> None:
    first = live.observe(ROWS[0])
    numbers = [answer.seq for answer in live.observe_many(ROWS)]
    assert [first.seq, *numbers, live.observe(ROWS[0]).seq] == list(range(1, 303))
    assert client.stream(stream).observe(ROWS[0]).seq == 303


def test_no_rows_give_no_answers(live: Live) -> None:
    assert list(live.observe_many([])) == []


def test_each_may_have_a_time(client: Client, live: Live, stream: str) -> None:
    client.stream(stream).configure(time_constant=10)
    answers = list(live.observe_many([[1.0], [2.0], [4.0]], timestamps=[1.0, 2.0, 30.0]))
    late = client.stream("late")
    late.configure(time_constant=10)
    assert [answer.values for answer in answers] == [
        late.observe([value], timestamp=time).values for value, time in ((1.0, 1.0), (2.0, 2.0), (4.0, 30.0))
    ]


def test_fewer_times_than_rows_are_an_error(live: Live) -> None:
    with pytest.raises(ValueError, match="fewer timestamps"):
        list(live.observe_many([[1], [2]], timestamps=[1.0]))


def test_a_source_may_come_without_end_and_be_left(live: Live) -> None:
    def endless() -> Iterator[list[float]]:
        while True:
            yield [1.0]

    for answer in live.observe_many(endless()):
        if answer.count == 500:
            break
    assert live.observe([1.0]).values == [0.0]


def test_a_refused_reading_raises_tells_its_number_and_the_connection_goes_on(live: Live) -> None:
    rows: list[Any] = [{"a": n} for n in range(20)]
    rows[10] = {"a": [1, 2]}
    answers = live.observe_many(rows)
    assert [next(answers).seq for _ in range(10)] == list(range(1, 11))
    with pytest.raises(InvalidReading) as refused:
        next(answers)
    assert refused.value.seq == 11
    after = live.observe({"a": 1})
    used = (after.seq or 0) - 1  # the refused reading's number is used up by those that were sent behind it, if any was
    assert used - (after.count - 1) == (1 if used > 10 else 0)


def test_what_no_sensor_gives_is_refused_before_it_is_sent(live: Live) -> None:
    with pytest.raises((ValueError, TypeError)):
        list(live.observe_many([[1.0], ["warm"], [2.0]]))
    assert live.observe([1.0]).count == 2


def test_one_reading_may_go_between_the_answers(live: Live) -> None:
    counts = []
    for answer in live.observe_many([[n] for n in range(10)], window=4):
        counts += [answer.count, live.observe([100 + answer.count]).count]
    assert sorted(counts) == list(range(1, 21))


def test_another_round_may_begin_before_the_first_one_is_read_to_its_end(live: Live) -> None:
    first = live.observe_many([[n] for n in range(10)], window=5)
    before = next(first)
    again = [answer.seq for answer in live.observe_many([[n] for n in range(10)])]
    rest = [answer.seq for answer in first]
    assert sorted([before.seq, *again, *rest], key=lambda seq: seq or 0) == list(range(1, 21))
    assert rest == sorted(rest, key=lambda seq: seq or 0)


def test_requests_of_the_same_handle_are_refused_while_readings_are_on_their_way() -> None:
    def rows() -> Iterator[list[int]]:
        yield from ([n] for n in range(4))
        with pytest.raises(RuntimeError, match="over a live connection"):
            handle.observe([1])
        yield from ([n] for n in range(4, 6))

    with answering_together(5) as (url, _), Client(url) as client, client.stream("s").live() as live:
        handle = client.stream("s")
        assert len(list(live.observe_many(rows(), window=5))) == 6


@pytest.mark.parametrize("window", [1, 5])
def test_no_more_than_a_window_are_on_their_way(window: int) -> None:
    with answering_together(window) as (url, waited), Client(url) as client, client.stream("s").live() as live:
        answers = list(live.observe_many(([n] for n in range(1 + 3 * window)), window=window))
    assert ([answer.seq for answer in answers], waited) == (list(range(1, 2 + 3 * window)), [window] * 3)


async def test_with_asyncio_no_more_than_a_window_are_on_their_way() -> None:
    with answering_together(5) as (url, waited):
        async with AsyncClient(url) as client, client.stream("s").live() as live:
            answers = [answer.seq async for answer in live.observe_many(([n] for n in range(16)), window=5)]
    assert (answers, waited) == (list(range(1, 17)), [5] * 3)


def test_what_is_on_its_way_is_passed_over_by_a_connection_that_is_closed() -> None:
    def rows() -> Iterator[list[int]]:
        yield from ([n] for n in range(4))
        connection.close()
        yield [4]

    with answering_together(5) as (url, _), Client(url) as client:
        connection = client.stream("s").live()
        with pytest.raises(RuntimeError, match="closed"):
            list(connection.observe_many(rows(), window=5))


def test_another_writer_of_the_stream_is_noticed(service: Service, live: Live, stream: str) -> None:
    answers = live.observe_many([[n] for n in range(10)], window=1)
    next(answers)
    with Client(service.url) as other:
        other.stream(stream).observe([1])
    with pytest.raises(StreamnormError):
        list(answers)
    assert live.observe([1]).gap == 0


@contextmanager
def answering_together(most: int) -> Iterator[tuple[str, list[int]]]:
    """Play a service that answers the first reading, then so many together; returns its URL, and how many waited."""
    waited: list[int] = []

    def talk(connection: ServerConnection) -> None:
        numbers: list[int] = []
        with suppress(ConnectionClosed):
            while True:
                numbers.append(json.loads(connection.recv())["seq"])
                if numbers != [1] and len(numbers) < most:
                    continue
                if numbers != [1]:
                    with suppress(TimeoutError):
                        numbers.append(json.loads(connection.recv(0.1))["seq"])
                    waited.append(len(numbers))
                for seq in numbers:
                    members = {"stream": "s", "seq": seq, "count": seq, "ready": True, "values": [0.0]}
                    connection.send(json.dumps(members))
                numbers.clear()

    def no_stream(connection: ServerConnection, request: Request) -> Response | None:
        return (
            None
            if request.path.endswith("/live")
            else connection.respond(HTTPStatus.NOT_FOUND, '{"type": "stream-not-found"}')
        )

    with serve(talk, "127.0.0.1", 0, process_request=no_stream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}", waited
        finally:
            server.shutdown()
            thread.join()


async def test_with_asyncio_it_is_the_same(service: Service, client: Client, stream: str) -> None:
    async with AsyncClient(service.url, timeout=60) as ours, ours.stream(stream).live() as live:
        answers = [answer async for answer in live.observe_many(ROWS)]
    with client.stream("same").live() as other:
        assert [answer.values for answer in answers] == [answer.values for answer in other.observe_many(ROWS)]


async def test_with_asyncio_the_source_may_be_asynchronous(service: Service, stream: str) -> None:
    async def sensor() -> AsyncIterator[list[int]]:
        for n in range(50):
            await asyncio.sleep(0)
            yield [n]

    async with AsyncClient(service.url, timeout=60) as client, client.stream(stream).live() as live:
        assert [answer.count async for answer in live.observe_many(sensor())] == list(range(1, 51))


async def test_with_asyncio_a_round_may_be_left(service: Service, stream: str) -> None:
    async with AsyncClient(service.url, timeout=60) as client, client.stream(stream).live() as live:
        async for answer in live.observe_many([[n] for n in range(100)]):
            if answer.count == 20:
                break
        after = await live.observe([1000.0])
        assert (after.values[0] > 1, after.gap) == (True, 0)
