"""The hot path answers exactly as the route behind it, errors included."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.api.access import Access, Headers
from streamnorm.api.at_once import AtOnce
from streamnorm.app import behind_guard, in_front
from streamnorm.errors import StreamnormError
from streamnorm.settings import Settings
from streamnorm.stores.keys import Keys
from tests.api.calls import JSON, NOW, Api, running

PATH = "/v1/streams/boiler-7/readings"
PLAIN = {"content-type": JSON}
USUAL = b'{"values":{"temp":21.5,"door":0}}'


class Pair:
    """The same service twice: one gets its requests whole, the other in pieces, which only the route takes."""

    def __init__(self, hot: httpx.AsyncClient, route: httpx.AsyncClient, apis: tuple[Api, Api]) -> None:
        self.clients, self.apis = (hot, route), apis

    async def same(
        self, body: bytes, headers: Mapping[str, str] = PLAIN, path: str = PATH, method: str = "POST"
    ) -> None:
        """Send a request to both, which answer the same, and keep the same."""
        named = {**headers, "x-request-id": "one"}
        one, other = [await client.request(method, path, content=body, headers=named) for client in self.clients]
        assert (one.status_code, one.headers, one.content) == (other.status_code, other.headers, other.content)
        assert await self.apis[0].state() == await self.apis[1].state()


def whole(app: Any) -> Any:
    """Hand a request on in one message, as uvicorn does and httpx does not; one of two pieces stays in two."""

    async def handed(scope: Any, receive: Any, send: Any) -> None:
        messages = [await receive()]
        while messages[-1]["more_body"]:
            messages.append(await receive())
        *messages, _ = messages
        messages[-1]["more_body"] = False

        async def again() -> Any:
            return messages.pop(0)

        await app(scope, again, send)

    return handed


def client_of(app: Any) -> httpx.AsyncClient:
    """Make a client of an application."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://streamnorm")


@pytest.fixture(params=["everysec", "always"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    """Start both, with a stream that has a few readings; with `always`, every reading has to wait."""
    async with AsyncExitStack() as stack:
        yield await started(stack, tmp_path, request.param)


async def started(stack: AsyncExitStack, folder: Path, durability: str) -> Pair:
    settings: dict[str, Any] = {"max_reading_bytes": 2000, "max_features": 4, "warmup": 3, "durability": durability}
    apis = [await stack.enter_async_context(running(**settings)) for _ in range(2)]
    one, other = [behind_guard(api.app, Settings(insecure=True), Keys(folder)) for api in apis]
    hot, route = [await stack.enter_async_context(client_of(app)) for app in (whole(one), other)]
    pair = Pair(hot, route, (apis[0], apis[1]))
    for seq in (1, 2):
        await pair.same(json.dumps({"values": {"temp": 20.0 + seq, "door": 1}, "seq": seq}).encode())
    return pair


BODIES = {
    "numbers": USUAL,
    "a whole number": b'{"values":{"temp":21,"door":0}}',
    "null": b'{"values":{"temp":null,"door":0}}',
    "its features in another order": b'{"values":{"door":0,"temp":21.5}}',
    "one of its features": b'{"values":{"temp":21.5}}',
    "a new feature": b'{"values":{"temp":21.5,"light":3}}',
    "too many features": b'{"values":{"a":1,"b":2,"c":3,"d":4}}',
    "a channel": b'{"values":{"temp":21.5,"ir":[[1,2],[3,4]]}}',
    "an array": b'{"values":[1,2]}',
    "the next number": b'{"values":{"temp":21.5,"door":0},"seq":3}',
    "a gap": b'{"values":{"temp":21.5,"door":0},"seq":9}',
    "the last number again": b'{"values":{"temp":22.0,"door":1},"seq":2}',
    "the last number with other features": b'{"values":{"temp":22.0},"seq":2}',
    "a number applied before": b'{"values":{"temp":21.5,"door":0},"seq":1}',
    "a negative number": b'{"values":{"temp":21.5,"door":0},"seq":-1}',
    "a number too large": b'{"values":{"temp":21.5,"door":0},"seq":9007199254740992}',
    "a broken number": b'{"values":{"temp":21.5,"door":0},"seq":3.0}',
    "true for a number": b'{"values":{"temp":21.5,"door":0},"seq":true}',
    "null for a number": b'{"values":{"temp":21.5,"door":0},"seq":null}',
    "a time": b'{"values":{"temp":21.5,"door":0},"timestamp":"2026-11-22T08:59:59.5Z"}',
    "a time in seconds": b'{"values":{"temp":21.5,"door":0},"timestamp":1795337999,"seq":3}',
    "a time too far ahead": b'{"values":{"temp":21.5,"door":0},"timestamp":1895337999}',
    "a time without offset": b'{"values":{"temp":21.5,"door":0},"timestamp":"2026-11-22T08:59:59"}',
    "true for a time": b'{"values":{"temp":21.5,"door":0},"timestamp":true}',
    "null for a time": b'{"values":{"temp":21.5,"door":0},"timestamp":null}',
    "text for a value": b'{"values":{"temp":"warm","door":0}}',
    "true for a value": b'{"values":{"temp":true,"door":0}}',
    "a value too large": b'{"values":{"temp":1e76,"door":0}}',
    "a whole number too large": b'{"values":{"temp":1' + b"0" * 80 + b',"door":0}}',
    "infinity": b'{"values":{"temp":1e999,"door":0}}',
    "NaN": b'{"values":{"temp":NaN,"door":0}}',
    "an unfit name": b'{"values":{"":1}}',
    "a name twice": b'{"values":{"temp":21.5,"temp":22.5}}',
    "nothing in it": b'{"values":{}}',
    "values missing": b"{}",
    "an unknown field": b'{"values":{"temp":21.5,"door":0},"unit":"C"}',
    "no object": b"[1]",
    "no JSON": b'{"values":{"temp":21.5,',
    "nothing": b"",
    "too much": b'{"values":{"temp":21.5,"door":0}}' + b" " * 2000,
    "no UTF-8": b'{"values":{"\xff":1}}',
    "half a letter": b'{"values":{"\\ud800":1}}',
}
REQUESTS: dict[str, dict[str, Any]] = {
    "a media type with a parameter": {"headers": {"content-type": "application/json; charset=utf-8"}},
    "no media type": {"headers": {}},
    "another media type": {"headers": {"content-type": "text/plain"}},
    "an encoding": {"headers": {**PLAIN, "content-encoding": "br"}},
    "normalize only": {"path": f"{PATH}?learn=false"},
    "stats": {"path": f"{PATH}?stats=true"},
    "an unknown parameter": {"path": f"{PATH}?magic=1"},
    "a wrong parameter": {"path": f"{PATH}?learn=perhaps"},
    "an unknown stream": {"path": "/v1/streams/boiler-8/readings"},
    "no stream id": {"path": "/v1/streams/boiler%207/readings"},
    "a slash in the id": {"path": "/v1/streams/boiler%2F7/readings"},
    "a slash behind": {"path": f"{PATH}/"},
    "another method": {"method": "PUT"},
    "a get": {"method": "GET"},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_is_answered_alike(pair: Pair, body: bytes) -> None:
    await pair.same(body)
    await pair.same(USUAL)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_a_request_is_answered_alike(pair: Pair, request_: dict[str, Any]) -> None:
    await pair.same(USUAL, **request_)


@pytest.mark.parametrize("config", [{"clamp": 1.0, "missing": "mean"}, {"time_constant": 5.0}, {"method": "adaptive"}])
async def test_a_configured_stream_is_answered_alike(pair: Pair, config: dict[str, Any]) -> None:
    await pair.same(json.dumps(config).encode(), path="/v1/streams/boiler-7", method="PUT")
    for body in (USUAL, BODIES["null"], BODIES["a time"], USUAL):
        await pair.same(body)


async def test_a_body_in_pieces_is_answered_alike(pair: Pair) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield USUAL[:10]
        yield USUAL[10:]

    answers = [await client.post(PATH, content=pieces(), headers=PLAIN) for client in pair.clients]
    assert answers[0].content == answers[1].content


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 2**70), st.floats(), st.text(max_size=3)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["temp", "door", "light", ""])
likely = st.fixed_dictionaries(
    {"values": st.dictionaries(names, st.one_of(st.floats(-1e3, 1e3), json_values), max_size=3)},
    optional={
        "seq": st.one_of(st.integers(-2, 12), json_values),
        "timestamp": st.one_of(st.floats(NOW - 1e5, NOW + 1e5), st.just("2026-11-22T09:00:00Z"), json_values),
        "unit": json_values,
    },
)
sent = st.one_of(likely, json_values).map(lambda body: json.dumps(body).encode())


@given(bodies=st.lists(sent, min_size=1, max_size=6), durability=st.sampled_from(["everysec", "everysec", "always"]))
async def test_whatever_is_sent_is_answered_alike(
    bodies: list[bytes], durability: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with AsyncExitStack() as stack:
        pair = await started(stack, tmp_path_factory.getbasetemp(), durability)
        for body in bodies:
            await pair.same(body)


USUALLY = ["numbers", "null", "the next number", "a time", "a new feature", "a whole number"]


@pytest.mark.parametrize("name", USUALLY)
async def test_what_is_usual_does_not_reach_the_guard(name: str, tmp_path: Path) -> None:
    async with running() as api, client_of(whole(front(api, tmp_path, insecure=True))) as client:
        await api.observe("boiler-7", {"values": {"temp": 20}})
        assert (await client.post(PATH, content=BODIES[name], headers=PLAIN)).is_success


@pytest.mark.parametrize("name", USUALLY)
async def test_what_is_usual_does_not_reach_the_route(name: str) -> None:
    async with running(durability="always") as api:
        before = in_front(api.app)
        before.app = None
        async with client_of(whole(before)) as client:
            assert (await client.post(PATH, content=BODIES[name], headers=PLAIN)).is_success


def front(api: Api, folder: Path, **settings: Any) -> AtOnce:
    """Give what is in front of the guard, with nothing behind it."""
    app = behind_guard(api.app, Settings(**settings), Keys(folder))
    assert isinstance(app, AtOnce)
    nothing: Any = None
    app._app = nothing  # noqa: SLF001 - only so is it seen who answers
    return app


class Slow(Access):
    """Access that looks for changed keys at every request."""

    def has_seen(self, headers: Headers, stream_id: str, now: float) -> bool:
        """Tell whether a caller is known."""
        self._look(now)
        return super().has_seen(headers, stream_id, now)


async def shown(access: Access, token: str, stream_id: str = "boiler-7") -> bool:
    """Show a key to the guard, then ask whether it is known in front of it."""
    headers = {b"authorization": f"Bearer {token}".encode()}
    scope = {"method": "POST", "path": f"/v1/streams/{stream_id}/readings", "query_string": b"", "type": "http"}
    access.has_seen(headers, stream_id, 0.0)
    with suppress(StreamnormError):
        access.caller(scope, headers)
    return access.has_seen(headers, stream_id, 0.0)


async def test_a_key_is_known_once_the_guard_has_seen_it(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    token = keys.create("gauge", ["observe"])
    access = Slow(keys)
    assert not access.has_seen({b"authorization": f"Bearer {token}".encode()}, "boiler-7", 0.0)
    assert await shown(access, token)


@pytest.mark.parametrize(("scope", "prefix"), [("read", ""), ("observe", "pump-")])
async def test_a_key_for_something_else_is_not_known(tmp_path: Path, scope: str, prefix: str) -> None:
    keys = Keys(tmp_path)
    token = keys.create("gauge", [scope], prefix)
    assert not await shown(Slow(keys), token)


async def test_a_key_that_was_seen_for_one_stream_is_not_good_for_another(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    token = keys.create("gauge", ["observe"], "pump-")
    access = Slow(keys)
    assert await shown(access, token, "pump-1")
    assert not access.has_seen({b"authorization": f"Bearer {token}".encode()}, "boiler-7", 0.0)


async def test_a_revoked_key_is_known_no_more(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    token = keys.create("gauge", ["observe"])
    access = Slow(keys)
    assert await shown(access, token)
    keys.revoke(keys.all()[0].id)
    assert not access.has_seen({b"authorization": f"Bearer {token}".encode()}, "boiler-7", 0.0)
    assert not await shown(access, token)


async def test_without_keys_pages_of_other_sites_are_for_the_guard_to_refuse(tmp_path: Path) -> None:
    access = Slow(Keys(tmp_path))
    host = {b"host": b"localhost:8000"}
    assert access.has_seen(host, "boiler-7", 0.0)
    assert not access.has_seen(host | {b"origin": b"http://elsewhere.test"}, "boiler-7", 0.0)
    assert not access.has_seen({b"host": b"elsewhere.test"}, "boiler-7", 0.0)


def test_another_machine_without_a_key_is_for_the_guard_to_refuse(tmp_path: Path) -> None:
    assert not Slow(Keys(tmp_path), loopback=False).has_seen({b"host": b"localhost"}, "boiler-7", 0.0)
