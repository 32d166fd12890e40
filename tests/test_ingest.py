"""The ingest service: what listeners hear of, and what leaves the event loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from streamnorm.engine.blocks.block import Block
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.blocks.observed import Batch, pairs
from streamnorm.engine.blocks.stack import BlockStack
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.ports.stream_repository import IN_PLACE, Execution
from streamnorm.engine.reading import Reading, parse_reading
from streamnorm.errors import StreamnormError
from streamnorm.events.hub import EventHub
from streamnorm.ingest import IngestService
from streamnorm.ingest.offload import OFFLOAD_THRESHOLD
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.write_behind import WriteBehindStreams
from tests.support.turns import turns_during

LIMITS = Limits()


class Heard:
    """A listener that notes how many readings it heard of."""

    max_rows: int | None = None

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.origins: list[object] = []

    def on_batch(self, stream_id: str, batch: Batch, now: float, origin: object = None) -> None:  # noqa: ARG002
        """Note each reading's place, and who had it observed."""
        self.counts += [answer.count for _, answer in pairs(batch)]
        self.origins.append(origin)


class Ready:
    """A listener that notes which readings found their features ready."""

    max_rows: int | None = None

    def __init__(self) -> None:
        self.heard: list[bool] = []

    def on_batch(self, stream_id: str, batch: Batch, now: float, origin: object = None) -> None:  # noqa: ARG002
        """Note it of each reading."""
        self.heard += [answer.ready for _, answer in pairs(batch)]


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


async def test_a_run_tells_of_each_of_its_readings_once() -> None:
    heard = Heard()
    service = service_with(heard)
    readings = [Reading(("temp",), [20.0 + n], seq=n) for n in range(8)]
    await service.observe_run("boiler-7", readings[:2])
    await service.observe_run("boiler-7", [readings[1], *readings[2:]])
    assert (heard.counts, service.observed) == ([*range(1, 9)], 8)


async def turns_of_others(service: IngestService, rows: int) -> int:
    """Count the turns of others while a block is observed."""
    return await turns_during(
        service.observe_block("boiler-7", Block(("temp",), np.linspace(20.0, 21.0, rows)[:, None]))
    )


async def test_others_have_their_turn_while_a_large_block_is_observed() -> None:
    service = service_with()
    await turns_of_others(service, 1)
    assert await turns_of_others(service, OFFLOAD_THRESHOLD) == 0
    assert await turns_of_others(service, OFFLOAD_THRESHOLD + 1) > 0


def service_whose_bulks_wait(monkeypatch: pytest.MonkeyPatch) -> IngestService:
    """Return a service that never observes readings of a bulk at once."""
    service = service_with(Heard())
    monkeypatch.setattr(service, "try_observe_together", lambda *_: None)
    return service


IMAGE, WIND = [[1.0, 2.0], [3.0, 5.0]], {"wind": 350.0}
BULKS: dict[str, list[tuple[str, object, int | None]]] = {
    "one each": [("a", {"temp": 20.0}, None), ("b", {"temp": 25.0}, None)],
    "several": [("a", {"temp": 20.0}, None), ("b", {"temp": 25.0}, None), ("a", {"temp": 21.0}, None)],
    "a run": [("a", [1.0, float(n)], None) for n in range(20)],
    "numbered": [("a", {"temp": 20.0}, 4), ("b", {"temp": 25.0}, 9), ("a", {"temp": 21.0}, 6)],
    "some numbered": [("a", {"temp": 20.0}, 4), ("a", {"temp": 21.0}, None)],
    "the last numbered": [("a", {"temp": 20.0}, None), ("a", {"temp": 21.0}, 6)],
    "channels": [("a", {"ir": IMAGE, "temp": None}, 4), ("b", {"temp": 1.0}, None)],
    "circular": [("wind", WIND, 4), ("a", {"temp": 1.0}, 5), ("wind", WIND | {"temp": 3.0}, 6)],
    "another shape": [("a", {"temp": 20.0}, None), ("b", {"was": 1.0}, None), ("b", {"was": IMAGE}, None)],
    "falling numbers": [("a", {"temp": 20.0}, 6), ("a", {"temp": 20.0}, 5)],
}


@pytest.mark.parametrize("bulk", BULKS.values(), ids=BULKS)
async def test_a_bulk_is_observed_at_once_to_the_same_bits(
    bulk: list[tuple[str, object, int | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = [(stream, parse_reading(values, LIMITS, seq=seq)) for stream, values, seq in bulk]
    outcomes: list[list[object]] = []
    for service in (service_with(Heard()), service_with(Heard()), service_whose_bulks_wait(monkeypatch)):
        service.clock = lambda: 1.8e9
        await service.configure("wind", {"features": {"wind": {"transform": "circular"}}})
        for stream in ("a", "b", "wind"):
            await service.observe(stream, Reading(("temp",), [20.0], seq=1 if stream == "b" else None))
        outcome: list[object] = []
        for _ in range(2):  # the second time, numbered ones are answered as before
            try:
                if len(outcomes) == 1:
                    columns = ReadingColumns.of(readings, LIMITS)
                    answers = await service.observe_columns(columns, "/{}".format)
                    outcome += [repr(answers.answer(row)) for row in range(len(columns))]
                else:
                    pointers = [f"/{row}" for row in range(len(readings))]
                    outcome += map(repr, await service.observe_readings(readings, pointers))
            except StreamnormError as error:
                outcome.append(repr(error))
        for stream_id in ("a", "b", "wind"):
            kept = service.streams.peek(stream_id)
            assert kept is not None
            outcome += map(repr, (kept.state, kept.answered, kept.before))
        outcomes.append(outcome)
    assert outcomes[0] == outcomes[2]
    assert outcomes[1] == outcomes[2]


@pytest.mark.parametrize("count", [1, 2, 40])
async def test_listeners_hear_of_the_very_readings_of_a_bulk(count: int) -> None:
    told: list[Reading] = []

    class Hearing(Heard):
        def on_batch(self, stream_id: str, batch: Batch, now: float, origin: object = None) -> None:  # noqa: ARG002
            told.extend(reading for reading, _ in pairs(batch))

    service = service_with(Hearing())
    readings = [("boiler-7", Reading(("temp",), [20.0 + n])) for n in range(count)]
    for _ in range(2):  # of a stream that is new, and of one in memory
        told.clear()
        await service.observe_readings(readings, [""] * count)
        assert [id(reading) for reading in told] == [id(reading) for _, reading in readings]


async def test_wide_bulks_are_left_to_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    service = service_with()
    wide = Reading(tuple(map(str, range(OFFLOAD_THRESHOLD // 2 + 1))), [1.0] * (OFFLOAD_THRESHOLD // 2 + 1))
    service.limits = Limits(max_features=OFFLOAD_THRESHOLD)
    await service.observe("camera", wide)
    monkeypatch.setattr(service, "try_observe_together", None)
    await service.observe_readings([("camera", wide)] * 2, ["", ""])
    await service.observe_columns(ReadingColumns.of([("camera", wide)] * 2, service.limits), str)
    assert service.observed == 5


@pytest.mark.parametrize("seqs", [(None, None), (1, 2)])
async def test_a_bulk_of_resident_streams_waits_for_nobody(
    seqs: tuple[int | None, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = service_with(heard := Heard())
    await service.observe("boiler-7", Reading(("temp",), [20.0]))
    monkeypatch.setattr(service, "_observe_columns", None)
    readings = [("boiler-7", Reading(("temp",), [20.0], seq=seq)) for seq in seqs]
    await service.observe_readings(readings, ["", ""])
    await service.observe_columns(ReadingColumns.of([("boiler-7", Reading(("temp",), [20.0]))], LIMITS), str)
    assert (heard.counts, service.observed) == ([1, 2, 3, 4], 4)


class Retrying(WriteBehindStreams):
    """Streams that another replica always changes first, so that a change is worked on twice."""

    async def update(self, stream_id: str, change: Any, *, create: bool = True, how: Execution = IN_PLACE) -> Any:
        """Change a copy for nothing, then the stream."""
        change(self.rulebook.new(stream_id))
        return await super().update(stream_id, change, create=create, how=how)


@pytest.mark.parametrize("retries", [False, True])
@pytest.mark.parametrize("kind", ["f8", "f4"])
@pytest.mark.parametrize("config", [{}, {"missing": "mean"}, {"clamp": 1.0}, {"method": "batch"}])
async def test_an_answer_in_place_of_the_values_is_the_same(
    config: dict[str, Any], kind: str, *, retries: bool
) -> None:
    values = np.random.default_rng(0).normal(20.0, 3.0, (2000, 10)).astype(kind)
    values[3::7, 4] = np.nan
    found = []
    for out in (None, values):
        streams = (Retrying if retries else WriteBehindStreams)(
            MemoryStore(), plan(configuration(config, {})), durability="no"
        )
        streams.retries = retries
        service, ready = IngestService(streams, limits=LIMITS), Ready()
        events = EventHub(streams.peek)
        service.listeners += [ready, events]
        service.clock = lambda: 1e9
        names = tuple(map(str, range(10)))
        answer = await service.observe_block("boiler-7", Block(names, values, first_seq=0, out=out))
        raw = [event.packed for event in events.past("boiler-7")]
        stream = streams.peek("boiler-7")
        assert stream is not None
        found.append((answer.values.tobytes(), answer.count, raw, ready.heard, stream.state.tobytes()))
    assert found[0] == found[1]


async def test_an_answer_takes_the_place_of_the_values() -> None:
    values = np.random.default_rng(0).normal(20.0, 3.0, (2000, 10))
    answer = await service_with().observe_block("boiler-7", Block(tuple(map(str, range(10))), values, out=values))
    assert answer.values is values


@pytest.mark.parametrize("config", [{}, {"missing": "mean"}, {"time_constant": 60.0, "horizon": None}])
@pytest.mark.parametrize("in_place", [False, True])
async def test_a_stack_leaves_the_events_of_its_blocks(config: dict[str, Any], *, in_place: bool) -> None:
    services, hubs = [], []
    for _ in range(2):
        streams = WriteBehindStreams(MemoryStore(), plan(configuration(config, {})), durability="no")
        services.append(IngestService(streams, limits=LIMITS, clock=lambda: 1e9))
        hubs.append(EventHub(streams.peek))
        services[-1].listeners += [hubs[-1], Heard()]
    for seed in range(3):
        values = np.random.default_rng(seed).normal(20.0, 3.0, (3, 150, 4))
        places, names = {"a": 0, "b": 1, "c": 2}, ("w", "x", "y", "z")
        stack = BlockStack(places, names, values.copy(), None, None, np.empty_like(values))
        await services[0].observe_blocks(replace(stack, out=stack.table) if in_place else stack)
        for stream_id, place in places.items():
            await services[1].observe_block(stream_id, Block(names, values[place]))
    assert services[0].observed == services[1].observed == 3 * 3 * 150
    for stream_id in places:
        assert hubs[0].past(stream_id) == hubs[1].past(stream_id)
        assert len(hubs[0].past(stream_id)) == 450
        assert hubs[0].past(stream_id)[-1].event()["std"].keys() == {*names}
    assert services[0].listeners[1].counts == services[1].listeners[1].counts  # type: ignore[attr-defined]
