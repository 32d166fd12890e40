"""The ingest service: what listeners hear of, and what leaves the event loop."""

from __future__ import annotations

import asyncio

import numpy as np

from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.config import configuration
from streamnorm.engine.limits import Limits
from streamnorm.engine.plan import plan
from streamnorm.engine.reading import Answer, Reading, parse_reading
from streamnorm.ingest import OFFLOAD_THRESHOLD, IngestService
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.write_behind import WriteBehindStreams

LIMITS = Limits()


class Heard:
    """A listener that notes how many readings it heard of."""

    max_rows: int | None = None

    def __init__(self) -> None:
        self.counts: list[int] = []

    def on_reading(self, stream_id: str, reading: Reading, answer: Answer, now: float) -> None:  # noqa: ARG002
        """Note a reading's place."""
        self.counts.append(answer.count)

    def on_block(self, stream_id: str, block: Block, answer: BlockAnswer, now: float) -> None:  # noqa: ARG002
        """Note the place of each row."""
        self.counts += range(answer.count - len(block.values) + 1, answer.count + 1)


def service_with(*listeners: Heard) -> IngestService:
    streams = WriteBehindStreams(MemoryStore(), plan(configuration({}, {})), durability="no")
    service = IngestService(streams, limits=LIMITS, defaults={})
    service.listeners += listeners
    return service


async def test_listeners_hear_once_of_a_bulk_that_is_repeated() -> None:
    heard = Heard()
    service = service_with(heard)
    bulk = [("boiler-7", parse_reading({"temp": 20.0 + n}, LIMITS, seq=n)) for n in range(6)]
    pointers = [f"/{n}" for n in range(6)]
    first = await service.observe_readings(bulk, pointers)
    again = await service.observe_readings(bulk, pointers)
    assert [answer.replayed for answer in (*first, *again)] == [False] * 6 + [True] * 6
    assert (heard.counts, service.observed) == ([1, 2, 3, 4, 5, 6], 6)


async def turns_during(service: IngestService, rows: int) -> int:
    """Count the turns that another task of the event loop has while a block is observed."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    before = turns
    await service.observe_block("boiler-7", Block(("temp",), np.linspace(20.0, 21.0, rows)[:, None]))
    task.cancel()
    return turns - before


async def test_others_have_their_turn_while_a_large_block_is_observed() -> None:
    service = service_with()
    await turns_during(service, 1)
    assert await turns_during(service, OFFLOAD_THRESHOLD) == 0
    assert await turns_during(service, OFFLOAD_THRESHOLD + 1) > 0
