"""The guard: request ids, headers, limits, figures."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamnorm import logs
from streamnorm.api.middleware import admission
from tests.support.guarded_app import Guarded, guarded
from tests.support.http_calls import assert_problem

PATH = "/v1/streams/boiler-7/readings"
READING = {"values": {"temp": 21.4}}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Guarded]:
    """Start an application that takes little at once."""
    limits = {"max_requests": 3, "max_requests_per_client": 2, "max_pending_bytes": 10_000}
    async with guarded(tmp_path, **limits) as started:
        yield started


class Slow:
    """A body of a reading whose second half waits to be let go."""

    def __init__(self, size: int = 100) -> None:
        self.size = size
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the two halves."""
        whole = json.dumps(READING).encode().ljust(self.size)
        yield whole[: self.size // 2]
        self.begun.set()
        await self.go_on.wait()
        yield whole[self.size // 2 :]


async def begun(service: Guarded, body: Slow, address: str = "10.0.0.1") -> asyncio.Task[httpx.Response]:
    """Start to send a body, and wait until the service is at it."""
    transport = httpx.ASGITransport(service.app, client=(address, 1234))

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post(PATH, content=body, headers={"content-type": "application/json"})

    task = asyncio.create_task(send())
    waiting = asyncio.create_task(body.begun.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return task


async def test_a_request_id_is_echoed(service: Guarded) -> None:
    response = await service.call("POST", PATH, json=READING, headers={"x-request-id": "abc-1"})
    assert response.headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129])
async def test_a_request_without_a_fit_id_is_given_one_of_its_own(service: Guarded, given: str | None) -> None:
    headers = {} if given is None else {"x-request-id": given}
    made = [(await service.call("GET", "/healthz", headers=headers)).headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    assert given not in made


async def test_pages_may_load_nothing_from_elsewhere_and_be_framed_nowhere(service: Guarded) -> None:
    headers = (await service.call("GET", "/docs")).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert len(headers.get_list("content-security-policy")) == 1
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")


async def test_an_answer_is_never_taken_for_a_page(service: Guarded) -> None:
    assert (await service.call("POST", PATH, json=READING)).headers["x-content-type-options"] == "nosniff"


async def test_one_caller_cannot_take_it_all(service: Guarded) -> None:
    bodies = [Slow(), Slow()]
    tasks = [await begun(service, body) for body in bodies]
    third = Slow()
    third.go_on.set()
    refused = await begun(service, third)
    other = await begun(service, third, "10.0.0.2")
    assert_problem(await refused, 429, "too-many-requests")
    assert (await refused).headers["retry-after"] == "1"
    assert (await other).status_code == 200
    for body, task in zip(bodies, tasks, strict=True):
        body.go_on.set()
        assert (await task).status_code == 200
    assert (await service.call("POST", PATH, json=READING)).json()["count"] == 4


async def test_all_callers_together_cannot_take_more_than_there_is(service: Guarded) -> None:
    bodies = [Slow() for _ in range(3)]
    tasks = [await begun(service, body, f"10.0.0.{n}") for n, body in enumerate(bodies)]
    refused = await service.call("POST", PATH, json=READING)
    assert_problem(refused, 503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert (await service.call("GET", "/healthz")).status_code == 200
    assert (await service.call("GET", "/readyz")).status_code == 200
    for body, task in zip(bodies, tasks, strict=True):
        body.go_on.set()
        await task
    assert (await service.call("POST", PATH, json=READING)).status_code == 200


async def test_bodies_together_cannot_take_more_memory_than_there_is(service: Guarded) -> None:
    body = Slow(12_000)
    first, second = await begun(service, body, "10.0.0.1"), await begun(service, body, "10.0.0.2")
    assert_problem(await second, 503, "overloaded")
    body.go_on.set()
    assert (await first).status_code == 200


async def test_one_body_alone_may_take_more(service: Guarded) -> None:
    alone = Slow(50_000)
    alone.go_on.set()
    assert (await (await begun(service, alone))).status_code == 200


async def test_a_slow_body_is_ended_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "TIMEOUT_CHECK_INTERVAL", 0.01)
    async with guarded(tmp_path, body_timeout=0.05) as service:
        refused = await (await begun(service, Slow()))
        assert_problem(refused, 408, "request-timeout")
        assert service.context.service.observed == 0
        assert (await service.call("POST", PATH, json=READING)).status_code == 200


async def test_requests_are_timed_by_call_and_refusals_counted_by_reason(service: Guarded) -> None:
    await service.call("POST", PATH, json=READING)
    await service.call("GET", "/v1/streams", headers={"origin": "https://evil.example"})
    text = (await service.call("GET", "/metrics")).text
    assert 'streamnorm_request_seconds_count{call="readings"} 1.0' in text
    assert 'streamnorm_request_seconds_bucket{call="readings",le="+Inf"} 1.0' in text
    assert 'streamnorm_refusals_total{reason="forbidden"} 1.0' in text
    assert "streamnorm_streams_resident 1.0" in text


async def test_a_request_is_logged_as_json_with_its_id(service: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(logs.Json())
    with caplog.at_level(logging.DEBUG, "streamnorm.api.middleware.admission"):
        await service.call("POST", PATH, json=READING, headers={"x-request-id": "abc-1"})
    told = json.loads(caplog.text.splitlines()[-1])
    assert (told["level"], told["request"], told["method"]) == ("debug", "abc-1", "POST")
    assert (told["path"], told["status"]) == (PATH, 200)


async def test_a_failure_is_logged_with_its_trace_in_one_line(
    service: Guarded, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError("the inside")

    monkeypatch.setattr(service.context.service.streams, "page", fail)
    caplog.handler.setFormatter(logs.Json())
    response = await service.call("GET", "/v1/streams", headers={"x-request-id": "abc-2"})
    assert (response.status_code, response.headers["x-request-id"]) == (500, "abc-2")
    told = [json.loads(line) for line in caplog.text.splitlines()]
    assert any(one.get("request") == "abc-2" and "the inside" in one.get("error", "") for one in told)


async def test_a_draining_service_is_not_ready(service: Guarded) -> None:
    service.context.drain()
    assert_problem(await service.call("GET", "/readyz"), 503, "store-unavailable")


async def test_keys_that_cannot_be_read_let_nobody_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with guarded(tmp_path, host="0.0.0.0") as started:  # noqa: S104 - it does not listen at all
        (tmp_path / "keys.db").write_bytes(b"garbage " * 1000)
        monkeypatch.setattr("streamnorm.auth.api_keys.RELOAD_INTERVAL", 0.0)
        assert_problem(await started.call("GET", "/v1/streams", "sn_00000000_x"), 503, "store-unavailable")


async def test_many_wrong_values_are_told_briefly(service: Guarded) -> None:
    wrong = {"values": {f"f{n}": "x" * 30 for n in range(5_000)}}
    refused = await service.call("POST", PATH, json=wrong)
    assert refused.status_code == 422
    assert len(refused.content) < 10_000


async def test_nothing_is_remembered_of_a_caller_whose_requests_are_done(service: Guarded) -> None:
    front: Any = service.app
    middleware = front.app
    assert isinstance(middleware, admission.AdmissionMiddleware)
    body = Slow()
    task = await begun(service, body, "10.0.0.7")
    assert middleware._clients == {"10.0.0.7": 1}  # noqa: SLF001 - a leak cannot be seen from outside
    body.go_on.set()
    await task
    assert middleware._clients == {}  # noqa: SLF001


async def test_a_live_connection_is_told_its_request_id_and_nothing_else(service: Guarded) -> None:
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    headers = [(b"host", b"127.0.0.1"), (b"x-request-id", b"abc-1")]
    scope = {"type": "websocket", "path": "/v1/streams/boiler-7/live", "headers": headers, "query_string": b""}
    scope |= {"scheme": "ws", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "subprotocols": []}
    front: Any = service.app
    living = asyncio.create_task(front(scope, asked.get, told.put))
    await asked.put({"type": "websocket.connect"})
    accepted = await told.get()
    assert (accepted["type"], accepted["headers"]) == ("websocket.accept", [(b"x-request-id", b"abc-1")])
    await asked.put({"type": "websocket.disconnect", "code": 1000})
    await living
