"""Devices that number their readings, send each until it is acknowledged, and check every answer."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import httpx

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.stream import Stream

LIMITS = Limits()
#: What a client does that gets no answer, or is told to come back.
PAUSE = 0.05


class Device:
    """One stream, and a twin of it here: a reading lost or applied twice shows in the next answer."""

    def __init__(self, stream_id: str, urls: Sequence[str]) -> None:
        self.stream_id = stream_id
        self.acknowledged = 0
        self.answered_at = time.monotonic()
        self._urls = itertools.cycle(urls)
        self._rng = random.Random(stream_id)
        self._twin = Stream(plan(configuration({}, {})))

    async def send(self, client: httpx.AsyncClient) -> None:
        """Send one reading to one replica after the other, until it is acknowledged."""
        seq, x = self.acknowledged + 1, self._rng.gauss(20.0, 1.0)
        expected = self._twin.observe(parse_reading({"x": x}, LIMITS, seq=seq), 1.0, LIMITS).values
        while True:
            url = f"{next(self._urls)}/v1/streams/{self.stream_id}/readings"
            try:
                response = await client.post(url, json={"values": {"x": x}, "seq": seq})
            except httpx.TransportError:
                response = None
            if response is not None and response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(PAUSE)
        answer = response.json()
        assert response.status_code == httpx.codes.OK, answer
        assert (answer["seq"], answer["count"], answer["values"]["x"]) == (seq, seq, expected[0])
        self.acknowledged = seq
        self.answered_at = time.monotonic()


class Load:
    """Devices that send at the same time."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = devices

    @property
    def acknowledged(self) -> int:
        """How many readings were acknowledged."""
        return sum(device.acknowledged for device in self.devices)

    async def until(self, condition: Callable[[], bool], patience: float = 60.0) -> None:
        """Let them send until something is so."""
        async with asyncio.timeout(patience):
            while not condition():  # noqa: ASYNC110 - whatever is so, nobody signals it
                await asyncio.sleep(PAUSE)

    async def more(self, readings: int, patience: float = 60.0) -> None:
        """Let them send until so many more readings are acknowledged."""
        wanted = self.acknowledged + readings
        await self.until(lambda: self.acknowledged >= wanted, patience)

    async def all_again(self, patience: float) -> None:
        """Let them send until every device has had an answer to a reading it sent from now on."""
        wanted = {device: device.acknowledged + 2 for device in self.devices}
        await self.until(lambda: all(device.acknowledged >= seq for device, seq in wanted.items()), patience)


@asynccontextmanager
async def sending(urls: list[str], devices: int = 32) -> AsyncIterator[Load]:
    """Let devices send to replicas for as long as the block runs; then each ends with an acknowledged reading."""
    load = Load([Device(f"device-{number}", urls[number % 2 :] + urls[: number % 2]) for number in range(devices)])
    stop = False

    async def drive(device: Device, client: httpx.AsyncClient) -> None:
        while not stop:
            await device.send(client)

    async with httpx.AsyncClient(timeout=10.0) as client, asyncio.TaskGroup() as group:
        for device in load.devices:
            group.create_task(drive(device, client))
        try:
            yield load
        finally:
            stop = True
