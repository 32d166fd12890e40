"""Who may make which call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streamnorm.api.middleware.authorization import required_scopes
from streamnorm.auth.api_keys import SCOPES
from tests.support.guarded_app import Guarded, guarded

READING = {"values": {"temp": 21.4}}
OPEN = {"/healthz", "/readyz"}
# What each scope may do beside `admin`, which may do everything.
OBSERVE = [
    ("POST", "/v1/streams/boiler-7/readings"),
    ("POST", "/v1/streams/boiler-7/bulk"),
    ("POST", "/v1/bulk"),
    ("POST", "/v1/ingest/ttn"),
    ("POST", "/write"),
    ("POST", "/api/v2/write"),
    ("GET", "/v1/streams/boiler-7/live"),
]
READ = [
    ("GET", "/v1/streams"),
    ("GET", "/v1/events"),
    ("GET", "/v1/streams/boiler-7/profile"),
    ("GET", "/v1/streams/boiler-7/advice"),
    ("GET", "/v1/streams/boiler-7/rules"),
    ("GET", "/v1/streams/boiler-7/snapshot"),
    ("GET", "/metrics"),
]
EITHER = [("GET", "/v1/streams/boiler-7"), ("POST", "/v1/streams/boiler-7/denormalize")]
ADMIN = [
    ("PUT", "/v1/streams/boiler-7"),
    ("DELETE", "/v1/streams/boiler-7"),
    ("PUT", "/v1/streams/boiler-7/snapshot"),
    ("POST", "/v1/streams/boiler-7/merge"),
    ("POST", "/v1/streams/boiler-7/reset"),
    ("POST", "/v1/whatever-comes-next"),
    ("GET", "/v1/refusals"),
    ("GET", "/v1/whatever-comes-next"),
    ("GET", "/v1"),
    ("DELETE", "/docs"),
]
ALLOWED = {"observe": OBSERVE + EITHER, "read": READ + EITHER, "admin": OBSERVE + READ + EITHER + ADMIN}


@pytest.fixture(autouse=True)
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every look at the keys be a fresh one."""
    monkeypatch.setattr("streamnorm.auth.api_keys.RELOAD_INTERVAL", 0.0)


@pytest.fixture
async def reachable(tmp_path: Path) -> AsyncIterator[Guarded]:
    """Start an application that others can reach."""
    async with guarded(tmp_path, host="0.0.0.0") as started:  # noqa: S104 - it does not listen at all
        started.context.events.end()  # so that event streams end at once
        yield started


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_may_do_what_its_scope_says_and_nothing_else(reachable: Guarded, scope: str) -> None:
    key = reachable.keys.create("gauge", [scope])
    for method, path in OBSERVE + READ + EITHER + ADMIN:
        forbidden = (await reachable.call(method, path, key)).status_code == 403
        assert forbidden != ((method, path) in ALLOWED[scope]), f"{method} {path}"


async def test_every_call_needs_a_key_but_those_that_tell_it_is_alive(reachable: Guarded) -> None:
    document = (await reachable.call("GET", "/openapi.json")).json()
    for template, calls in document["paths"].items():
        for method in calls:
            path = template.replace("{stream_id}", "boiler-7")
            status = (await reachable.call(method.upper(), path)).status_code
            assert (status == 401) != (path in OPEN), f"{method} {path}"


async def test_a_key_may_be_the_password_of_a_device_that_knows_no_bearer(reachable: Guarded) -> None:
    key = reachable.keys.create("gauge", ["observe"])
    calls = [
        await reachable.client.post("/v1/streams/boiler-7/readings", json=READING, auth=("any", password))
        for password in (key, f"{key}x")
    ]
    odd = await reachable.call("POST", "/v1/streams/boiler-7/readings", headers={"authorization": "Basic sn_key"})
    assert [answer.status_code for answer in (*calls, odd)] == [200, 401, 401]


async def test_a_key_may_be_the_password_of_influxdb_1_in_the_query(reachable: Guarded) -> None:
    key = reachable.keys.create("gauge", ["observe"], "weather")
    other = reachable.keys.create("reader", ["read"])
    point, reading = "weather temp=21.4", "/v1/streams/weather/readings"
    statuses = [
        (await reachable.call("POST", path, sent, content=content)).status_code
        for path, sent, content in (
            (f"/write?db=any&u=me&p={key}", None, point),
            (f"/query?u=me&p={key}&q=CREATE+DATABASE+any", None, ""),
            (f"/write?p={key}", None, "cpu idle=1"),
            (f"/write?p={other}", None, point),
            (f"/write?p={key}x", None, point),
            (f"/write?p={key}", f"{key}x", point),
            (f"{reading}?p={key}", None, '{"temp": 21.4}'),
        )
    ]
    assert statuses == [204, 200, 403, 403, 401, 401, 401]
    keyless = await reachable.call("POST", "/write?db=any&u=me&p=", content=point)
    assert keyless.json()["detail"].startswith("a key is needed")
    assert await refusals_without(reachable, key)


async def refusals_without(reachable: Guarded, key: str) -> bool:
    """Tell whether what is kept of refused requests is without a key."""
    admin = reachable.keys.create("all", ["admin"])
    return key not in (await reachable.call("GET", "/v1/refusals", admin)).text


async def test_a_prefix_holds_for_every_call_that_names_a_stream(reachable: Guarded) -> None:
    key = reachable.keys.create("gauge", ["admin"], "boiler-")
    document = (await reachable.call("GET", "/openapi.json")).json()
    paths = [(method, path) for path, calls in document["paths"].items() for method in calls if "{stream_id}" in path]
    assert len(paths) > 8
    for method, path in paths:
        foreign = await reachable.call(method.upper(), path.replace("{stream_id}", "pump-1"), key)
        own = await reachable.call(method.upper(), path.replace("{stream_id}", "boiler-7"), key)
        assert (foreign.status_code == 403, own.status_code == 403) == (True, False), f"{method} {path}"


async def test_a_prefix_holds_for_readings_of_many_streams(reachable: Guarded) -> None:
    key = reachable.keys.create("gauge", ["observe"], "boiler-")
    mixed = [{"stream": "boiler-7", **READING}, {"stream": "pump-1", **READING}]
    lines = "\n".join(f'{{"stream": "{one["stream"]}", "values": [1]}}' for one in mixed)
    answers = [
        await reachable.call("POST", "/v1/bulk", key, json={"readings": mixed}),
        await reachable.call("POST", "/v1/bulk", key, content=lines, headers={"content-type": "application/x-ndjson"}),
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert reachable.context.service.observed == 0


@pytest.mark.parametrize(
    ("asked", "found"), [("", ["boiler-7"]), ("boil", ["boiler-7"]), ("boiler-7", ["boiler-7"]), ("pump", [])]
)
async def test_a_prefix_holds_for_the_list(reachable: Guarded, asked: str, found: list[str]) -> None:
    admin, narrow = reachable.keys.create("all", ["admin"]), reachable.keys.create("some", ["read"], "boiler-")
    for stream in ("boiler-7", "pump-1"):
        await reachable.call("POST", f"/v1/streams/{stream}/readings", admin, json=READING)
    listed = await reachable.call("GET", "/v1/streams", narrow, params={"prefix": asked})
    assert [info["stream"] for info in listed.json()["streams"]] == found


async def test_the_metrics_are_of_all_streams_and_not_for_a_key_of_some(reachable: Guarded) -> None:
    key = reachable.keys.create("some", ["read"], "boiler-")
    assert (await reachable.call("GET", "/metrics", key)).status_code == 403


async def test_the_refusals_are_of_all_streams_and_not_for_a_key_of_some(reachable: Guarded) -> None:
    for prefix, status in (("boiler-", 403), ("", 200)):
        key = reachable.keys.create("some", ["admin"], prefix)
        assert (await reachable.call("GET", "/v1/refusals", key)).status_code == status


async def test_a_key_that_may_only_read_may_normalize_without_learning(reachable: Guarded) -> None:
    admin, reader = reachable.keys.create("all", ["admin"]), reachable.keys.create("reader", ["read"])
    path = "/v1/streams/boiler-7/readings"
    await reachable.call("POST", path, admin, json=READING)
    assert (await reachable.call("POST", f"{path}?learn=false", reader, json=READING)).status_code == 200
    for query in ("learn=false&learn=true", "learn=true", "learn=0", "xlearn=false"):
        assert (await reachable.call("POST", f"{path}?{query}", reader, json=READING)).status_code == 403


@pytest.mark.parametrize(
    "shown",
    ["Bearer nonsense", "Bearer sn_00000000_nonsense", "Bearer ", "Basic c2VjcmV0", "Bearer \xff", "nonsense"],
)
async def test_anything_but_a_known_key_is_refused_and_told_how(reachable: Guarded, shown: str) -> None:
    headers = {"authorization": shown.encode("latin-1")}
    refused = await reachable.client.get("/v1/streams", headers=headers)  # type: ignore[arg-type]
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="streamnorm"'
    assert refused.json()["type"] == "/problems/unauthorized"


async def test_a_key_is_taken_as_influxdbs_clients_send_it(reachable: Guarded) -> None:
    key = reachable.keys.create("gauge", ["read"])
    told = await reachable.client.get("/v1/streams", headers={"authorization": f"Token {key}"})
    assert told.status_code == 200


async def test_a_key_made_or_revoked_meanwhile_is_noticed(reachable: Guarded) -> None:
    await reachable.call("GET", "/v1/streams")
    key = reachable.keys.create("gauge", ["read"])
    assert (await reachable.call("GET", "/v1/streams", key)).status_code == 200
    reachable.keys.revoke(key.split("_")[1])
    assert (await reachable.call("GET", "/v1/streams", key)).status_code == 401


async def test_insecure_asks_for_no_key_anywhere(tmp_path: Path) -> None:
    async with guarded(tmp_path, host="0.0.0.0", insecure=True) as started:  # noqa: S104
        elsewhere: dict[str, Any] = {"host": "boilers.example", "origin": "https://boilers.example"}
        response = await started.call("POST", "/v1/streams/a/readings", json=READING, headers=elsewhere)
    assert response.status_code == 200


async def test_on_loopback_no_key_is_needed_until_there_was_one(tmp_path: Path) -> None:
    async with guarded(tmp_path) as started:
        assert (await started.call("GET", "/v1/streams")).status_code == 200
        key = started.keys.create("only", ["admin"])
        assert (await started.call("GET", "/v1/streams")).status_code == 401
        started.keys.revoke(key.split("_")[1])
        assert (await started.call("GET", "/v1/streams")).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8000"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "192.168.1.20"}, 200),
        ({"origin": "http://127.0.0.1:8000"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example:8000"}, 403),
    ],
)
async def test_without_keys_the_pages_of_other_sites_are_kept_out(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with guarded(tmp_path) as started:
        response = await started.call("POST", "/v1/streams/a/readings", json=READING, headers=headers)
    assert response.status_code == status


async def test_other_sites_may_call_only_where_configured(tmp_path: Path) -> None:
    preflight = {"origin": "https://dashboards.example", "access-control-request-method": "POST"}
    async with guarded(tmp_path) as started:
        refused = await started.call("OPTIONS", "/v1/streams/a/readings", headers=preflight)
        assert "access-control-allow-origin" not in refused.headers
    async with guarded(tmp_path, cors_origins="https://dashboards.example, https://other.example/") as started:
        told = await started.call("OPTIONS", "/v1/streams/a/readings", headers=preflight)
        assert told.headers["access-control-allow-origin"] == "https://dashboards.example"
        posted = await started.call("POST", "/v1/streams/a/readings", json=READING, headers=preflight)
        assert (posted.status_code, posted.headers["access-control-allow-origin"]) == (200, preflight["origin"])
        foreign = await started.call("OPTIONS", "/v1/streams/a/readings", headers=preflight | {"origin": "https://e.e"})
        assert "access-control-allow-origin" not in foreign.headers


@pytest.mark.parametrize(
    "path", ["/v1/streams/a/b/readings", "/v1/streams//readings", "/v1/streams/a/readings/", "/v1//bulk", "/v1x"]
)
def test_a_path_that_only_resembles_a_call_needs_admin(path: str) -> None:
    assert required_scopes("POST", path, b"")[0] == ("admin",)
