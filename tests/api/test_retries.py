"""Numbers make retries safe: duplicated, reordered, at once, across restarts and crashes; against a model."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streamnorm.app import create_app
from streamnorm.settings import Settings
from tests.support.http_calls import with_routers_of_all

T = TypeVar("T")
JSON = {"content-type": "application/json"}
names = st.sampled_from(["a", "b", "c"])
steps = st.integers(-3, 3)


def value(seq: int) -> float:
    """Return the reading of a number: a retry sends the same."""
    return (seq * 7919) % 101 / 8


@dataclass
class Model:
    """What a stream must be like."""

    count: int = 0
    last: int | None = None
    #: the numbered request that came last, where nothing came after it: (first number, rows or None for one reading)
    request: tuple[int, int | None] | None = None
    answer: Any = None


class Retries(RuleBasedStateMachine):
    """Three streams, of which memory holds two, behind HTTP; every answer is what the model says."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.settings = Settings(data_dir=Path(self.folder.name), durability="always", max_resident_streams=2)
        self.models = {name: Model() for name in "abc"}
        self.app: FastAPI
        self.client: httpx.AsyncClient
        self.running = AsyncExitStack()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something to its end."""
        return self.runner.run(work)

    @initialize()
    def start(self) -> None:
        """Start the application on the folder."""

        async def start() -> None:
            self.app = with_routers_of_all(create_app(self.settings))
            await self.running.enter_async_context(self.app.router.lifespan_context(self.app))
            transport = httpx.ASGITransport(self.app)
            self.client = httpx.AsyncClient(transport=transport, base_url="http://streamnorm", headers=JSON)

        self.run(start())

    @rule()
    def stop_and_start(self) -> None:
        """Stop as told to, and start again."""
        self.run(self.running.aclose())
        self.start()

    @rule()
    def crash_and_start(self) -> None:
        """Lose everything that is only in memory."""
        streams = self.app.state.context.service.streams

        async def crash() -> None:
            streams._committer._writer.cancel()  # noqa: SLF001 - a process that dies asks nobody
            streams._committer._writer = None  # noqa: SLF001
            streams._committer.dirty.clear()  # noqa: SLF001
            await self.running.aclose()

        self.run(crash())
        self.start()

    async def post(self, name: str, first: int, rows: int | None) -> httpx.Response:
        """Send a numbered reading, or a block."""
        if rows is None:
            path, body = "readings", {"values": [value(first)], "seq": first}
        else:
            path, body = "bulk", {"values": [[value(first + row)] for row in range(rows)], "first_seq": first}
        return await self.client.post(f"/v1/streams/{name}/{path}", json=body)

    @rule(name=names, step=steps, rows=st.none() | st.integers(1, 3))
    def send(self, name: str, step: int, rows: int | None) -> None:
        """Send what comes next, or came before, or leaves a gap."""
        model = self.models[name]
        last = -1 if model.last is None else model.last
        first = max(0, last + step)
        response = self.run(self.post(name, first, rows))
        answer = response.json()
        if (first, rows) == model.request:
            assert answer == model.answer | {"replayed": True}
        elif first <= last:
            assert (response.status_code, answer["last_seq"]) == (409, last)
        else:
            gap = 0 if model.last is None else first - last - 1
            model.count += rows or 1
            model.last = first + (rows or 1) - 1
            model.request, model.answer = (first, rows), answer
            assert (response.status_code, answer["count"], answer.get("gap", 0)) == (200, model.count, gap)
            assert "replayed" not in answer

    @rule(name=names)
    def retry(self, name: str) -> None:
        """Send the last numbered request once more."""
        model = self.models[name]
        if model.request is not None:
            answer = self.run(self.post(name, *model.request)).json()
            assert answer == model.answer | {"replayed": True}

    @rule(name=names)
    def send_without_a_number(self, name: str) -> None:
        """Send a reading that cannot be sent again."""
        model = self.models[name]
        response = self.run(self.client.post(f"/v1/streams/{name}/readings", json={"values": [1.5]}))
        model.count += 1
        model.request = None
        assert response.json()["count"] == model.count

    @rule(name=names, order=st.permutations([1, 1, 2, 3, 3]))
    def send_at_once(self, name: str, order: list[int]) -> None:
        """Send numbers out of order, some of them twice, all at the same time."""
        model = self.models[name]
        last = -1 if model.last is None else model.last

        async def together() -> list[httpx.Response]:
            return await asyncio.gather(*(self.post(name, last + step, None) for step in order))

        answers = [(last + step, response) for step, response in zip(order, self.run(together()), strict=True)]
        fresh = {seq: r.json() for seq, r in answers if r.status_code == 200 and "replayed" not in r.json()}
        assert [fresh[seq]["count"] for seq in sorted(fresh)] == [model.count + 1 + n for n in range(len(fresh))]
        for seq, response in answers:
            told = response.json()
            if response.status_code == 200:
                assert told in (fresh[seq], fresh[seq] | {"replayed": True})
            else:
                assert (response.status_code, told["last_seq"] > seq) == (409, True)
        newest = max(fresh)
        model.count += len(fresh)
        model.last, model.request, model.answer = newest, (newest, None), fresh[newest]

    @invariant()
    def streams_are_as_the_model_says(self) -> None:
        """Compare counters."""
        if not hasattr(self, "client"):
            return
        infos = self.run(self.client.get("/v1/streams")).json()["streams"]
        found = {info["stream"]: (info["count"], info["last_seq"]) for info in infos}
        assert found == {name: (model.count, model.last) for name, model in self.models.items() if model.count}

    def teardown(self) -> None:
        """Stop."""
        self.run(self.running.aclose())
        self.runner.close()
        self.folder.cleanup()


TestRetries = Retries.TestCase
TestRetries.settings = settings(max_examples=15, stateful_step_count=25)
