"""The ingest service: what listeners hear of, and what leaves the event loop."""

from __future__ import annotations

import asyncio

import numpy as np

from streamnorm.engine.blocks.block import Block
from streamnorm.engine.blocks.observed import Batch, ObservedBlock, pairs
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Reading, parse_reading
from streamnorm.ingest import IngestService
from streamnorm.ingest.offload import OFFLOAD_THRESHOLD
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.write_behind import WriteBehindStreams

LIMITS = Limits()


class Heard:
    """A listener that notes how many readings it heard of."""

    max_rows: int | None = None

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.origins: list[object] = []
        self.blocks = 0

    def on_batch(self, stream_id: str, batch: Batch, now: float, origin: object = None) -> None:  # noqa: ARG002
        """Note each reading's place, and who had it observed."""
        self.counts += [answer.count for _, answer in pairs(batch)]
        self.origins.append(origin)
        self.blocks += isinstance(batch, ObservedBlock)


def service_with(*listeners: Heard) -> IngestService:
    streams = WriteBehindStreams(MemoryStore(), plan(configuration({}, {})), durability="no")
    service = IngestService(streams, limits=LIMITS)
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


async def test_listeners_are_told_the_origin_of_each_batch() -> None:
    heard, origin = Heard(), object()
    service = service_with(heard)
    reading = Reading(("temp",), [20.0])
    await service.observe("boiler-7", reading, origin=origin)
    await service.observe_readings([("boiler-7", reading)] * 2, ["", ""], origin=origin)
    await service.observe("boiler-7", reading)
    await service.observe_block("boiler-7", Block(("temp",), np.full((3, 1), 20.0)))
    assert heard.counts == [1, 2, 3, 4, 5, 6, 7]
    assert heard.origins == [origin, origin, None, None]


async def test_a_listener_hears_of_a_batch_only_the_readings_it_wants() -> None:
    heard, few = Heard(), Heard()
    few.max_rows = 2
    service = service_with(heard, few)
    bulk = [("boiler-7", Reading(("temp",), [20.0 + n])) for n in range(1200)]
    await service.observe_readings(bulk, [""] * len(bulk))
    assert (heard.counts, few.counts) == ([*range(1, 1201)], [1199, 1200])


async def test_the_only_row_of_a_stream_is_told_as_a_reading() -> None:
    few = Heard()
    few.max_rows = 2
    service = service_with(few)
    rows = [(stream_id, Reading(("temp",), [20.0])) for stream_id in ("a", "b", "b", "c")]
    await service.observe_readings(rows, [""] * len(rows))
    assert (few.counts, few.blocks) == ([1, 1, 2, 1], 1)


async def test_a_run_tells_of_each_of_its_readings_once() -> None:
    heard = Heard()
    service = service_with(heard)
    readings = [Reading(("temp",), [20.0 + n], seq=n) for n in range(8)]
    await service.observe_run("boiler-7", readings[:2])
    await service.observe_run("boiler-7", [readings[1], *readings[2:]])
    assert (heard.counts, service.observed) == ([*range(1, 9)], 8)


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
