"""Every error is a StreamnormError that can be copied and pickled, and says what the service's answer was."""

from __future__ import annotations

import copy
import logging
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import httpx
import pytest

import streamnorm_client
from streamnorm_client import (
    Client,
    Closed,
    ConnectionFailed,
    InvalidArgument,
    Problem,
    Response,
    StaleSequence,
    StreamnormError,
    StreamNotFound,
    TimedOut,
    UnexpectedAnswer,
    WrongType,
)
from streamnorm_client._problems import problem
from tests.support.processes import Service

NOWHERE = "http://127.0.0.1:9"
ITSELF: list[Any] = []
ITSELF.append(ITSELF)

REFUSED: dict[str, Callable[[Client], object]] = {
    "a stream's id": lambda client: client.stream("boiler\n7"),
    "an id that is no text": lambda client: client.stream(7),  # type: ignore[arg-type]
    "infinity": lambda client: client.stream("a").observe({"x": float("inf")}),
    "text": lambda client: client.stream("a").observe({"x": "warm"}),
    "a list that holds itself": lambda client: client.stream("a").observe(ITSELF),
    "a surrogate": lambda client: client.stream("a").observe({"\ud800": 1.0}, numbered=False),
    "a time without zone": lambda client: client.stream("a").observe([1], timestamp=[]),
    "no rows": lambda client: client.stream("a").bulk([]),
    "rows that are none": lambda client: client.stream("a").bulk(3),
    "too few times": lambda client: client.stream("a").bulk([[1], [2]], timestamps=[1.0]),
    "a configuration that is no JSON": lambda client: client.stream("a").configure(method={1, 2}),
    "a reading without values": lambda client: client.bulk([{"stream": "a"}]),
    "a path": lambda client: client.request("GET", "healthz"),
    "an outbox that is not there": lambda client: client.stream("a").put([1]),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_here_is_an_error_of_the_package(call: Callable[[Client], object]) -> None:
    with Client(NOWHERE, retries=0) as client, pytest.raises(StreamnormError) as refused:
        call(client)
    assert not isinstance(refused.value, ConnectionFailed)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "localhost:8000"},
        {"url": "http://a:99999"},
        {"url": "https://a", "verify": "/nowhere.pem"},
        {"url": "https://a", "cert": "/nowhere.pem"},
    ],
    ids=["url", "port", "verify", "cert"],
)
def test_a_client_that_cannot_be_made_is_an_error_of_the_package(options: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument):
        Client(**options)  # type: ignore[arg-type]


def test_a_closed_client_says_that_it_is_closed() -> None:
    client = Client(NOWHERE)
    client.close()
    with pytest.raises(Closed, match="closed"):
        client.health()


@pytest.mark.parametrize("ours", [InvalidArgument, WrongType])
def test_refusals_are_caught_by_pythons_own_names_too(ours: type) -> None:
    assert issubclass(ours, ValueError)
    assert issubclass(WrongType, TypeError)


def examples() -> list[StreamnormError]:
    """Build an error of every class."""
    answer = Response(409, {"x-request-id": "abc"}, b"{}")
    made: list[StreamnormError] = []
    for name in streamnorm_client.__all__:
        kind = getattr(streamnorm_client, name)
        if isinstance(kind, type) and issubclass(kind, Problem):
            made.append(kind(409, {"title": "t", "last_seq": 9, "errors": [{"pointer": "/a", "detail": "b"}]}, 3.0))
        elif isinstance(kind, type) and issubclass(kind, StreamnormError):
            made.append(kind("wrong"))
    for error in made:
        error.seq, error.rows_done, error.maybe_applied, error.response = 7, 3, True, answer
    return made


@pytest.mark.parametrize("error", examples(), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_every_error_can_be_copied_and_pickled(
    error: StreamnormError, again: Callable[[StreamnormError], StreamnormError]
) -> None:
    made = again(error)
    assert (type(made), str(made), vars(made)) == (type(error), str(error), vars(error))
    assert (made.request_id, made.rows_done) == ("abc", 3)


def ask_for_nothing(url: str) -> None:
    """Ask for a stream that does not exist."""
    with Client(url) as client:
        client.stream("nowhere").info()


def test_an_error_comes_out_of_a_process_pool(service: Service) -> None:
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(StreamNotFound, match="nowhere") as raised,
    ):
        pool.submit(ask_for_nothing, service.url).result()
    assert raised.value.status == 404


def test_an_error_has_the_answer_and_its_request_id(service: Service) -> None:
    with Client(service.url) as client, pytest.raises(StreamNotFound) as raised:
        client.stream("nowhere").info()
    response = raised.value.response
    assert response is not None
    assert (raised.value.status, response.json()["title"]) == (404, raised.value.title)
    assert raised.value.request_id == response.headers["x-request-id"]


def test_an_error_without_answer_has_none() -> None:
    with Client(NOWHERE, retries=0) as client, pytest.raises(ConnectionFailed) as raised:
        client.health()
    assert (raised.value.response, raised.value.status, raised.value.request_id) == (None, None, None)


def test_an_answer_that_leads_elsewhere_is_told_with_its_place() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(307, headers={"location": "https://elsewhere/"}))
    with Client(transport=transport) as client, pytest.raises(UnexpectedAnswer, match="https://elsewhere/") as raised:
        client.health()
    assert raised.value.status == 307


def test_a_stale_number_of_somebody_elses_is_a_problem_only() -> None:
    assert not isinstance(problem(409, {"type": "/problems/stale-sequence"}), StaleSequence)


def test_retries_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="streamnorm_client")
    with Client(NOWHERE, retries=2) as client, pytest.raises(ConnectionFailed):
        client.health()
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("streamnorm_client")]
    assert [line.split(" s,")[1][:16] for line in lines] == [" after attempt 1", " after attempt 2"]
    assert all("GET /healthz is sent again" in line for line in lines)


@pytest.mark.parametrize("error", [httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.DecodingError])
def test_whatever_httpx_raises_is_an_error_of_the_package(error: type[httpx.RequestError]) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("no luck")

    with Client(transport=httpx.MockTransport(fail), retries=0) as client, pytest.raises(StreamnormError):
        client.health()


def test_a_call_has_a_timeout_of_its_own() -> None:
    seen: list[Any] = []

    def look(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"]["read"])
        return httpx.Response(200, json={"status": "ok"})

    with Client(transport=httpx.MockTransport(look), timeout=9) as client:
        client.health()
        client.health(timeout=2)
    assert seen == [9, 2]


def test_a_timeout_of_its_own_holds_on_the_short_way_too(service: Service) -> None:
    with Client(service.url) as client:
        client.health()
        with pytest.raises(TimedOut):
            client.stream("slow").bulk([[1.0] * 50] * 5_000, timeout=httpx.Timeout(5, read=1e-6), numbered=False)
        assert client.health(timeout=60).status == "ok"
