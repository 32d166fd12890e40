"""What is kept of streams in memory, when, and what happens when it cannot be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamnorm.errors import StoreUnavailable
from streamnorm.stores.codec import encode
from streamnorm.stores.local import group_commit
from streamnorm.stores.local.group_commit import Durability
from streamnorm.stores.local.sqlite import SQLiteStore
from streamnorm.stores.local.write_behind import WriteBehindStreams
from tests.support.gated_store import DEFAULT, GatedStore, kept, observed, started, until

# When changes are kept


def test_every_second_leaves_time_for_the_commit_within_the_second_and_a_half_that_a_crash_may_lose() -> None:
    assert group_commit.FLUSH_INTERVAL == 0.75


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
    streams = WriteBehindStreams(store, DEFAULT, durability="always")
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
    streams = WriteBehindStreams(store, DEFAULT, durability="always")
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


# When the store fails


@pytest.mark.usefixtures("often")
async def test_a_store_that_fails_is_told_and_keeps_the_changes_for_later(store: GatedStore) -> None:
    store.failing = True
    async with started(store, "everysec") as streams:
        await streams.update("a", observed(1))
        await until(lambda: streams._committer.failure is not None)  # noqa: SLF001
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
        await until(lambda: streams._committer.failure is not None)  # noqa: SLF001
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
    streams = WriteBehindStreams(store, DEFAULT, durability="no")
    await streams.start()
    await streams.update("a", observed(1))
    store.failing = True
    with pytest.raises(StoreUnavailable):
        await streams.stop()
    assert store.closed


# The real store


@pytest.mark.parametrize("durability", ["always", "everysec", "no"])
async def test_sqlite_gives_back_the_same_bits_after_a_stop(tmp_path: Path, durability: Durability) -> None:
    streams = WriteBehindStreams(SQLiteStore(tmp_path, synchronous="normal"), DEFAULT, durability=durability)
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
    monkeypatch.setattr(group_commit, "FLUSH_INTERVAL", 0.005)
    monkeypatch.setattr(group_commit, "SLOW_COMMIT", 0.005)
    async with started(store, "everysec") as streams:
        store.gate.clear()
        await streams.update("a", observed(1))
        await until(lambda: streams._committer.backpressure)  # noqa: SLF001
        assert streams.get_for_inline_update("a") is None
        waiting = asyncio.create_task(streams.update("a", observed(2)))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        store.gate.set()
        assert (await waiting).count == 2
        assert kept(store, "a") == 2
