"""Requests that are wrong before anybody looks at what they say: paths, methods, media types, sizes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.http_calls import NDJSON, Api, assert_problem

HERE = "/v1/streams/boiler-7"
WITH_BODY = [
    ("POST", f"{HERE}/readings"),
    ("POST", f"{HERE}/denormalize"),
    ("POST", f"{HERE}/bulk"),
    ("POST", "/v1/bulk"),
    ("PUT", HERE),
    ("PUT", f"{HERE}/snapshot"),
    ("POST", f"{HERE}/merge"),
]
every_body = pytest.mark.parametrize(("method", "path"), WITH_BODY, ids=lambda part: part.replace("/", " "))


async def blanks(size: int, chunk: int = 1000) -> AsyncIterator[bytes]:
    """Send blanks in chunks, without saying how many there will be."""
    for _ in range(0, size, chunk):
        yield b" " * chunk


@every_body
async def test_a_body_that_says_it_is_over_the_limit_is_refused(warm: Api, method: str, path: str) -> None:
    before = await warm.state()
    assert_problem(await warm.post(path, b" " * 40_001, method=method), 413, "body-too-large")
    assert await warm.state() == before


@every_body
async def test_a_body_in_chunks_that_grows_over_the_limit_is_refused(warm: Api, method: str, path: str) -> None:
    before = await warm.state()
    headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
    response = await warm.client.request(method, path, content=blanks(41_000), headers=headers)
    assert_problem(response, 413, "body-too-large")
    assert await warm.state() == before


async def test_a_body_in_chunks_within_the_limit_is_taken(api: Api) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for part in ('{"val', 'ues": [21', ".4]}"):
            yield part.encode()

    headers = {"content-type": "application/json"}
    response = await api.client.post("/v1/streams/new/readings", content=chunks(), headers=headers)
    assert response.json()["count"] == 1


async def test_a_body_of_exactly_the_limit_is_taken(api: Api) -> None:
    body = '{"values": [21.4]}'.ljust(20_000)
    assert (await api.post("/v1/streams/new/readings", body)).status_code == 200


async def test_a_reading_has_a_smaller_limit_than_a_block(api: Api) -> None:
    body = '{"values": [[21.4]]}'.ljust(20_001)
    assert (await api.post("/v1/streams/new/bulk", body)).status_code == 200
    assert_problem(await api.post("/v1/streams/new/readings", body), 413, "body-too-large")


@every_body
@pytest.mark.parametrize("media", ["text/plain", "text/json", "application/x-www-form-urlencoded", "nonsense", ""])
async def test_a_media_type_that_is_not_taken_is_told(warm: Api, method: str, path: str, media: str) -> None:
    before = await warm.state()
    response = await warm.post(path, {"values": [1]}, method=method, headers={"content-type": media})
    assert_problem(response, 415, "unsupported-media-type")
    assert await warm.state() == before


async def test_a_single_reading_is_no_ndjson(warm: Api) -> None:
    response = await warm.lines(f"{HERE}/readings", {"values": [1]})
    assert "application/json" in assert_problem(response, 415, "unsupported-media-type")["detail"]
    assert NDJSON in response.text


@pytest.mark.parametrize("id_", ["a%0A", "e%CC%81", "a%00", "a" * 129, "%E2%80%A8", "%FF", "%1B", "%20" * 129])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/readings"), ("POST", "/bulk"), ("PUT", ""), ("GET", ""), ("DELETE", ""), ("GET", "/snapshot")],
)
async def test_a_bad_id_is_told(api: Api, method: str, path: str, id_: str) -> None:
    response = await api.post(f"/v1/streams/{id_}{path}", {"values": [1]}, method=method)
    assert_problem(response, 422, "invalid-request", "/path/stream_id")
    assert await api.state() == {}


@pytest.mark.parametrize("path", ["/v1/streams/a%2Fb/readings", "/v1/streams//readings", "/v2/streams", "/favicon.ico"])
async def test_an_unknown_path_is_told(api: Api, path: str) -> None:
    problem = assert_problem(await api.post(path, {"values": [1]}), 404, "not-found")
    assert problem["detail"].startswith("POST /")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", f"{HERE}/readings", "POST"),
        ("DELETE", "/v1/bulk", "POST"),
        ("POST", "/healthz", "GET"),
        ("PUT", "/v1/streams", "GET"),
    ],
)
async def test_a_wrong_method_is_told_with_the_right_one(api: Api, method: str, path: str, allowed: str) -> None:
    response = await api.post(path, method=method)
    assert_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("readings?learn=maybe", "/query/learn"),
        ("readings?stats=2", "/query/stats"),
        ("bulk?learn=", "/query/learn"),
        ("readings?lern=false", "/query/lern"),
        ("denormalize?stats=true", "/query/stats"),
        ("bulk?learn=false&stream%2Fing=true", "/query/stream~1ing"),
    ],
)
async def test_a_wrong_query_is_told(warm: Api, path: str, pointer: str) -> None:
    before = await warm.state()
    assert_problem(await warm.post(f"{HERE}/{path}", {"values": [1]}), 422, "invalid-request", pointer)
    assert await warm.state() == before


async def test_no_request_waits_for_a_thread_of_the_framework(warm: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """FastAPI calls dependencies and handlers that are plain functions in a thread, which takes longer than they do."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a thread")

    monkeypatch.setattr("anyio.to_thread.run_sync", refuse)
    assert (await warm.post(f"{HERE}/readings?stats=true", {"values": {"temp": 20}})).is_success
    for path in ("/v1/streams", HERE, f"{HERE}/profile", f"{HERE}/snapshot", "/healthz", "/readyz", "/metrics"):
        assert (await warm.get(path)).is_success
