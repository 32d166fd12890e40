"""At most so many streams in memory; the others rest in the store and come back as they were."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import numpy as np
import pytest

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.ports.blob_store import BlobStore
from streamnorm.engine.ports.stream_repository import Durability
from streamnorm.engine.reading import Answer, parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import LimitExceeded, StoreUnavailable, StreamNotFound
from streamnorm.ingest import IngestService
from streamnorm.stores.codec import encode
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.schema import MIGRATIONS, migrate
from streamnorm.stores.local.sqlite import SQLiteStore
from streamnorm.stores.local.write_behind import WriteBehindStreams

DEFAULT = plan(configuration({}, {}))
LIMITS = Limits()
NOW = 1_795_338_000.0


def observed(x: float, seq: int | None = None) -> Callable[[Stream], Answer]:
    """Build a change that observes one reading."""
    one = parse_reading([x], LIMITS, seq=seq)
    return lambda stream: stream.observe(one, NOW, LIMITS)


@asynccontextmanager
async def started(
    store: BlobStore, *, durability: Durability = "everysec", resident: int = 10, streams: int = 1000, ttl: float = 0.0
) -> AsyncIterator[WriteBehindStreams]:
    """Start, and stop afterwards."""
    made = WriteBehindStreams(
        store, DEFAULT, durability=durability, max_resident=resident, max_streams=streams, ttl=ttl
    )
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@pytest.mark.parametrize("durability", ["always", "everysec", "no"])
async def test_streams_that_come_and_go_are_as_if_they_had_stayed(tmp_path: Path, durability: Durability) -> None:
    rng = np.random.default_rng(0)
    twins = {f"s-{n}": Stream(DEFAULT) for n in range(30)}
    async with started(SQLiteStore(tmp_path, synchronous="normal"), durability=durability, resident=7) as streams:
        for _ in range(600):
            name, x = f"s-{rng.integers(30)}", float(rng.normal())
            answer = await streams.update(name, observed(x))
            assert answer == observed(x)(twins[name])
            assert streams.stats().resident <= 7
        states = {name: encode(stream) for name, stream in await streams.page("", "", 100)}
    assert states == {name: encode(twin) for name, twin in twins.items() if twin.count}


@pytest.mark.parametrize("resident", [2, 3])
async def test_streams_of_one_message_that_do_not_fit_into_memory_together_are_counted_once(resident: int) -> None:
    names = ("s-0", "s-1", "s-2")
    async with started(MemoryStore(), resident=resident) as streams:
        for name in names:
            await streams.update(name, observed(1))
        await streams.flush()
        service = IngestService(streams, limits=LIMITS)
        found = service.try_observe_together([(name, parse_reading([2.0], LIMITS)) for name in names[::-1]])
        assert (found is not None) == (resident == 3)
        assert (streams.stats().resident + streams.stats().evicted, streams.stats().resident) == (3, resident)


async def test_the_streams_that_stay_are_those_that_changed_last() -> None:
    async with started(MemoryStore(), resident=40) as streams:
        for n in range(40):
            await streams.update(f"s-{n}", observed(1))
        await streams.flush()
        for n in range(20):  # the first half again, while the second half rests longer and longer
            await streams.update(f"s-{n}", observed(2))
        await streams.flush()
        for n in range(20):
            await streams.update(f"new-{n}", observed(1))
        assert set(streams._streams) >= {f"s-{n}" for n in range(20)}  # noqa: SLF001 - who is in memory shows nowhere else


async def test_a_stream_that_rests_is_answered_a_retry() -> None:
    async with started(MemoryStore(), resident=1) as streams:
        first = await streams.update("a", observed(21.4, seq=1))
        await streams.update("b", observed(1))
        again = await streams.update("a", observed(21.4, seq=1))
    assert (again.replayed, again.values, again.count) == (True, first.values, 1)


async def test_reading_does_not_take_the_place_of_what_is_not_saved() -> None:
    store = MemoryStore()
    store.save({"resting": encode(Stream(DEFAULT))})
    async with started(store, durability="no", resident=1) as streams:
        await streams.update("a", observed(1))
        assert await streams.read("resting", lambda stream: stream.count) == 0
        assert list(streams._streams) == ["a"]  # noqa: SLF001


async def test_many_at_once_find_room_though_all_is_unsaved() -> None:
    async with started(MemoryStore(), durability="no", resident=5) as streams:
        await asyncio.gather(*(streams.update(f"s-{n % 50}", observed(n)) for n in range(500)))
        assert streams.stats().resident <= 5
        assert [stream.count for _, stream in await streams.page("", "", 100)] == [10] * 50


async def test_a_block_of_more_streams_than_memory_holds_is_observed() -> None:
    async with started(MemoryStore(), resident=5) as streams:
        await streams.update_many({f"s-{n}": observed(n) for n in range(20)})
        await streams.update("another", observed(1))
        assert streams.stats().resident <= 20
        assert len(await streams.page("", "", 100)) == 21


async def test_a_new_stream_that_finds_no_room_since_nothing_can_be_saved_is_refused() -> None:
    class Failing(MemoryStore):
        def save(self, changes: object) -> None:  # noqa: ARG002 - nothing is saved
            raise StoreUnavailable("the disk is full")

    streams = WriteBehindStreams(Failing(), DEFAULT, durability="no", max_resident=2)
    await streams.start()
    for name in "ab":
        await streams.update(name, observed(1))
    with pytest.raises(StoreUnavailable, match="disk is full"):
        await streams.update("c", observed(1))
    with pytest.raises(StoreUnavailable):
        await streams.stop()


async def test_there_are_no_more_streams_than_allowed() -> None:
    store = MemoryStore()
    store.save({f"old-{n}": encode(Stream(DEFAULT)) for n in range(3)})
    async with started(store, streams=5, resident=2) as streams:
        await streams.update("new-1", observed(1))
        with pytest.raises(LimitExceeded, match="max_streams"):
            await streams.update_many({"new-2": observed(1), "new-3": observed(1)})
        await streams.replace("new-2", Stream(DEFAULT))
        with pytest.raises(LimitExceeded, match="there would be 6 streams"):
            await streams.update("new-3", observed(1))
        await streams.update("old-1", observed(1))
        await streams.delete("old-0")
        assert (await streams.update("new-3", observed(1))).count == 1
        vitals = streams.stats()
        assert vitals.resident + vitals.evicted == 5


# Streams that expire


class Clock:
    """A clock that stands still until it is moved."""

    now = NOW

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture(params=["memory", "sqlite"])
def clocked(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[BlobStore, Clock]:
    """Build a store with a clock of its own."""
    clock = Clock()
    if request.param == "memory":
        return MemoryStore(clock), clock
    return SQLiteStore(tmp_path, synchronous="normal", expiring=True, clock=clock), clock


async def test_streams_without_readings_expire_in_memory_and_at_rest(clocked: tuple[BlobStore, Clock]) -> None:
    store, clock = clocked
    streams = WriteBehindStreams(store, DEFAULT, max_resident=400, ttl=100.0, clock=clock)
    await streams.start()
    for n in range(700):
        await streams.update(f"s-{n}", observed(1))
    await streams.flush()
    clock.now += 99.0
    await streams.expire()
    assert len(await streams.page("", "", 1000)) == 700
    await streams.update("s-0", observed(2))
    await streams.update("s-699", observed(2))
    await streams.flush()
    clock.now += 2.0
    await streams.expire()
    assert [name for name, _ in await streams.page("", "", 1000)] == ["s-0", "s-699"]
    with pytest.raises(StreamNotFound):
        await streams.read("s-1", lambda stream: stream.count)
    vitals = streams.stats()
    assert vitals.resident + vitals.evicted == 2
    await streams.stop()


async def test_a_stream_whose_reading_is_not_saved_yet_does_not_expire() -> None:
    clock = Clock()
    streams = WriteBehindStreams(MemoryStore(clock), DEFAULT, durability="no", ttl=100.0, clock=clock)
    await streams.start()
    await streams.update("a", observed(1))
    await streams.flush()
    clock.now += 101.0
    await streams.update("a", observed(2))
    await streams.expire()
    assert await streams.read("a", lambda stream: stream.count) == 2
    await streams.stop()


async def test_streams_expire_by_themselves() -> None:
    async with started(MemoryStore(), ttl=0.2) as streams:
        await streams.update("a", observed(1))
        async with asyncio.timeout(60):
            while streams.stats().resident:  # noqa: ASYNC110 - what happens by itself sets no event
                await asyncio.sleep(0.01)


async def test_nothing_expires_unless_told_to() -> None:
    async with started(MemoryStore()) as streams:
        assert streams._expiry is None  # noqa: SLF001 - what does not happen cannot be waited for


async def test_streams_of_an_earlier_version_do_not_expire_at_once(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "streamnorm.db", isolation_level=None)) as old:
        migrate(old, tmp_path / "streamnorm.db", MIGRATIONS[:1])
        old.execute("INSERT INTO streams VALUES ('a', ?)", (encode(Stream(DEFAULT)),))
    async with started(SQLiteStore(tmp_path, synchronous="normal", expiring=True), ttl=3600.0) as streams:
        await streams.expire()
        assert len(await streams.page("", "", 10)) == 1
