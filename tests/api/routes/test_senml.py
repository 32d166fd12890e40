"""SenML on the calls that take readings, answered in SenML."""

from __future__ import annotations

import sys
from typing import Any

import cbor2
import httpx
import pytest

from streamnorm import Normalizer
from tests.formats.test_senml import CBOR, CURRENT, KINDS, OW
from tests.support.http_calls import NOW, Api, assert_problem

JSON, BINARY = "application/senml+json", "application/senml+cbor"


async def send(api: Api, body: object, *, call: str = "readings", media: str = JSON, learn: str = "") -> httpx.Response:
    """Send a pack."""
    query = f"?learn={learn}" if learn else ""
    api.client.event_hooks["response"] = []  # answers in CBOR are not in the document
    return await api.post(f"/v1/streams/s/{call}{query}", body, headers={"content-type": media})


@pytest.mark.parametrize("call", ["readings", "bulk"])
async def test_a_pack_is_observed_a_reading_a_time(api: Api, call: str) -> None:
    response = await send(api, CURRENT, call=call)
    assert (response.headers["content-type"], len(response.json())) == (JSON, 7)
    assert (await api.get("/v1/streams/s")).json()["count"] == 6


async def test_the_answer_has_the_numbers_of_the_engine(api: Api) -> None:
    pack = (await send(api, CURRENT)).json()
    normalizer = Normalizer()
    first = normalizer.observe({"voltage": 120.1, "current": 1.7}).values
    rest = [normalizer.observe({"current": x}).values["current"] for x in (1.2, 1.3, 1.4, 1.5, 1.6)]
    assert [entry["v"] for entry in pack] == [first["voltage"], *rest, first["current"]]


async def test_the_answer_is_resolved(api: Api) -> None:
    assert (await send(api, KINDS)).json() == [
        {"n": f"{OW}:temp", "t": NOW, "v": 0.0},
        {"n": f"{OW}:label", "t": NOW, "vs": "Machine Room"},
        {"n": f"{OW}:open", "t": NOW, "v": 0.0},
        {"n": f"{OW}:nfc-reader", "t": NOW, "vd": "aGkgCg"},
    ]


async def test_cbor_is_answered_in_cbor(api: Api) -> None:
    response = await send(api, CBOR, media=BINARY)
    pack: Any = cbor2.loads(response.content)
    assert (response.headers["content-type"], pack[0]) == (
        BINARY, {0: "urn:dev:ow:10e2073a0108006:voltage", 6: 1276020076.001, 2: 0.0}
    )  # fmt: skip


async def test_normalizing_only_learns_nothing(api: Api) -> None:
    await send(api, CURRENT)
    assert (await send(api, CURRENT, learn="false")).status_code == 200
    assert (await api.get("/v1/streams/s")).json()["count"] == 6


async def test_a_pack_without_numbers_teaches_nothing(api: Api) -> None:
    assert (await send(api, [{"n": "label", "vs": "x"}])).json() == [{"n": "label", "t": NOW, "vs": "x"}]
    assert (await api.get("/v1/streams/s")).status_code == 404


async def test_a_wrong_record_is_named(api: Api) -> None:
    assert_problem(await send(api, [{"n": "a", "v": 1}, {"n": "a", "v": "1"}]), 422, "invalid-reading", "/1")


async def test_what_is_no_cbor_is_refused(api: Api) -> None:
    assert_problem(await send(api, b"\xff\xff", media=BINARY), 422, "invalid-reading", "")


async def test_cbor_without_its_library_is_refused_with_what_to_install(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cbor2", None)
    response = await send(api, CBOR, media=BINARY)
    assert "streamnorm[senml]" in assert_problem(response, 415, "unsupported-media-type")["detail"]
