"""uvicorn's protocol with usual readings answered at once: order, ends of connections, and bounds."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from streamnorm.api.fastpath.kept_heads import MAX_HEADS, MAX_KEPT_BYTES
from streamnorm.api.http.request_state import RequestState
from streamnorm.api.middleware.authorization import KEY_CHECK_INTERVAL
from streamnorm.app import with_middleware
from streamnorm.auth.api_keys import SQLiteApiKeys
from tests.support.http_calls import Api, running, settings_of
from tests.support.http_wire import DATE, Connection, connection_to

BODY = b'{"values":{"temp":21.5}}'
LONGEST_HEAD = 1024
CHUNKED = (
    b"POST /v1/streams/boiler-7/readings HTTP/1.1\r\nhost: localhost\r\n"
    b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
)


def post(body: bytes = BODY, *lines: bytes, version: bytes = b"1.1", query: bytes = b"") -> bytes:
    """Write a request."""
    head = [b"POST /v1/streams/boiler-7/readings%b HTTP/%b" % (query, version), b"host: localhost"]
    head += [b"content-type: application/json", b"content-length: %d" % len(body), *lines]
    return b"\r\n".join([*head, b"", body])


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """Start the application, with a stream in memory."""
    async with running() as running_api:
        await running_api.observe("boiler-7", {"values": {"temp": 20}})
        yield running_api


@pytest.fixture
def connection(api: Api, tmp_path: Path) -> Connection:
    """Connect."""
    settings = settings_of(insecure=True, max_head_bytes=LONGEST_HEAD)
    return connection_to(with_middleware(api.app, api.context, settings, SQLiteApiKeys(tmp_path)), settings)


async def counts(connection: Connection, number: int) -> list[int]:
    """Return the counts of so many answers."""
    answers = await connection.answers(number)
    assert [status for status, _ in answers] == [200] * number
    return [orjson.loads(response.body)["count"] for _, response in answers]


async def test_an_answer_leaves_in_one_write(connection: Connection) -> None:
    await connection.send(post())
    assert len(connection.sent.writes) == 1
    assert connection.protocol.cycle is None
    assert b"\r\ndate: " + DATE + b"\r\n" in connection.sent.writes[0]


async def test_requests_in_one_piece_are_answered_in_order(connection: Connection) -> None:
    await connection.send(post() * 3 + post(query=b"?stats=true") + post() * 2)
    assert await counts(connection, 6) == [2, 3, 4, 5, 6, 7]


async def test_a_request_behind_one_that_is_not_answered_yet_waits(connection: Connection) -> None:
    slow = post(query=b"?stats=true")
    await connection.send(slow[:-5])
    await connection.send(slow[-5:] + post())
    assert await counts(connection, 2) == [2, 3]


async def test_what_is_left_of_a_piece_may_come_later(connection: Connection) -> None:
    two = post() + post()
    for cut in range(len(post()) - 30, len(post()) + 30):
        connection.sent.writes.clear()
        await connection.send(two[:cut], two[cut:])
        await counts(connection, 2)


async def test_a_client_that_does_not_read_is_not_answered_at_once(connection: Connection) -> None:
    connection.protocol.pause_writing()
    await connection.send(post() * 5)
    assert connection.sent.writes == []
    connection.protocol.resume_writing()
    assert await counts(connection, 5) == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "request_",
    [post(BODY, b"connection: close"), post(version=b"1.0")],
    ids=["asked for", "HTTP/1.0"],
)
async def test_the_connection_is_closed_where_the_client_wants_it(connection: Connection, request_: bytes) -> None:
    await connection.send(request_)
    assert await counts(connection, 1) == [2]
    assert connection.sent.closed


async def test_a_client_may_ask_before_it_sends_its_body(connection: Connection) -> None:
    request_ = post(BODY, b"expect: 100-continue")
    await connection.send(request_[: -len(BODY)])
    assert connection.sent.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    connection.sent.writes.clear()
    await connection.send(BODY)
    assert await counts(connection, 1) == [2]


async def test_a_chunked_body_is_a_body(connection: Connection) -> None:
    await connection.send(CHUNKED + b"5\r\n" + BODY[:5] + b"\r\n")
    await connection.send(b"%x\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\n\r\n")
    assert await counts(connection, 1) == [2]


async def test_a_body_may_come_a_byte_at_a_time(connection: Connection) -> None:
    await connection.send(CHUNKED, *[b"1\r\n \r\n" * 10] * LONGEST_HEAD)
    await connection.send(b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n")
    assert await counts(connection, 1) == [2]


async def test_what_comes_beside_a_body_is_bounded(connection: Connection) -> None:
    await connection.send(CHUNKED, *[b"1;" + b"x" * 100 + b"\r\n \r\n"] * 8)
    assert not connection.sent.closed
    await connection.send(*[b"1;" + b"x" * 100 + b"\r\n \r\n"] * 8)
    assert connection.sent.closed
    assert b"extensions of chunks" in connection.sent.writes[-1]


async def test_what_is_no_http_behind_an_answer_ends_the_connection(connection: Connection, api: Api) -> None:
    await connection.send(post() + b"nonsense\r\n\r\n")
    answers = await connection.answers(2)
    assert [status for status, _ in answers] == [200, 400]
    assert connection.sent.closed
    assert (await api.get("/v1/streams/boiler-7")).json()["count"] == 2


async def test_half_a_request_and_nonsense_is_not_worked_on(connection: Connection, api: Api) -> None:
    await connection.send(CHUNKED + b"nonsense")
    assert connection.sent.closed
    assert connection.protocol.cycle is None
    assert (await api.get("/v1/streams/boiler-7")).json()["count"] == 1


async def test_heads_are_bounded_one_by_one(connection: Connection) -> None:
    for _ in range(2 * LONGEST_HEAD // len(post()) + 1):
        await connection.send(post())
    assert not connection.sent.closed
    await connection.send(post()[:50] + b"x" * LONGEST_HEAD)
    assert connection.sent.closed
    assert b"max_head_bytes" in connection.sent.writes[-1]


async def test_a_page_of_another_site_is_answered_by_the_guard(connection: Connection) -> None:
    await connection.send(post(BODY, b"origin: http://elsewhere.test"))
    assert await counts(connection, 1) == [2]
    assert connection.protocol.cycle is not None


async def test_a_connection_between_two_requests_is_closed_when_the_server_stops(connection: Connection) -> None:
    await connection.send(post())
    connection.protocol.shutdown()
    assert connection.sent.closed


async def test_a_connection_that_is_silent_is_closed(connection: Connection) -> None:
    await connection.send(post())
    waiting = connection.protocol.timeout_keep_alive_task
    assert isinstance(waiting, asyncio.TimerHandle)
    assert not waiting.cancelled()
    connection.protocol.timeout_keep_alive_handler()
    assert connection.sent.closed


# Heads that came before


@pytest.fixture
async def knowing(connection: Connection) -> Connection:
    """Have a connection send a request twice, then take its parser away: only a known head can be answered."""
    await connection.send(post(), post())
    connection.protocol.parser = None  # type: ignore[assignment]
    return connection


async def test_a_head_that_came_before_is_not_parsed_again(knowing: Connection) -> None:
    await knowing.send(post(), post(b'{"values":{"temp":22.5}}'))
    assert await counts(knowing, 4) == [2, 3, 4, 5]


OTHERS = {
    "another stream": post().replace(b"boiler-7", b"boiler-8"),
    "another body's length": post(BODY + b" "),
    "a head that goes on": post(BODY, b"x-more: 1"),
    "two requests": post() * 2,
    "half a head": post()[:40],
    "half a body": post()[:-5],
    "an empty line before it": b"\r\n" + post(),
}


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
async def test_anything_else_is_parsed(knowing: Connection, data: bytes) -> None:
    with pytest.raises(AttributeError, match="feed_data"):
        await knowing.send(data)
    assert await counts(knowing, 2) == [2, 3]


async def test_a_connection_of_many_streams_keeps_the_head_of_each(connection: Connection, api: Api) -> None:
    await api.observe("boiler-8", {"values": {"temp": 20}})
    both = post(), post().replace(b"boiler-7", b"boiler-8")
    await connection.send(*both)
    connection.protocol.parser = None  # type: ignore[assignment]
    await connection.send(*both, *both)
    assert await counts(connection, 6) == [2, 2, 3, 3, 4, 4]


async def test_a_head_of_another_connection_is_known_after_the_first_request(
    connection: Connection, api: Api, tmp_path: Path
) -> None:
    settings = settings_of(insecure=True)
    front = with_middleware(api.app, api.context, settings, SQLiteApiKeys(tmp_path))
    first, second = connection_to(front, settings), connection_to(front, settings)
    first.protocol.heads = second.protocol.heads = connection.protocol.heads
    await connection.send(post(BODY + b" "), post())
    await second.send(post())
    assert second.protocol.timeout_keep_alive_task is not None  # parsed, which starts the timer
    second.protocol.parser = None  # type: ignore[assignment]
    await second.send(post(BODY + b" "))
    assert await counts(second, 2) == [4, 5]
    first.protocol.parser = None  # type: ignore[assignment]
    with pytest.raises(AttributeError, match="feed_data"):
        await first.send(post())


async def test_all_connections_of_a_server_keep_their_heads_together(connection: Connection) -> None:
    kind = type(connection.protocol)
    assert connection.protocol.heads is kind.heads
    await connection.send(post())
    assert kind.heads.find(post()) is not None


async def test_a_known_head_in_the_middle_of_a_body_is_a_part_of_the_body(connection: Connection) -> None:
    await connection.send(post(), post())
    inner = post()
    outer = post(b'{"values":{"temp":1},"note":"' + b" " * len(inner) + b'"}', query=b"?stats=true")
    start = outer.index(b" " * len(inner))
    await connection.send(outer[:start], inner, outer[start + len(inner) :])
    assert [status for status, _ in await connection.answers(3)] == [200, 200, 400]  # its line ends are no JSON


async def test_a_known_head_waits_for_the_request_before_it(connection: Connection) -> None:
    await connection.send(post(), post())
    connection.protocol.data_received(post(query=b"?stats=true"))
    connection.protocol.data_received(post())
    assert await counts(connection, 4) == [2, 3, 4, 5]


async def test_a_known_head_of_a_client_that_does_not_read_is_not_answered_at_once(connection: Connection) -> None:
    await connection.send(post(), post())
    connection.sent.writes.clear()
    connection.protocol.pause_writing()
    await connection.send(post())
    assert connection.sent.writes == []
    connection.protocol.resume_writing()
    assert await counts(connection, 1) == [4]


async def test_a_bad_body_behind_a_known_head_is_told(connection: Connection) -> None:
    await connection.send(post(), post(), post(b'{"values":{"temp":"hot"}'[: len(BODY)].ljust(len(BODY))))
    assert [status for status, _ in await connection.answers(3)] == [200, 200, 400]


async def test_heads_are_kept_within_bounds(knowing: Connection) -> None:
    heads, admitted = knowing.protocol.heads, ("boiler-7", {b"host": b"streamnorm"})
    for number in range(MAX_HEADS - 1):
        heads.keep(b"%d\r\n\r\n" % number, 0, admitted)
    assert heads.find(post()) is not None
    heads.keep(b"one more\r\n\r\n", 0, admitted)
    assert heads.find(post()) is None
    assert heads.find(b"one more\r\n\r\n") is not None


@pytest.mark.parametrize("excess", [0, 1])
async def test_a_large_head_is_not_kept(connection: Connection, excess: int) -> None:
    data = b"x" * (MAX_KEPT_BYTES - 4 + excess) + b"\r\n\r\nbody"
    connection.protocol.heads.keep(data, 4, ("boiler-7", {}))
    assert (connection.protocol.heads.find(data) is None) == bool(excess)


async def test_a_known_head_needs_a_key_that_is_still_valid(api: Api, tmp_path: Path) -> None:
    keys = SQLiteApiKeys(tmp_path)
    bearer = b"authorization: Bearer " + keys.create("gauge", ["observe"]).encode()
    settings = settings_of()
    connection = connection_to(with_middleware(api.app, api.context, settings, keys), settings)
    for _ in range(3):
        await connection.send(post(BODY, bearer))
    assert await counts(connection, 3) == [2, 3, 4]
    keys.revoke(keys.all()[0].id)
    await asyncio.sleep(KEY_CHECK_INTERVAL)
    await connection.send(post(BODY, bearer))
    assert [status for status, _ in await connection.answers(4)] == [200, 200, 200, 401]


async def test_the_fast_path_knows_of_the_first_key_as_soon_as_the_slow_one(api: Api, tmp_path: Path) -> None:
    keys = SQLiteApiKeys(tmp_path)
    connection = connection_to(with_middleware(api.app, api.context, settings_of(), keys), settings_of())
    await connection.send(post())
    keys.create("gauge", ["observe"])
    keys.all()  # the keys' own interval is over
    for request in (post(query=b"?stats=true"), post()):
        await connection.send(request)
    assert [status for status, _ in await connection.answers(3)] == [200, 401, 401]


async def test_a_connection_is_not_idle_while_it_repeats_its_head(connection: Connection) -> None:
    await connection.send(post(), post(), post())
    connection.protocol.timeout_keep_alive_handler()  # of the first request
    assert not connection.sent.closed
    connection.protocol.timeout_keep_alive = 0
    connection.protocol.timeout_keep_alive_handler()
    assert connection.sent.closed


async def test_an_answered_request_leaves_no_body_and_nothing_to_collect(connection: Connection) -> None:
    def alive() -> int:
        return sum(type(found) is RequestState for found in gc.get_objects())  # a weak proxy has no class to ask for

    body = b'{"stream":"boiler-7","values":{"temp":21.5}}\n' * 9
    head = b"POST /v1/bulk HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n"
    gc.collect()
    gc.disable()
    before = alive()  # of other tests
    try:
        await connection.send(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert [status for status, _ in await connection.answers(1)] == [200]
        await asyncio.sleep(0)
        assert alive() == before
        assert "payload" not in connection.protocol.scope
    finally:
        gc.enable()
