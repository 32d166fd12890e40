"""Bodies of any bytes: never a failure of the service, and a refused one changes nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.http_calls import JSON, NDJSON, Api, running

EXAMPLES = 10 * int(os.environ.get("STREAMNORM_FUZZ", "30"))  # more in a long run
READING: dict[str, Any] = {"values": {"temp": 21.4, "ir": [[1, 2], [3, None]]}, "timestamp": 1_795_337_000, "seq": 40}
SNAPSHOT = b"""{"version": 1, "config": {"method": "online", "horizon": 1000.0}, "count": 1, "last_seq": 2,
"created": 1.0, "updated": 1.0, "features": []}"""
VALID = [
    json.dumps(READING).encode(),
    json.dumps({"features": ["temp"], "values": [[1], [None]], "timestamps": [1, 2], "first_seq": 50}).encode(),
    json.dumps({"readings": [{"stream": "a", **READING}, {"stream": "b", "values": [1]}]}).encode(),
    b'{"values": [1]}\n{"stream": "a", "values": {"x": 2}}\n',
    json.dumps({"method": "batch", "window": 16, "warmup": 3, "affine": {"temp": {"gamma": 2}}}).encode(),
    SNAPSHOT,
    b'[{"bn": "urn:dev:x:", "bt": 1.0, "n": "temp", "u": "Cel", "v": 21.4}]',
    b"boiler,room=a temp=21.4,door=0i 1795337000000000000\n",
]
TOKENS = [
    b"NaN",
    b"Infinity",
    b"-1e999",
    b"1e308",
    b"-0",
    b"9" * 400,
    b"null",
    b"true",
    b'"\\ud800"',
    b'"\xff"',
    b"[" * 2000,
    b'{"a":' * 1200,
    b"[[],[[]]]",
    b'{"values":',
    b'"seq": 9007199254740993,',
    b"\x00",
    b"\n\n",
    b"\xef\xbb\xbf",
]
BASES = ["/v1/streams/boiler-7", "/v1/streams/new"]
ENDS = [
    "/readings",
    "/bulk",
    "/denormalize",
    "/merge",
    "/reset",
    "/readings?learn=false&stats=true",
    "/bulk?learn=false",
]
CALLS = [("POST", base + end) for base in BASES for end in ENDS]
CALLS += [("PUT", base + end) for base in BASES for end in ("", "/snapshot")]
CALLS += [("POST", "/v1/bulk"), ("POST", "/write"), ("POST", "/api/v2/write?precision=s"), ("POST", "/v1/streams")]
MEDIA = [JSON, NDJSON, "application/senml+json", "application/senml+cbor", "application/x-npy", "text/plain", "", "é"]


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """Take a right body and cut, repeat or replace parts of it."""
    body = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(0, 3))):
        at, to = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
        put = draw(st.sampled_from([b"", *TOKENS]) | st.binary(max_size=8) | st.just(body[at:to] * 2))
        body = body[:at] + put + body[to:]
    return body


bodies = spoiled() | st.binary(max_size=200) | st.sampled_from(TOKENS)


async def tried(api: Api, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[httpx.Response, bool]:
    """Send a body; returns the answer, and whether any state has changed."""
    before = await api.state()
    raw = {name: value.encode() for name, value in headers.items()}
    response = await api.client.request(method, path, content=body, headers=raw)  # type: ignore[arg-type]
    return response, await api.state() != before


def test_no_body_makes_it_fail_and_a_refused_one_changes_nothing() -> None:
    with asyncio.Runner() as runner:
        started = running(max_reading_bytes=20_000, max_block_bytes=20_000, max_features=50)
        api = runner.run(started.__aenter__())
        runner.run(api.observe("boiler-7", {**READING, "seq": 39}))

        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
        @given(call=st.sampled_from(CALLS), media=st.sampled_from(MEDIA), body=bodies, packed=st.booleans())
        def sent(call: tuple[str, str], media: str, body: bytes, *, packed: bool) -> None:
            headers = {"content-type": media} | ({"content-encoding": "gzip"} if packed else {})
            response, changed = runner.run(tried(api, *call, headers, gzip.compress(body) if packed else body))
            assert response.status_code < 500, response.text
            assert not (changed and response.status_code >= 400), response.text

        sent()
        runner.run(started.__aexit__(None, None, None))
