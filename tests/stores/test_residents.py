"""Streams in memory that rest in a store: what is kept, when, and what happens when it cannot be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streamnorm.engine.config import configuration
from streamnorm.engine.layout import COUNT
from streamnorm.engine.limits import Limits
from streamnorm.engine.plan import plan
from streamnorm.engine.reading import Answer, reading
from streamnorm.engine.stream import Stream
from streamnorm.errors import InvalidReading, StoreCorrupt, StoreUnavailable, StreamNotFound
from streamnorm.stores import keeper
from streamnorm.stores.codec import decode, encode
from streamnorm.stores.keeper import Durability
from streamnorm.stores.memory import MemoryStore
from streamnorm.stores.residents import Residents
from streamnorm.stores.sqlite import SQLiteStore

DEFAULT = plan(configuration({}, {}))
LIMITS = Limits()


class GatedStore(MemoryStore):
    """A store whose saves wait while the gate is closed, and fail while `failing`; it counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.failing = False
        self.saves: list[set[str]] = []
        self.attempts = 0
        self.closed = False

    def save(self, changes: Mapping[str, bytes | None]) -> None:
        """Save once the gate is open."""
        self.attempts += 1
        self.entered.set()
        assert self.gate.wait(60)
        if self.failing:
            raise StoreUnavailable("the disk is full")
        super().save(changes)
        self.saves.append(set(changes))

    def close(self) -> None:
        """Note it."""
        self.closed = True


def observed(x: float, seq: int | None = None) -> Callable[[Stream], Answer]:
    """Make a change that observes one reading."""
    one = reading([x], LIMITS, seq=seq)
    return lambda stream: stream.observe(one, 1.0, LIMITS)


def refused(stream: Stream) -> None:
    """Change a draft, and find that it cannot be."""
    stream.state[COUNT] = 99.0
    raise InvalidReading.at("/values", "wrong")


def count(stream: Stream) -> int:
    """Look at a stream's count."""
    return stream.count


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has come about."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what happens in another thread sets no asyncio.Event
            await asyncio.sleep(0.001)


@asynccontextmanager
async def started(store: MemoryStore, durability: Durability = "no") -> AsyncIterator[Residents]:
    """Start, and stop afterwards."""
    streams = Residents(store, DEFAULT, durability=durability)
    await streams.start()
    try:
        yield streams
    finally:
        await streams.stop()


@pytest.fixture
def store() -> GatedStore:
    """Make a store."""
    return GatedStore()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `everysec` flush every few milliseconds, so that no test waits a second."""
    monkeypatch.setattr(keeper, "FLUSH_INTERVAL", 0.005)


def kept(store: MemoryStore, stream_id: str) -> int | None:
    """Count the readings of a stream that the store has."""
    blob = store.load(stream_id)
    return None if blob is None else decode(stream_id, blob).count


# What a change does


async def test_a_change_is_seen_by_the_next_look(store: GatedStore) -> None:
    async with started(store) as streams:
        await streams.update("a", observed(1))
        assert await streams.read("a", count) == 1


async def test_looking_at_no_stream_is_told(store: GatedStore) -> None:
    async with started(store) as streams:
        with pytest.raises(StreamNotFound):
            await streams.read("a", count)


async def test_a_change_that_must_not_make_a_stream_makes_none(store: GatedStore) -> None:
    async with started(store) as streams:
        with pytest.raises(StreamNotFound):
            await streams.update("a", observed(1), create=False)
        assert await streams.page("", "", 10) == []


async def test_a_first_change_that_fails_makes_no_stream(store: GatedStore) -> None:
    async with started(store) as streams:
        for draft in (False, True):
            with pytest.raises(InvalidReading):
                await streams.update("a", refused, draft=draft)
        assert await streams.page("", "", 10) == []


@pytest.mark.parametrize("heavy", [False, True])
async def test_a_change_on_a_draft_that_fails_leaves_the_stream_as_it_was(store: GatedStore, *, heavy: bool) -> None:
    async with started(store) as streams:
        await streams.update("a", observed(1))
        before = await streams.read("a", encode)
        with pytest.raises(InvalidReading):
            await streams.update("a", refused, draft=True, heavy=heavy)
        assert await streams.read("a", encode) == before


async def test_a_resting_stream_goes_on_where_it_was(store: GatedStore) -> None:
    async with started(store) as streams:
        for x in range(5):
            await streams.update("a", observed(x))
        before = await streams.read("a", encode)
    async with started(store) as streams:
        assert await streams.read("a", encode) == before
        assert (await streams.update("a", observed(9))).count == 6


async def test_a_stream_that_cannot_be_read_is_told_and_left_as_it_is(store: GatedStore) -> None:
    store.save({"a": b"garbage"})
    async with started(store) as streams:
        with pytest.raises(StoreCorrupt):
            await streams.update("a", observed(1))
    assert store.load("a") == b"garbage"


async def test_a_replaced_stream_tells_whether_there_was_one(store: GatedStore) -> None:
    async with started(store) as streams:
        made = [await streams.replace("a", Stream(DEFAULT)) for _ in range(2)]
    assert made == [True, False]


# Several streams as a whole


async def test_changes_of_many_streams_are_made_as_a_whole(store: GatedStore) -> None:
    async with started(store) as streams:
        answers = await streams.update_many({"b": observed(1), "a": observed(2)})
        assert {key: answer.count for key, answer in answers.items()} == {"b": 1, "a": 1}
        assert [key for key, _ in await streams.page("", "", 10)] == ["a", "b"]


async def test_changes_of_many_streams_of_which_one_fails_change_none(store: GatedStore) -> None:
    async with started(store) as streams:
        await streams.update("a", observed(1))
        before = await streams.read("a", encode)
        with pytest.raises(InvalidReading):
            await streams.update_many({"a": observed(2), "b": refused, "c": observed(3)})
        assert await streams.read("a", encode) == before
        assert [key for key, _ in await streams.page("", "", 10)] == ["a"]


async def test_changes_of_many_streams_that_cross_do_not_wait_for_each_other(store: GatedStore) -> None:
    async with started(store) as streams, asyncio.timeout(60):
        there = {"a": observed(1), "b": observed(1)}
        back = {"b": observed(1), "a": observed(1)}
        await asyncio.gather(*(streams.update_many(changes) for changes in (there, back) * 20))
        assert await streams.read("a", count) == 40


# Heavy changes


class Heavy:
    """A heavy change that begins, and ends when it may."""

    def __init__(self, x: float) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self._observe = observed(x)

    def __call__(self, stream: Stream) -> Answer:
        """Observe, slowly."""
        self.begun.set()
        assert self.may_end.wait(60)
        return self._observe(stream)


async def test_changes_wait_for_a_heavy_one_in_their_order(store: GatedStore) -> None:
    heavy = Heavy(1)
    async with started(store) as streams:
        first = asyncio.create_task(streams.update("a", heavy, heavy=True))
        await until(heavy.begun.is_set)
        others = [asyncio.create_task(streams.update("a", observed(x))) for x in (2, 3)]
        last = asyncio.create_task(streams.update_many({"a": observed(4)}))
        await asyncio.sleep(0)
        heavy.may_end.set()
        counts = [(await task).count for task in (first, *others)]
        assert (counts, (await last)["a"].count) == ([1, 2, 3], 4)


async def test_a_look_during_a_heavy_change_sees_the_state_before(store: GatedStore) -> None:
    heavy = Heavy(1)
    async with started(store) as streams:
        await streams.update("a", observed(0))
        task = asyncio.create_task(streams.update("a", heavy, heavy=True))
        await until(heavy.begun.is_set)
        during = await streams.read("a", count)
        heavy.may_end.set()
        await task
        assert (during, await streams.read("a", count)) == (1, 2)


async def test_other_streams_do_not_wait_for_a_heavy_change(store: GatedStore) -> None:
    heavy = Heavy(1)
    async with started(store) as streams:
        task = asyncio.create_task(streams.update("a", heavy, heavy=True))
        await until(heavy.begun.is_set)
        assert (await streams.update("b", observed(1))).count == 1
        heavy.may_end.set()
        await task


async def test_a_heavy_change_nobody_waits_for_any_more_leaves_the_stream_to_others(store: GatedStore) -> None:
    heavy = Heavy(1)
    async with started(store) as streams:
        task = asyncio.create_task(streams.update("a", heavy, heavy=True))
        await until(heavy.begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        heavy.may_end.set()
        assert (await streams.update("a", observed(2))).count == 1


async def test_no_turn_is_kept_when_all_is_done(store: GatedStore) -> None:
    async with started(store) as streams:
        await streams.update_many({f"s-{n}": observed(n) for n in range(10)})
        assert not streams._turns  # noqa: SLF001 - what would leak


# When changes are kept


def test_every_second_leaves_time_for_the_commit_within_the_second_and_a_half_that_a_crash_may_lose() -> None:
    assert keeper.FLUSH_INTERVAL == 0.75


@pytest.mark.usefixtures("often")
async def test_every_second_what_changed_is_kept(store: GatedStore) -> None:
    async with started(store, "everysec") as streams:
        await streams.update("a", observed(1))
        await streams.update("b", observed(1))
        await until(lambda: kept(store, "b") == 1)
        await streams.update("a", observed(2))
        await until(lambda: kept(store, "a") == 2)
        assert store.saves[-1] == {"a"}


@pytest.mark.usefixtures("often")
async def test_with_no_durability_nothing_is_kept_before_the_end(store: GatedStore) -> None:
    async with started(store, "no") as streams:
        await streams.update("a", observed(1))
        await asyncio.sleep(0.05)
        assert store.saves == []
    assert kept(store, "a") == 1


async def test_with_always_an_answer_waits_for_the_commit(store: GatedStore) -> None:
    store.gate.clear()
    async with started(store, "always") as streams:
        task = asyncio.create_task(streams.update("a", observed(1)))
        await until(store.entered.is_set)
        await asyncio.sleep(0.02)
        assert not task.done()
        store.gate.set()
        await task
        assert kept(store, "a") == 1


async def test_with_always_answers_that_wait_share_a_commit(store: GatedStore) -> None:
    store.gate.clear()
    async with started(store, "always") as streams:
        first = asyncio.create_task(streams.update("first", observed(1)))
        await until(store.entered.is_set)
        rest = [asyncio.create_task(streams.update(f"s-{n}", observed(n))) for n in range(50)]
        await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(first, *rest)
    assert store.saves[:2] == [{"first"}, {f"s-{n}" for n in range(50)}]


async def test_with_always_a_change_during_a_commit_waits_for_the_next_one(store: GatedStore) -> None:
    store.gate.clear()
    async with started(store, "always") as streams:
        first = asyncio.create_task(streams.update("a", observed(1)))
        await until(store.entered.is_set)
        second = asyncio.create_task(streams.update("a", observed(2)))
        await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(first, second)
        assert kept(store, "a") == 2


async def test_with_always_nobody_who_waits_is_forgotten_when_it_stops(store: GatedStore) -> None:
    store.gate.clear()
    streams = Residents(store, DEFAULT, durability="always")
    await streams.start()
    first = asyncio.create_task(streams.update("a", observed(1)))
    await until(store.entered.is_set)
    second = asyncio.create_task(streams.update("b", observed(1)))
    stopping = asyncio.create_task(streams.stop())
    await asyncio.sleep(0.01)
    store.gate.set()
    async with asyncio.timeout(60):
        await asyncio.gather(first, second, stopping)
    assert (kept(store, "a"), kept(store, "b")) == (1, 1)


@pytest.mark.parametrize("durability", ["always", "everysec", "no"])
async def test_stopping_keeps_everything_and_closes_the_store(store: GatedStore, durability: Durability) -> None:
    async with started(store, durability) as streams:
        await streams.update_many({f"s-{n}": observed(n) for n in range(3000)})
    assert (store.count(), store.closed) == (3000, True)


async def test_stopping_waits_for_a_commit_that_runs(store: GatedStore) -> None:
    streams = Residents(store, DEFAULT, durability="always")
    await streams.start()
    store.gate.clear()
    task = asyncio.create_task(streams.update("a", observed(1)))
    await until(store.entered.is_set)
    stopping = asyncio.create_task(streams.stop())
    await asyncio.sleep(0.01)
    assert not store.closed
    store.gate.set()
    await asyncio.gather(task, stopping)
    assert store.saves == [{"a"}]


# Deletion


async def test_a_deleted_stream_is_gone_before_the_store_knows(store: GatedStore) -> None:
    store.save({"a": encode(Stream(DEFAULT))})
    async with started(store) as streams:
        await streams.delete("a")
        with pytest.raises(StreamNotFound):
            await streams.read("a", count)
        assert await streams.page("", "", 10) == []
    assert store.load("a") is None


async def test_a_deleted_stream_stays_deleted_while_it_is_saved(store: GatedStore) -> None:
    store.save({"a": encode(Stream(DEFAULT))})
    async with started(store) as streams:
        await streams.delete("a")
        store.gate.clear()
        flushing = asyncio.create_task(streams.flush())
        await until(store.entered.is_set)
        with pytest.raises(StreamNotFound):
            await streams.read("a", count)
        store.gate.set()
        await flushing


async def test_deleting_no_stream_is_told(store: GatedStore) -> None:
    async with started(store) as streams:
        await streams.update("a", observed(1))
        await streams.delete("a")
        with pytest.raises(StreamNotFound):
            await streams.delete("a")


async def test_a_stream_made_anew_after_its_deletion_is_kept(store: GatedStore) -> None:
    async with started(store) as streams:
        await streams.update("a", observed(1))
        await streams.flush()
        await streams.delete("a")
        assert (await streams.update("a", observed(2))).count == 1
    assert kept(store, "a") == 1


# Pages


async def test_a_page_has_what_is_in_memory_and_what_rests(store: GatedStore) -> None:
    blob = encode(Stream(DEFAULT))
    store.save({"b": blob, "d": blob, "gone": blob, "x": blob})
    async with started(store) as streams:
        for key in ("a", "d", "e"):
            await streams.update(key, observed(1))
        await streams.delete("gone")
        page = [(key, stream.count) for key, stream in await streams.page("", "", 4)]
        assert page == [("a", 1), ("b", 0), ("d", 1), ("e", 1)]
        assert [key for key, _ in await streams.page("", "b", 1)] == ["d"]
        assert [key for key, _ in await streams.page("x", "", 4)] == ["x"]


async def test_a_page_is_full_though_many_were_deleted(store: GatedStore) -> None:
    store.save({f"s-{n:02}": encode(Stream(DEFAULT)) for n in range(20)})
    async with started(store) as streams:
        for n in range(15):
            await streams.delete(f"s-{n:02}")
        assert [key for key, _ in await streams.page("", "", 3)] == ["s-15", "s-16", "s-17"]


async def test_listing_moves_nothing_into_memory(store: GatedStore) -> None:
    store.save({f"s-{n}": encode(Stream(DEFAULT)) for n in range(9)})
    async with started(store) as streams:
        await streams.page("", "", 100)
        assert not streams._streams  # noqa: SLF001 - what would grow


# When the store fails


@pytest.mark.usefixtures("often")
async def test_a_store_that_fails_is_told_and_keeps_the_changes_for_later(store: GatedStore) -> None:
    store.failing = True
    async with started(store, "everysec") as streams:
        await streams.update("a", observed(1))
        await until(lambda: streams._keeper.failure is not None)  # noqa: SLF001
        with pytest.raises(StoreUnavailable, match="disk is full"):
            streams.check()
        store.failing = False
        await until(lambda: kept(store, "a") == 1)
        streams.check()


@pytest.mark.usefixtures("often")
async def test_what_cannot_be_kept_is_not_taken(store: GatedStore) -> None:
    async with started(store, "everysec") as streams:
        await streams.update("a", observed(1))
        store.failing = True
        await streams.update("a", observed(2))
        await until(lambda: streams._keeper.failure is not None)  # noqa: SLF001
        with pytest.raises(StoreUnavailable, match="disk is full"):
            await streams.update("a", observed(3))
        store.failing = False
        assert (await streams.update("a", observed(4))).count == 3


@pytest.mark.usefixtures("often")
async def test_a_failure_is_logged_once_and_its_end_too(store: GatedStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    store.failing = True
    async with started(store, "everysec") as streams:
        await streams.update("a", observed(1))
        await until(lambda: store.attempts > 2)
        store.failing = False
        await until(lambda: bool(store.saves))
    assert caplog.messages == [
        "readings are refused, for they cannot be kept: the disk is full",
        "readings are kept again",
    ]


async def test_with_always_a_reading_that_cannot_be_kept_is_not_answered(store: GatedStore) -> None:
    async with started(store, "always") as streams:
        store.failing = True
        with pytest.raises(StoreUnavailable):
            await streams.update("a", observed(1, seq=1))
        store.failing = False
        again = await streams.update("a", observed(1, seq=1))
        assert (again.count, again.replayed) == (1, True)
        assert kept(store, "a") == 1


async def test_a_stop_that_cannot_save_is_told_and_closes_the_store(store: GatedStore) -> None:
    streams = Residents(store, DEFAULT, durability="no")
    await streams.start()
    await streams.update("a", observed(1))
    store.failing = True
    with pytest.raises(StoreUnavailable):
        await streams.stop()
    assert store.closed


# The real store


@pytest.mark.parametrize("durability", ["always", "everysec", "no"])
async def test_sqlite_gives_back_the_same_bits_after_a_stop(tmp_path: Path, durability: Durability) -> None:
    streams = Residents(SQLiteStore(tmp_path, synchronous="normal"), DEFAULT, durability=durability)
    await streams.start()
    for n in range(100):
        await streams.update(f"s-{n % 7}", observed(n / 3, seq=n))
    before = {key: encode(stream) for key, stream in await streams.page("", "", 10)}
    await streams.stop()
    store = SQLiteStore(tmp_path, synchronous="normal")
    assert {key: store.load(key) for key in before} == before
    store.close()


async def test_where_commits_cannot_keep_up_answers_wait_for_them(
    store: GatedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FLUSH_INTERVAL", 0.005)
    monkeypatch.setattr(keeper, "COMMIT_PATIENCE", 0.005)
    async with started(store, "everysec") as streams:
        store.gate.clear()
        await streams.update("a", observed(1))
        await until(lambda: streams._keeper.behind)  # noqa: SLF001
        assert streams.at_hand("a") is None
        waiting = asyncio.create_task(streams.update("a", observed(2)))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        store.gate.set()
        assert (await waiting).count == 2
        assert kept(store, "a") == 2
