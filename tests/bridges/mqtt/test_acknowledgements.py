"""A message is acknowledged when its reading is durable and its answer is published, and on its own connection only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiomqtt
import pytest

from streamnorm.bridges.mqtt.intake import Intake
from streamnorm.bridges.mqtt.topics import TopicTemplate
from tests.support.http_calls import running


class Connection:
    """A connection on which messages come until it breaks."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.again: set[int] = set()
        self._messages: asyncio.Queue[aiomqtt.Message] = asyncio.Queue()

    def bring(self, mid: int, payload: bytes, topic: str = "sensors/a/raw") -> None:
        """Receive a message (QoS 1)."""
        self._messages.put_nowait(aiomqtt.Message(topic, payload, 1, retain=False, mid=mid, properties=None))

    async def received(self) -> AsyncIterator[aiomqtt.Message]:
        """Yield the messages."""
        while True:
            yield await self._messages.get()

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Note what is acknowledged."""
        self.acknowledged.append(message.mid)


class Bridge:
    """An intake, and the answers that wait to be confirmed."""

    def __init__(self, api: Any) -> None:
        self.answers: list[asyncio.Future[None]] = []
        self._came = asyncio.Semaphore(0)
        self.durable = asyncio.Event()
        self.durable.set()
        service = api.context.service
        templates = [TopicTemplate("sensors/{stream}/raw")]
        self.intake = Intake(
            service, templates, 1000, settle=self._settle, publish=self._publish, dead_letters=lambda *_: None
        )

    def _publish(self, *_: object) -> asyncio.Future[None]:
        self.answers.append(asyncio.get_running_loop().create_future())
        self._came.release()
        return self.answers[-1]

    async def _settle(self) -> None:
        await self.durable.wait()

    async def until_worked_on(self, count: int) -> None:
        """Wait until so many more readings were observed."""
        async with asyncio.timeout(5):
            for _ in range(count):
                await self._came.acquire()


@pytest.fixture(autouse=True)
def _no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamnorm.bridges.mqtt.intake.LINGER", 0.0)


async def settled() -> None:
    """Let everything that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_message_waits_for_its_commit_and_for_the_confirmation_of_its_answer() -> None:
    async with running() as api:
        bridge, connection = Bridge(api), Connection()
        bridge.durable.clear()
        reading = asyncio.create_task(bridge.intake.read(connection))  # type: ignore[arg-type]
        connection.bring(1, b"21.5")
        connection.bring(2, b"22.5")
        await bridge.until_worked_on(2)
        bridge.answers[0].set_result(None)
        await settled()
        assert connection.acknowledged == []
        bridge.durable.set()
        await settled()
        assert connection.acknowledged == [1]
        bridge.answers[1].set_result(None)
        await settled()
        assert connection.acknowledged == [1, 2]
        reading.cancel()


async def test_what_was_received_before_a_connection_broke_is_acknowledged_on_the_next_one() -> None:
    async with running() as api:
        bridge, first, second = Bridge(api), Connection(), Connection()
        reading = asyncio.create_task(bridge.intake.read(first))  # type: ignore[arg-type]
        first.bring(1, b"21.5")
        await bridge.until_worked_on(1)
        reading.cancel()
        second.again.add(1)
        reading = asyncio.create_task(bridge.intake.read(second))  # type: ignore[arg-type]
        await settled()
        second.bring(1, b"21.5")
        await settled()
        bridge.answers[0].set_result(None)
        await settled()
        assert (first.acknowledged, second.acknowledged) == ([], [1])
        assert len(bridge.answers) == 1
        reading.cancel()


async def test_a_defect_leaves_a_message_unacknowledged_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as api:
        bridge, connection = Bridge(api), Connection()
        observe = api.context.service.observe

        async def broken(stream_id: str, *reading: Any, **options: Any) -> Any:
            if stream_id == "bad":
                raise ZeroDivisionError("a defect")
            return await observe(stream_id, *reading, **options)

        monkeypatch.setattr(api.context.service, "observe", broken)
        reading = asyncio.create_task(bridge.intake.read(connection))  # type: ignore[arg-type]
        connection.bring(1, b"21.5", "sensors/bad/raw")
        connection.bring(2, b"21.5")
        await bridge.until_worked_on(1)
        bridge.answers[0].set_result(None)
        await settled()
        assert connection.acknowledged == [2]
        assert "sensors/bad/raw: not acknowledged" in caplog.text
        reading.cancel()


async def test_draining_waits_for_what_was_received_and_no_longer_than_it_may() -> None:
    async with running() as api:
        bridge, connection = Bridge(api), Connection()
        reading = asyncio.create_task(bridge.intake.read(connection))  # type: ignore[arg-type]
        connection.bring(1, b"21.5")
        await bridge.until_worked_on(1)
        reading.cancel()
        await bridge.intake.drain(0.001)
        assert connection.acknowledged == []
        asyncio.get_running_loop().call_later(0.01, bridge.answers[0].set_result, None)
        await bridge.intake.drain(5.0)
        assert connection.acknowledged == [1]
