"""Large bodies, in every form: off the loop, a slice at a time, in little memory, and with the bits of small ones."""

from __future__ import annotations

import gzip
import json
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import cbor2
import httpx
import numpy as np
import orjson
import pytest

from streamnorm.api.codecs import registry, serialize
from streamnorm.api.codecs.codec import ReadingCodec
from streamnorm.api.codecs.json import slices
from streamnorm.api.http import body
from streamnorm.formats import senml
from streamnorm.ingest import ingest_service
from tests.api.test_arrays import NPY, NPZ, npy, npz
from tests.support.http_calls import JSON, NDJSON, NOW, Api, assert_problem, running

ROWS = 12_000
VALUES = np.random.default_rng(0).normal(20, 3, (ROWS, 2))
STREAM, MANY, WRITE = "/v1/streams/s/bulk", "/v1/bulk", "/write"


class Form(NamedTuple):
    """One form of many readings: where it is sent, and how rows are written in it."""

    codec: ReadingCodec
    path: str
    write: Callable[[Any], bytes]


def objects(rows: Any) -> list[Any]:
    return [{"values": {"t": t, "d": d}} for t, d in rows.tolist()]


def of_many(rows: Any) -> list[Any]:
    return [{"stream": f"s{n % 3}"} | one for n, one in enumerate(objects(rows))]


def pack(rows: Any) -> list[Any]:
    return [
        {"n": name, "v": v, "t": NOW - n}
        for n, row in enumerate(rows.tolist())
        for name, v in zip("td", row, strict=True)
    ]


def lines(items: list[Any]) -> bytes:
    return b"\n".join(map(orjson.dumps, items))


def points(rows: Any) -> bytes:
    return "\n".join(f"m t={t!r},d={d!r} {n}" for n, (t, d) in enumerate(rows.tolist())).encode()


FORMS = [
    Form(
        registry.OF_STREAM[JSON], STREAM, lambda rows: orjson.dumps({"features": ["t", "d"], "values": rows.tolist()})
    ),
    Form(registry.OF_STREAM[NDJSON], STREAM, lambda rows: lines(objects(rows))),
    Form(registry.OF_STREAM[NPY], STREAM, npy),
    Form(registry.OF_STREAM[senml.JSON], STREAM, lambda rows: orjson.dumps(pack(rows))),
    Form(registry.OF_STREAM[senml.CBOR], STREAM, lambda rows: cbor2.dumps(senml.numbered(pack(rows)))),
    Form(registry.OF_MANY[JSON], MANY, lambda rows: orjson.dumps({"readings": of_many(rows)})),
    Form(registry.OF_MANY[NDJSON], MANY, lambda rows: lines(of_many(rows))),
    Form(registry.OF_MANY[NPZ], MANY, lambda rows: npz(streams=np.array(["s"]), values=rows[None])),
    Form(registry.LINE_PROTOCOL, WRITE, points),
]
NAMES = [f"{form.codec.media_type} of {form.path}" for form in FORMS]
every_form = pytest.mark.parametrize("form", FORMS, ids=NAMES)


async def send(api: Api, form: Form, rows: Any = VALUES, query: str = "", *, packed: bool = False) -> httpx.Response:
    """Send rows."""
    api.client.event_hooks["response"] = []  # answers in CBOR and to line protocol are not in the document
    content = gzip.compress(form.write(rows), 1) if packed else form.write(rows)
    headers = {"content-type": form.codec.media_type} | ({"content-encoding": "gzip"} if packed else {})
    response = await api.post(form.path + query, content, headers=headers)
    assert response.is_success, response.text
    return response


def test_every_form_of_the_registry_is_tested_here() -> None:
    codecs = [*registry.OF_STREAM.values(), *registry.OF_MANY.values(), registry.LINE_PROTOCOL]
    assert [form.codec for form in FORMS] == codecs


@pytest.fixture
def at_work(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[bool]]:
    """Note of each step whether it ran in the event loop's thread."""
    found: dict[str, set[bool]] = {}
    loop = threading.get_ident()

    def watch(where: Any, name: str, step: str) -> None:
        original = getattr(where, name)

        def watched(*given: Any, **more: Any) -> Any:
            found.setdefault(step, set()).add(threading.get_ident() == loop)
            return original(*given, **more)

        monkeypatch.setattr(where, name, watched)

    for form in FORMS:
        watch(type(form.codec), "decode", "decode")
        watch(type(form.codec), "encode", "encode")
    for name in (
        "observe_bulk",
        "observe_each",
        "observe_block",
        "observe_blocks",
        "normalize_bulk",
        "normalize_block",
    ):
        watch(ingest_service, name, "work")
    return found


@every_form
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_large_body_is_worked_on_in_other_threads(
    form: Form, coding: str, at_work: dict[str, set[bool]]
) -> None:
    async with running() as api:
        await send(api, form, packed=coding == "gzip")
    if form.path == WRITE:
        del at_work["encode"]  # no answer but that all is well
    assert all(found == {False} for found in at_work.values())
    assert {"decode", "work"} <= at_work.keys()


@pytest.mark.parametrize(
    "form", [form for form in FORMS if form.path == STREAM], ids=lambda form: form.codec.media_type
)
async def test_a_large_body_is_normalized_in_another_thread_by_one_look_at_the_stream(
    form: Form, at_work: dict[str, set[bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as api:
        await send(api, form)
        at_work.clear()
        streams = api.app.state.context.service.streams
        looks: list[str] = []
        read = streams.read

        def look(stream_id: str, view: Any) -> Any:
            looks.append(stream_id)
            return read(stream_id, view)

        monkeypatch.setattr(streams, "read", look)
        before = await api.state()
        await send(api, form, query="?learn=false")
        assert (looks, at_work["work"]) == (["s"], {False})
        assert await api.state() == before


@every_form
async def test_no_call_of_a_parser_or_an_encoder_takes_more_than_a_slice(
    form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = {"loads": 0, "dumps": 0}

    class Watched:
        """The library, which tells how much it is given and gives at once."""

        JSONDecodeError = orjson.JSONDecodeError
        OPT_SERIALIZE_NUMPY, OPT_APPEND_NEWLINE = orjson.OPT_SERIALIZE_NUMPY, orjson.OPT_APPEND_NEWLINE

        @staticmethod
        def loads(data: Any) -> Any:
            longest["loads"] = max(longest["loads"], len(data))
            return orjson.loads(data)

    def dumps(data: Any) -> bytes:
        written = orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)
        longest["dumps"] = max(longest["dumps"], len(written))
        return written

    monkeypatch.setattr(slices, "orjson", Watched)
    monkeypatch.setattr(body, "orjson", Watched)
    monkeypatch.setattr(serialize, "dumps", dumps)
    async with running() as api:
        await send(api, form)
    assert longest["loads"] <= 2 * slices.SLICE
    assert longest["dumps"] <= 4 * slices.SLICE


@pytest.mark.parametrize("form", [FORMS[0], FORMS[1], FORMS[5], FORMS[6]], ids=[NAMES[0], NAMES[1], NAMES[5], NAMES[6]])
async def test_a_row_of_two_features_takes_at_most_400_bytes(form: Form) -> None:
    rows = np.tile(VALUES.round(1), (4, 1))
    async with running() as api:
        content, headers = form.write(rows), {"content-type": form.codec.media_type}
        api.client.event_hooks["response"] = []
        await send(api, form, rows[:10])
        tracemalloc.start()
        async with api.client.stream("POST", form.path, content=content, headers=headers) as response:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert response.status_code == 200
    assert peak / len(rows) <= 400


TOO_MANY: dict[str, tuple[str, str, bytes]] = {
    "lines": (STREAM, NDJSON, b'{"values":[1]}\n' * 101 + b"{"),
    "lines of many streams": (MANY, NDJSON, b'{"stream":"a","values":[1]}\n' * 101 + b"{"),
    "JSON of many streams": (MANY, JSON, b'{"readings":[' + b'{"stream":"a","values":[1]},' * 9_000 + b"x]}"),
    "a table": (STREAM, JSON, b'{"values":[' + b"[1]," * 90_000 + b"x]}"),
    "records": (STREAM, senml.JSON, b"[" + b'{"n":"a","v":1},' * 101 + b'{"n":"a","v":1}]'),
}


@pytest.mark.parametrize(("path", "media", "content"), TOO_MANY.values(), ids=TOO_MANY)
async def test_what_is_behind_the_last_row_that_is_allowed_is_not_read(path: str, media: str, content: bytes) -> None:
    async with running(max_rows=100) as api:
        packed = gzip.compress(content)
        response = await api.post(path, packed, headers={"content-type": media, "content-encoding": "gzip"})
        assert assert_problem(response, 422, "limit-exceeded")["limit"] == "max_rows"
        assert await api.state() == {}


async def test_too_many_points_are_refused_as_too_large_a_write() -> None:
    async with running(max_rows=100) as api:
        response = await api.client.post(WRITE, content=b"m f=1\n" * 101)
        assert_problem(response, 413, "body-too-large")
        assert await api.state() == {}


WIDE = ",".join(["1"] * 21)
TOO_WIDE: dict[str, tuple[str, str, str]] = {
    "a line": (STREAM, NDJSON, f'{{"values":[{WIDE}]}}\n{{'),
    "a line of channels": (STREAM, NDJSON, f'{{"values":[{WIDE.replace("1", "[1]")}]}}\n{{'),
    "names, one a line": (STREAM, NDJSON, "".join(f'{{"values":{{"f{n}":1}}}}\n' for n in range(21)) + "{"),
}


@pytest.mark.parametrize(("path", "media", "content"), TOO_WIDE.values(), ids=TOO_WIDE)
async def test_what_is_behind_the_last_feature_that_is_allowed_is_not_read(
    api: Api, path: str, media: str, content: str
) -> None:
    response = await api.post(path, content, headers={"content-type": media})
    assert assert_problem(response, 422, "limit-exceeded")["limit"] == "max_features"
    assert await api.state() == {}


async def test_a_line_is_not_longer_than_a_reading_may_be(api: Api) -> None:
    line = json.dumps({"values": {"ir": [1.25] * 5_000}})
    problem = assert_problem(await api.lines(STREAM, {"values": [1]}, line), 413, "body-too-large")
    assert problem["detail"] == "line 2 is larger than 20000 bytes"


@every_form
async def test_a_large_body_is_answered_with_the_bits_of_small_ones(form: Form) -> None:
    rows = VALUES[:6_000]
    async with running() as large, running() as small:
        whole = await send(large, form, rows)
        parts = [await send(small, form, rows[at : at + 300]) for at in range(0, len(rows), 300)]
        assert numbers(form, [whole]) == numbers(form, parts)
        assert states(await large.state()) == states(await small.state())


def numbers(form: Form, responses: list[httpx.Response]) -> list[Any]:
    """Return the numbers of answers, whatever their form."""
    read: dict[str, Callable[[httpx.Response], Any]] = {
        JSON: lambda one: one.json().get("values") or [each["values"] for each in one.json()["readings"]],
        NDJSON: lambda one: [json.loads(line)["values"] for line in one.text.splitlines()],
        senml.JSON: lambda one: [each["v"] for each in one.json()],
        senml.CBOR: lambda one: [each[2] for each in cbor2.loads(one.content)],
    }
    if form.codec.media_type not in read:  # arrays, which are compared elsewhere, and what has no answer
        return []
    return [number for one in responses for number in read[form.codec.media_type](one)]


def states(found: dict[str, bytes]) -> dict[str, Any]:
    """Return what streams have learned; a retry of a block needs the state before it, which is not of the readings."""
    return {stream_id: len(blob) for stream_id, blob in found.items()}


async def test_readings_that_differ_in_features_give_the_bits_of_one_by_one() -> None:
    rng = np.random.default_rng(1)
    kinds: list[Callable[[float], Any]] = [
        lambda x: {"a": x},
        lambda x: {"a": x, "b": -x},
        lambda x: {"b": x, "a": None},
        lambda x: [x, 2 * x],
        lambda x: {"ir": [[x, 1.0], [2.0, None]], "a": x},
    ]
    sent = [
        {"stream": f"s{rng.integers(3)}", "values": kinds[kind](x)}
        for kind, x in zip(rng.integers(0, 5, 150).repeat(7).tolist(), rng.normal(5, 2, 1050).tolist(), strict=True)
    ]
    async with running() as together, running() as single:
        said = [json.loads(line) for line in (await together.lines(MANY, *sent)).text.splitlines()]
        for reading, answer in zip(sent, said, strict=True):
            stream = reading["stream"]
            assert await single.observe(stream, {"values": reading["values"]}) == answer
        assert await together.state() == await single.state()
