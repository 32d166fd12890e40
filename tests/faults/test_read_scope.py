"""A key that may only read changes nothing, by whatever call, query or way in."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from starlette.datastructures import QueryParams
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from streamnorm.api.middleware.authorization import EITHER, OBSERVE, learns, required_scopes
from streamnorm.auth.api_keys import SQLiteApiKeys
from tests.support.guarded_app import Guarded, guarded
from tests.support.processes import PATIENCE, Service

READING = {"values": {"temp": 21.4}}
NAMED = READING | {"stream": "boiler-7"}
NDJSON = "application/x-ndjson"
LEARN = ["", "learn=false", "learn=true", "learn=0", "learn=False", "learn=", "learn", "Learn=false", "learn=no"]
QUERIES = [*LEARN, *("&".join(pair) for pair in itertools.permutations(LEARN[1:4], 2)), "streaming=true&learn=false"]
PATHS = [
    *(f"/v1/streams/{stream}/{call}" for stream in ("boiler-7", "new") for call in ("readings", "bulk", "denormalize")),
    "/v1/bulk",
    "/write",
    "/api/v2/write",
]
BODIES: list[tuple[str, bytes]] = [
    ("application/json", json.dumps(READING).encode()),
    ("application/json", json.dumps({"readings": [NAMED]}).encode()),
    ("application/json", json.dumps({"features": ["temp"], "values": [[1]]}).encode()),
    (NDJSON, json.dumps(READING).encode()),
    (NDJSON, json.dumps(NAMED).encode()),
    ("application/senml+json", json.dumps([{"n": "temp", "v": 3}]).encode()),
    ("text/plain", b"boiler-7 temp=3"),
]


def npz(path: Path) -> bytes:
    """Write a block of one stream."""
    np.savez(path, streams=np.array(["boiler-7"]), values=np.ones((1, 2, 1)))
    return path.read_bytes()


@pytest.fixture
async def reachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guarded]:
    """Start an application that others can reach, with a stream."""
    monkeypatch.setattr("streamnorm.auth.api_keys.RELOAD_INTERVAL", 0.0)
    async with guarded(tmp_path, host="0.0.0.0", line_stream="{measurement}") as started:  # noqa: S104 - it does not listen
        admin = started.keys.create("boss", ["admin"])
        await started.call("POST", "/v1/streams/boiler-7/readings", admin, json=READING)
        yield started


async def test_no_call_with_any_query_and_body_changes_anything(reachable: Guarded, tmp_path: Path) -> None:
    key = reachable.keys.create("dashboard", ["read"])
    service = reachable.context.service
    bodies = [*BODIES, ("application/x-npz", npz(tmp_path / "block.npz"))]
    answered = set()
    for path, query, (media, body) in itertools.product(PATHS, QUERIES, bodies):
        answer = await reachable.call("POST", f"{path}?{query}", key, content=body, headers={"content-type": media})
        answered.add(answer.status_code)
        assert service.observed == 1, f"{path}?{query} with {media}"
    assert {200, 403} <= answered
    listed = await reachable.call("GET", "/v1/streams", key)
    assert [(info["stream"], info["count"]) for info in listed.json()["streams"]] == [("boiler-7", 1)]


async def test_many_streams_are_normalized_only_where_that_is_asked_for(reachable: Guarded, tmp_path: Path) -> None:
    key = reachable.keys.create("dashboard", ["read"])
    for media, body in [
        ("application/json", json.dumps({"readings": [NAMED]}).encode()),
        (NDJSON, json.dumps(NAMED).encode()),
        ("application/x-npz", npz(tmp_path / "block.npz")),
    ]:
        headers = {"content-type": media}
        answer = await reachable.call("POST", "/v1/bulk?learn=false", key, content=body, headers=headers)
        assert answer.status_code == 200
    assert reachable.context.service.observed == 1


async def test_a_write_of_line_protocol_that_would_not_learn_is_refused(reachable: Guarded) -> None:
    key = reachable.keys.create("telegraf", ["observe"])
    answer = await reachable.call("POST", "/write?learn=false", key, content=b"boiler-7 temp=3")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert reachable.context.service.observed == 1


@given(st.lists(st.sampled_from(["learn", "stats", "Learn", "%6cearn", "l%65arn", ""]).flatmap(
    lambda name: st.sampled_from(["false", "true", "0", "", "fals%65", "FALSE", "false;learn=true"]).map(
        lambda value: f"{name}={value}")), max_size=4).map("&".join))  # fmt: skip
def test_whatever_is_let_in_as_not_learning_is_understood_so(query: str) -> None:
    if not learns(query.encode()):
        assert TypeAdapter(bool).validate_python(QueryParams(query.encode())["learn"]) is False
        assert required_scopes("POST", "/v1/bulk", query.encode()) == (EITHER, None)
    else:
        assert required_scopes("GET", "/v1/live", query.encode()) == (OBSERVE, None)


# WebSockets


@pytest.fixture(scope="module")
def guarded_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, dict[str, str]]]:
    """Run a service with a key of each scope."""
    folder = tmp_path_factory.mktemp("keys")
    with closing(SQLiteApiKeys(folder / "data")) as keys:
        made = {scope: keys.create(scope, [scope]) for scope in ("read", "observe")}
    with Service(folder) as service:
        headers = {"authorization": f"Bearer {made['observe']}"}
        httpx.post(f"{service.url}/v1/streams/boiler-7/readings", json=READING, headers=headers).raise_for_status()
        yield service, made


def talking(running: tuple[Service, dict[str, str]], path: str, scope: str = "read") -> ClientConnection:
    """Open a WebSocket."""
    service, keys = running
    headers = {"authorization": f"Bearer {keys[scope]}"}
    made: ClientConnection = connect(f"ws://127.0.0.1:{service.port}{path}", additional_headers=headers)
    return made


def say(connection: ClientConnection, message: Any) -> Any:
    """Send a message; returns its answer."""
    connection.send(json.dumps(message))
    return json.loads(connection.recv(PATIENCE))


@pytest.mark.parametrize("scope", ["read", "observe"])
@pytest.mark.parametrize(("path", "message"), [("/v1/live", NAMED), ("/v1/streams/boiler-7/live", READING)])
def test_a_websocket_learns_nothing_where_it_was_told_so(
    guarded_service: tuple[Service, dict[str, str]], path: str, message: Any, scope: str
) -> None:
    with talking(guarded_service, f"{path}?learn=false", scope) as connection:
        assert [say(connection, message)["count"] for _ in range(3)] == [1, 1, 1]
        for _ in range(50):
            connection.send(json.dumps(message))
        assert {json.loads(connection.recv(PATIENCE))["count"] for _ in range(50)} == {1}


def test_a_websocket_that_learns_nothing_makes_no_stream(guarded_service: tuple[Service, dict[str, str]]) -> None:
    with talking(guarded_service, "/v1/streams/new/live?learn=false") as connection:
        assert say(connection, READING)["type"] == "/problems/stream-not-found"


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ("", 403, None),
        ("learn=true", 403, None),
        ("learn=0", 403, None),
        ("learn=false&learn=true", 403, None),
        ("learn=false&lear=1", 422, "/query/lear"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/live", "/v1/streams/boiler-7/live"])
def test_a_websocket_with_another_query_is_refused(
    guarded_service: tuple[Service, dict[str, str]], path: str, query: str, status: int, pointer: str | None
) -> None:
    with pytest.raises(InvalidStatus) as refused, talking(guarded_service, f"{path}?{query}"):
        pass
    problem = json.loads(refused.value.response.body or b"")
    assert (refused.value.response.status_code, problem["status"]) == (status, status)
    assert [fault["pointer"] for fault in problem.get("errors", [])] == ([pointer] if pointer else [])


def test_a_query_that_is_no_boolean_is_refused_before_the_websocket_opens(
    guarded_service: tuple[Service, dict[str, str]],
) -> None:
    with pytest.raises(InvalidStatus) as refused, talking(guarded_service, "/v1/live?learn=perhaps", "observe"):
        pass
    assert json.loads(refused.value.response.body or b"")["errors"][0]["pointer"] == "/query/learn"
