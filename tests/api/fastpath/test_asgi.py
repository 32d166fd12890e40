"""All ways that a reading may take are answered exactly alike, errors included."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.api.middleware.authorization import Authorizer, Headers
from streamnorm.app import ASGIStack, with_fast_path, with_middleware
from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StreamnormError
from tests.api.test_clock import AHEAD
from tests.api.test_flat_bodies import FLAT
from tests.api.test_refused_readings import CONFLICTS, NO_JSON, WRONG
from tests.api.test_unicode_names import BAD
from tests.api.test_unicode_names import STREAM as UNICODE_STREAM
from tests.api.test_unicode_names import VALUES as UNICODE
from tests.support.http_calls import JSON, NOW, Api, running, settings_of
from tests.support.http_wire import Cut, KeptWire, Wire, apart, in_pieces, whole

PATH = "/v1/streams/boiler-7/readings"
PLAIN = {"content-type": JSON}
#: what every request says of who sends it
CLIENT = {"accept": "*/*", "accept-encoding": "gzip, deflate", "connection": "keep-alive", "user-agent": "httpx"}
USUAL = b'{"values":{"temp":21.5,"door":0}}'


#: cut otherwise, a request is answered elsewhere: before it is one, in front of the route, by the route; and on a
#: connection that is kept (None) by its head, which came before
CUTS = (whole, apart, in_pieces, None)


class House:
    """The same service as often as there are ways to cut a request."""

    def __init__(self, wires: list[httpx.AsyncBaseTransport], apis: list[Api]) -> None:
        self.wires, self.apis = wires, apis

    async def same(
        self, body: bytes, headers: Mapping[str, str] = PLAIN, path: str = PATH, method: str = "POST"
    ) -> int:
        """Send a request all ways, three times; the answers are the same, and what is kept is too.

        Returns the status.
        """
        named = {**CLIENT, **headers, "x-request-id": "one"}
        request = httpx.Request(method, f"http://streamnorm{path}", content=body, headers=named)
        await self._same(request)
        await self._same(request)  # the second time a head is kept
        return await self._same(request)  # the third it is known

    async def _same(self, request: httpx.Request) -> int:
        answers = [await wire.handle_async_request(request) for wire in self.wires]
        one, *others = [(answer.status_code, answer.headers, answer.content) for answer in answers]
        assert others == [one] * len(others)
        state, *states = [await api.state() for api in self.apis]
        assert states == [state] * len(states)
        return answers[0].status_code


def wire_to(front: ASGIStack, cut: Cut | None = whole) -> httpx.AsyncBaseTransport:
    """Build a wire to what the server runs."""
    return KeptWire(front, settings_of()) if cut is None else Wire(front, settings_of(), cut)


def client_of(front: ASGIStack, cut: Cut = whole) -> httpx.AsyncClient:
    """Build a client of what the server runs."""
    return httpx.AsyncClient(transport=wire_to(front, cut), base_url="http://streamnorm")


@pytest.fixture(params=["everysec", "always"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """Start all, with a stream that has a few readings; with `always`, every reading has to wait."""
    async with AsyncExitStack() as stack:
        yield await started(stack, tmp_path, request.param)


async def started(stack: AsyncExitStack, folder: Path, durability: str, **others: Any) -> House:
    settings: dict[str, Any] = {"max_reading_bytes": 2000, "max_features": 4, "warmup": 3, "durability": durability}
    settings |= others
    apis = [await stack.enter_async_context(running(**settings)) for _ in CUTS]
    keys = SQLiteApiKeys(folder)
    fronts = [with_middleware(api.app, api.context, settings_of(insecure=True), keys) for api in apis]
    wires = [wire_to(front, cut) for front, cut in zip(fronts, CUTS, strict=True)]
    for api in apis:
        await api.observe("boiler-7", *[{"values": {"temp": 20.0 + seq, "door": 1}, "seq": seq} for seq in (1, 2)])
    return House(wires, apis)


BODIES = {
    "numbers": USUAL,
    "a whole number": b'{"values":{"temp":21,"door":0}}',
    "null": b'{"values":{"temp":null,"door":0}}',
    "its features in another order": b'{"values":{"door":0,"temp":21.5}}',
    "one of its features": b'{"values":{"temp":21.5}}',
    "a new feature": b'{"values":{"temp":21.5,"light":3}}',
    "too many features": b'{"values":{"a":1,"b":2,"c":3,"d":4}}',
    "a channel": b'{"values":{"temp":21.5,"ir":[[1,2],[3,4]]}}',
    "a channel of whole numbers": b'{"values":{"temp":21.5,"ir":[[1,2],[true,4.5]]}}',
    "a channel with nulls": b'{"values":{"temp":21.5,"ir":[1,null,3]}}',
    "a channel of nulls": b'{"values":{"temp":21.5,"ir":[null,null]}}',
    "a channel of uneven rows": b'{"values":{"temp":21.5,"ir":[[1,2],[3]]}}',
    "a channel with a text": b'{"values":{"temp":21.5,"ir":[1,"warm"]}}',
    "a channel with an element too large": b'{"values":{"temp":21.5,"ir":[1,-1e76]}}',
    "a channel with a whole number too large": b'{"values":{"temp":21.5,"ir":[1' + b"0" * 400 + b"]}}",
    "a channel without elements": b'{"values":{"temp":21.5,"ir":[]}}',
    "a channel nested too deep": b'{"values":{"temp":21.5,"ir":' + b"[" * 40 + b"1" + b"]" * 40 + b"}}",
    "a channel, and the number again": b'{"values":{"temp":21.5,"ir":[1,2]},"seq":2}',
    "an array": b'{"values":[1,2]}',
    "an array with a null": b'{"values":[1.5,null],"seq":3}',
    "an array with a text": b'{"values":[1.5,"warm"]}',
    "an array of arrays": b'{"values":[[1,2],[3,4]]}',
    "an empty array": b'{"values":[]}',
    "an array with an unknown field": b'{"values":[1,2],"unit":"C"}',
    "an array of too many": b'{"values":[1,2,3,4,5]}',
    "flat": b'{"temp":21.5,"door":0}',
    "flat, with a number and a time": b'{"seq":3,"temp":21.5,"timestamp":1795337999,"door":0}',
    "flat, with null for a time": b'{"temp":21.5,"door":0,"timestamp":null}',
    "flat, with a null": b'{"temp":null,"door":0}',
    "flat, with nulls alone": b'{"temp":null,"door":null}',
    "flat, with a text": b'{"temp":21.5,"room":"roof"}',
    "flat, with an array": b'{"temp":21.5,"ir":[1,2]}',
    "flat, with true": b'{"temp":21.5,"door":true}',
    "flat, with a value too large": b'{"temp":21.5,"door":-1e76}',
    "flat, with an unfit name": b'{"temp":21.5,"":1}',
    "flat, of too many": b'{"a":1,"b":2,"c":3,"d":4,"e":5}',
    "flat, without values": b'{"seq":3,"timestamp":1795337999}',
    "null for values": b'{"values":null}',
    "null for values beside others": b'{"values":null,"temp":21.5}',
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
    "normalize only, with stats": {"path": f"{PATH}?learn=false&stats=true"},
    "normalize only in other words": {"path": f"{PATH}?stats=1&learn=0"},
    "normalize only an unknown stream": {"path": "/v1/streams/boiler-8/readings?learn=false"},
    "twice": {"path": f"{PATH}?learn=false&learn=true"},
    "an unknown parameter": {"path": f"{PATH}?magic=1"},
    "a wrong parameter": {"path": f"{PATH}?learn=perhaps"},
    "an unknown stream": {"path": "/v1/streams/boiler-8/readings"},
    "a stream in other letters": {"path": "/v1/streams/%E5%AE%A2%E5%8E%85%20%3F/readings"},
    "an id that is encoded without need": {"path": "/v1/streams/boiler%2D7/readings"},
    "an encoded percent sign": {"path": "/v1/streams/boiler%252D7/readings"},
    "half a letter in the id": {"path": "/v1/streams/%E5%AE/readings"},
    "a letter in two parts in the id": {"path": "/v1/streams/e%CC%81/readings"},
    "a line feed in the id": {"path": "/v1/streams/boiler%0A7/readings"},
    "an escape in the id": {"path": "/v1/streams/%1B%5B31m/readings"},
    "too long an id": {"path": f"/v1/streams/{'x' * 129}/readings"},
    "a slash in the id": {"path": "/v1/streams/boiler%2F7/readings"},
    "a slash behind": {"path": f"{PATH}/"},
    "another method": {"method": "PUT"},
    "a get": {"method": "GET"},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_is_answered_alike(house: House, body: bytes) -> None:
    await house.same(body)
    await house.same(USUAL)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_a_request_is_answered_alike(house: House, request_: dict[str, Any]) -> None:
    await house.same(USUAL, **request_)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_first_body_of_a_stream_is_answered_alike(house: House, body: bytes) -> None:
    await house.same(USUAL)  # from now on heads are kept
    path = "/v1/streams/boiler-8/readings"
    await house.same(body, path=path)
    await house.same(USUAL, path=path)


@pytest.mark.parametrize("durability", ["everysec", "always"])
async def test_a_stream_too_many_is_answered_alike(tmp_path: Path, durability: str) -> None:
    async with AsyncExitStack() as stack:
        house = await started(stack, tmp_path, durability, max_streams=2)
        for name in ("boiler-8", "boiler-9", "boiler-7"):
            await house.same(USUAL, path=f"/v1/streams/{name}/readings")


@pytest.mark.parametrize("durability", ["everysec", "always"])
async def test_streams_that_come_and_go_are_answered_alike(tmp_path: Path, durability: str) -> None:
    async with AsyncExitStack() as stack:
        house = await started(stack, tmp_path, durability, max_resident_streams=2)
        for name in ("boiler-8", "boiler-9", "boiler-7") * 2:
            await house.same(USUAL, path=f"/v1/streams/{name}/readings")


async def test_the_bodies_of_other_tests_are_answered_alike(house: House) -> None:
    refused = [body for body, _ in (*WRONG.values(), *CONFLICTS.values())]
    missing = [f'{{"values":{{"temp":{word},"door":1}}}}' for word in ("NaN", '"nan"', "null")]
    others = [*NO_JSON.values(), *missing, "\ufeff" + USUAL.decode()]
    written = [body if isinstance(body, bytes | str) else json.dumps(body) for body in (*refused, *others)]
    for body in written:
        await house.same(body.encode() if isinstance(body, str) else body)


async def test_readings_of_other_tests_are_answered_alike(house: House) -> None:
    readings = [FLAT, AHEAD, {"values": UNICODE}, *({"values": {name: 1}} for name in BAD)]
    for path in (f"/v1/streams/{quote(UNICODE_STREAM, safe='')}/readings", "/v1/streams/new/readings"):
        for reading in readings:
            await house.same(json.dumps(reading).encode(), path=path)


@pytest.mark.parametrize(
    "config",
    [
        {"clamp": 1.0, "missing": "mean"},
        {"time_constant": 5.0},
        {"method": "adaptive"},
        {"robust": 3.0, "warmup": 0},
        {"features": {"temp": {"transform": "circular"}}},
        {"features": {"temp": {"transform": "rate"}, "door": {"valid": [1, 2], "missing_codes": [1]}}},
        {"affine": {"temp": {"gamma": 2.0, "beta": 1.0}}},
    ],
)
async def test_a_configured_stream_is_answered_alike(house: House, config: dict[str, Any]) -> None:
    await house.same(json.dumps(config).encode(), path="/v1/streams/boiler-7", method="PUT")
    for body in (USUAL, BODIES["null"], BODIES["a time"], USUAL):
        await house.same(body)


@pytest.mark.parametrize(("error", "status"), [(ZeroDivisionError, 500), (MemoryError, 503)])
async def test_a_defect_is_told_alike_and_logged(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[Exception],
    status: int,
) -> None:
    def defect(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(Stream, "observe", defect)
    assert await house.same(USUAL) == status
    failed = f"POST {PATH} failed"
    assert [record.message for record in caplog.records if record.message == failed] == [failed] * 3 * len(CUTS)


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
        house = await started(stack, tmp_path_factory.getbasetemp(), durability)
        for body in bodies:
            await house.same(body)


USUALLY = ["numbers", "null", "the next number", "a time", "a new feature", "a whole number", "an array", "flat"]
USUALLY += ["true for a value", "null for a time", "a channel", "a channel with nulls", "flat, with a text"]
HEADERS = [{}, {"content-type": "application/json; charset=utf-8"}, {"content-type": "Application/JSON;charset=UTF-8"}]
USUAL_REQUESTS = [(name, PLAIN) for name in USUALLY] + [("numbers", headers) for headers in HEADERS]


@pytest.mark.parametrize(("name", "headers"), USUAL_REQUESTS)
async def test_what_is_usual_does_not_become_a_request(name: str, headers: dict[str, str], tmp_path: Path) -> None:
    async with running() as api, client_of(front(api, tmp_path, insecure=True)) as client:
        await api.observe("boiler-7", {"values": {"temp": 20}})
        assert (await client.post(PATH, content=BODIES[name], headers=headers)).is_success


@pytest.mark.parametrize("name", USUALLY)
async def test_a_usual_first_reading_does_not_become_a_request(name: str, tmp_path: Path) -> None:
    async with running() as api, client_of(front(api, tmp_path, insecure=True)) as client:
        assert (await client.post(PATH, content=BODIES[name], headers=PLAIN)).is_success
        assert (await api.get("/v1/streams/boiler-7")).json()["count"] == 1


@pytest.mark.parametrize(("name", "headers"), USUAL_REQUESTS)
async def test_what_is_usual_does_not_reach_the_route(name: str, headers: dict[str, str], tmp_path: Path) -> None:
    async with running(durability="always") as api:
        before = with_fast_path(api.app, api.context)
        before.app = None
        async with client_of(front(api, tmp_path)._replace(app=before)) as client:
            assert (await client.post(PATH, content=BODIES[name], headers=headers)).is_success


@pytest.mark.parametrize("query", ["learn=false", "stats=true", "learn=false&stats=true"])
async def test_usual_options_do_not_reach_the_route(query: str, tmp_path: Path) -> None:
    async with running() as api:
        await api.observe("boiler-7", {"values": {"temp": 20, "door": 0}})
        before = with_fast_path(api.app, api.context)
        before.app = None
        async with client_of(front(api, tmp_path)._replace(app=before)) as client:
            answer = (await client.post(f"{PATH}?{query}", content=USUAL, headers=PLAIN)).json()
        assert answer["count"] == (1 if "learn" in query else 2)
        assert ("mean" in answer) == ("stats" in query)


@pytest.mark.parametrize("cut", [apart, in_pieces])
async def test_a_body_that_arrives_later_does_not_reach_the_route(cut: Cut, tmp_path: Path) -> None:
    async with running() as api:
        before = with_fast_path(api.app, api.context)
        before.app = None
        async with client_of(front(api, tmp_path)._replace(app=before), cut) as client:
            assert (await client.post(PATH, content=USUAL, headers=PLAIN)).is_success


def front(api: Api, folder: Path, **settings: Any) -> ASGIStack:
    """Return what answers at once, with nothing behind it."""
    nothing: Any = None  # only so is it seen who answers
    return with_middleware(api.app, api.context, settings_of(**settings), SQLiteApiKeys(folder))._replace(app=nothing)


class Slow(Authorizer):
    """Access that looks for changed keys at every request."""

    def has_seen(self, headers: Headers, stream_id: str, now: float) -> bool:
        """Return whether a caller is known."""
        self._invalidate_if_changed(now)
        return super().is_preauthorized(headers, stream_id, now)


async def shown(access: Authorizer, token: str, stream_id: str = "boiler-7") -> bool:
    """Show a key to the guard, then ask whether it is known in front of it."""
    headers = {b"authorization": f"Bearer {token}".encode()}
    scope = {"method": "POST", "path": f"/v1/streams/{stream_id}/readings", "query_string": b"", "type": "http"}
    access.is_preauthorized(headers, stream_id, 0.0)
    with suppress(StreamnormError):
        access.authorize(scope, headers)
    return access.is_preauthorized(headers, stream_id, 0.0)


async def test_a_key_is_known_once_the_guard_has_seen_it(tmp_path: Path) -> None:
    keys = SQLiteApiKeys(tmp_path)
    token = keys.create("gauge", ["observe"])
    access = Slow(keys)
    assert not access.has_seen({b"authorization": f"Bearer {token}".encode()}, "boiler-7", 0.0)
    assert await shown(access, token)


@pytest.mark.parametrize(("scope", "prefix"), [("read", ""), ("observe", "pump-")])
async def test_a_key_for_something_else_is_not_known(tmp_path: Path, scope: str, prefix: str) -> None:
    keys = SQLiteApiKeys(tmp_path)
    token = keys.create("gauge", [scope], prefix)
    assert not await shown(Slow(keys), token)


async def test_a_key_that_was_seen_for_one_stream_is_not_good_for_another(tmp_path: Path) -> None:
    keys = SQLiteApiKeys(tmp_path)
    token = keys.create("gauge", ["observe"], "pump-")
    access = Slow(keys)
    assert await shown(access, token, "pump-1")
    assert not access.has_seen({b"authorization": f"Bearer {token}".encode()}, "boiler-7", 0.0)


async def test_a_revoked_key_is_known_no_more(tmp_path: Path) -> None:
    keys = SQLiteApiKeys(tmp_path)
    token = keys.create("gauge", ["observe"])
    access = Slow(keys)
    assert await shown(access, token)
    keys.revoke(keys.all()[0].id)
    assert not access.has_seen({b"authorization": f"Bearer {token}".encode()}, "boiler-7", 0.0)
    assert not await shown(access, token)


async def test_without_keys_pages_of_other_sites_are_for_the_guard_to_refuse(tmp_path: Path) -> None:
    access = Slow(SQLiteApiKeys(tmp_path))
    host = {b"host": b"localhost:8000"}
    assert access.has_seen(host, "boiler-7", 0.0)
    assert not access.has_seen(host | {b"origin": b"http://elsewhere.test"}, "boiler-7", 0.0)
    assert not access.has_seen({b"host": b"elsewhere.test"}, "boiler-7", 0.0)


def test_another_machine_without_a_key_is_for_the_guard_to_refuse(tmp_path: Path) -> None:
    assert not Slow(SQLiteApiKeys(tmp_path), loopback=False).has_seen({b"host": b"localhost"}, "boiler-7", 0.0)
