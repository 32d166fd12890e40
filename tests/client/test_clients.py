"""What both clients send and make of the answers, without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from streamnorm_client import AsyncClient, Client, ConnectionFailed, TimedOut, UnexpectedAnswer

INFO = {"stream": "a", "count": 3, "last_seq": 3, "features": ["t"], "config": {}, "created": "", "updated": ""}
ANSWER = {"stream": "a", "count": 1, "ready": False, "values": {"t": 0.0}}

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, **options: Any) -> Client:
    """Build a client whose requests go to a function."""
    return Client(transport=httpx.MockTransport(handler), **{"retries": 0, **options})


def answering(members: Any) -> Handler:
    """Answer everything alike."""
    return lambda _: httpx.Response(200, json=members)


def test_url_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMNORM_URL", "http://edge:9000/norm")
    monkeypatch.setenv("STREAMNORM_KEY", "secret")
    seen: list[httpx.Request] = []
    client(lambda request: seen.append(request) or httpx.Response(200, json={"status": "ok"})).health()  # type: ignore[func-returns-value]
    assert (str(seen[0].url), seen[0].headers["authorization"]) == ("http://edge:9000/norm/healthz", "Bearer secret")


def test_a_client_gives_one_handle_a_stream() -> None:
    ours = client(answering(INFO))
    assert ours.stream("a") is ours.stream("a")


def test_members_that_are_new_in_an_answer_are_let_pass() -> None:
    assert client(answering({**ANSWER, "novelty": 1})).stream("a").normalize({"t": 1}).values == {"t": 0.0}


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"[]", b'{"count": 1}', json.dumps({**INFO, "count": "x"}).encode()]
)
def test_an_answer_of_something_else_is_told_as_such(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        client(lambda _: httpx.Response(200, content=body)).stream("a").info()


@pytest.mark.parametrize(
    ("raised", "expected", "maybe_applied"),
    [
        (httpx.ConnectError, ConnectionFailed, False),
        (httpx.ConnectTimeout, TimedOut, False),
        (httpx.ReadTimeout, TimedOut, True),
        (httpx.ReadError, ConnectionFailed, True),
        (httpx.RemoteProtocolError, ConnectionFailed, True),
    ],
)
def test_a_missing_answer_is_told_in_the_packages_own_terms(
    raised: type[httpx.TransportError], expected: type[Exception], *, maybe_applied: bool
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise raised("no luck")

    with pytest.raises(expected, match=r"no answer from http://127\.0\.0\.1:8000") as error:
        client(fail).health()
    assert getattr(error.value, "maybe_applied") is maybe_applied  # noqa: B009 - the class is a parameter


def test_streams_are_fetched_page_by_page_as_they_are_needed() -> None:
    asked: list[str] = []

    def pages(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("after", ""))
        last = request.url.params.get("after") == "b"
        ids = ["c"] if last else ["a", "b"]
        infos = [{**INFO, "stream": each} for each in ids]
        return httpx.Response(200, json={"streams": infos, "next": None if last else "b"})

    streams = client(pages).streams(prefix="x")
    assert [next(streams).stream, asked.copy(), *(info.stream for info in streams)] == ["a", [""], "b", "c"]


async def test_the_asynchronous_client_lists_the_same() -> None:
    transport = httpx.MockTransport(answering({"streams": [INFO], "next": None}))
    async with AsyncClient(transport=transport) as ours:
        assert [info.stream async for info in ours.streams()] == ["a"]


def test_readings_of_many_streams_go_in_one_request() -> None:
    seen: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        return httpx.Response(200, json={"readings": [ANSWER, ANSWER]})

    client(answer).bulk([{"stream": "a", "values": {"t": 1.0}}, {"stream": "b", "values": [2], "seq": 4}])
    assert seen == [{"readings": [{"stream": "a", "values": {"t": 1.0}}, {"stream": "b", "values": [2], "seq": 4}]}]


def test_a_delete_whose_answer_was_cut_succeeds_when_the_stream_is_gone() -> None:
    asked: list[str] = []

    def vanish(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if len(asked) == 1:
            raise httpx.ReadError("cut")
        return httpx.Response(404, json={"type": "/problems/stream-not-found"})

    client(vanish, retries=1).stream("a").delete()
    assert asked == ["DELETE", "DELETE"]


def test_a_bulk_call_tells_its_progress_and_adds_up_its_answers() -> None:
    told: list[tuple[int, int]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=INFO)
        body = json.loads(request.content)
        last = body["first_seq"] + len(body["values"]) - 1
        members = {"count": last, "ready": True, "features": ["t"], "values": body["values"], "last_seq": last}
        return httpx.Response(200, json={"stream": "a", **members})

    rows = [[float(n)] for n in range(25_000)]
    block = client(answer).stream("a").bulk(rows, progress=lambda done, total: told.append((done, total)))
    assert (told, block.last_seq, block.values == rows) == (
        [(10_000, 25_000), (20_000, 25_000), (25_000, 25_000)],
        25_003,
        True,
    )


def test_no_rows_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="no rows"):
        client(answering(INFO)).stream("a").bulk([])
