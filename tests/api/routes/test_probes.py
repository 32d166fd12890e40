"""The calls about the service itself, and what happens when it fails."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest

from streamnorm.errors import StoreUnavailable
from streamnorm.stores.local.memory import MemoryStore
from tests.support.http_calls import Api, assert_problem, running


class FailingStore(MemoryStore):
    """Fails to be read or written while `error` is set."""

    error: Exception | None = None

    def load(self, stream_id: str) -> bytes | None:
        """Load, or fail."""
        self._fail()
        return super().load(stream_id)

    def save(self, changes: Mapping[str, bytes | None]) -> None:
        """Save, or fail."""
        self._fail()
        super().save(changes)

    def check(self) -> None:
        """Pass, or fail."""
        self._fail()

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_started_service_is_alive_and_ready(api: Api, path: str) -> None:
    assert (await api.get(path)).json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_who_asks_by_head_gets_the_status(api: Api, path: str) -> None:
    assert (await api.client.head(path)).status_code == 200
    api.app.state.context.serving = False
    assert (await api.client.head("/readyz")).status_code == 503


async def test_a_service_that_is_not_started_is_not_ready(api: Api) -> None:
    api.app.state.context.serving = False
    assert_problem(await api.get("/readyz"), 503, "store-unavailable")
    assert (await api.get("/healthz")).status_code == 200
    assert (await api.get("/v1/refusals")).json()["refusals"] == []


async def test_a_service_whose_store_fails_is_not_ready_and_says_why() -> None:
    store = FailingStore()
    async with running(store) as api:
        store.error = StoreUnavailable("the disk of /data is full")
        problem = assert_problem(await api.get("/readyz"), 503, "store-unavailable")
        store.error = None
        assert problem["detail"] == "the disk of /data is full"
        assert (await api.get("/readyz")).status_code == 200


async def test_a_reading_that_cannot_be_kept_is_not_acknowledged() -> None:
    store = FailingStore()
    async with running(store, durability="always") as api:
        reading = {"values": [21.4], "seq": 1}
        await api.observe("boiler-7", {"values": [20], "seq": 0})
        store.error = StoreUnavailable("the disk of /data is full")
        response = await api.post("/v1/streams/boiler-7/readings", reading)
        store.error = None
        assert_problem(response, 503, "store-unavailable")
        assert response.headers["retry-after"] == "1"
        assert (await api.observe("boiler-7", reading))["count"] == 2


async def test_a_failure_of_the_service_is_told_without_its_inside(caplog: pytest.LogCaptureFixture) -> None:
    store = FailingStore()
    async with running(store) as api:
        store.error = ZeroDivisionError("the inside")
        response = await api.post("/v1/streams/boiler-7/readings", {"values": [1]})
        store.error = None
    assert_problem(response, 500, "internal-error")
    assert "inside" not in response.text
    assert "the inside" in caplog.text


async def test_a_refusal_is_not_logged_as_a_failure(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    await api.post("/v1/streams/boiler-7/readings", "{")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def counters(api: Api) -> dict[str, float]:
    """Read the counters."""
    lines = (await api.get("/metrics")).text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


async def test_readings_and_refusals_are_counted(api: Api) -> None:
    await api.observe("boiler-7", {"values": [1], "seq": 1}, {"values": [1], "seq": 1})  # the second is the first again
    await api.post("/v1/streams/boiler-7/bulk", {"values": [[1], [2]]})
    await api.lines("/v1/bulk", {"stream": "a", "values": [1]})
    await api.post("/v1/streams/boiler-7/readings", "{")
    await api.post("/v1/streams/boiler-7/readings?learn=2", {"values": [1]})
    await api.get("/nowhere")
    found = await counters(api)
    assert found["streamnorm_readings_total"] == 4
    for reason in ("malformed-json", "invalid-request", "not-found"):
        assert found[f'streamnorm_refusals_total{{reason="{reason}"}}'] == 1


async def test_no_stream_is_named_in_the_counters(warm: Api) -> None:
    assert "boiler-7" not in (await warm.get("/metrics")).text


@pytest.mark.parametrize("path", ["/docs/", "/pages", "/healthz/", "/v1/streams/", "//elsewhere.test/docs/"])
async def test_no_answer_leads_to_the_host_that_the_caller_named(api: Api, path: str) -> None:
    answer = await api.client.get(path, headers={"host": "elsewhere.test"})
    assert answer.headers.get("location", "../docs") == "../docs"
    assert answer.status_code in {307, 404}


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_are_served_and_asked_for_anew_after_an_update(api: Api, path: str) -> None:
    page = await api.get(path)
    assert page.text.startswith("<!doctype html>")
    assert page.headers["cache-control"] == "no-cache"


async def test_the_docs_are_found_with_a_slash_behind_them_too(api: Api) -> None:
    answer = await api.client.get("/docs/", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/docs")


async def test_what_was_refused_is_told_with_examples(api: Api) -> None:
    await api.post("/v1/streams/a/readings", {"values": {"temp": "warm"}})
    (found,) = (await api.get("/v1/refusals")).json()["refusals"]
    assert (found["source"], found["reason"], found["count"]) == ("http", "invalid-reading", 1)
    (example,) = found["examples"]
    assert example["detail"].startswith("POST /v1/streams/a/readings: ")
    assert "warm" in example["payload"]
