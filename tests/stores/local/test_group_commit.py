"""What is kept of streams in memory, when, and what happens when it cannot be."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from streamnorm.engine.ports.stream_repository import Durability
from streamnorm.errors import StoreUnavailable
from streamnorm.stores.codec import encode
from streamnorm.stores.local import group_commit
from streamnorm.stores.local.sqlite import SQLiteStore
from streamnorm.stores.local.write_behind import WriteBehindStreams
from tests.support.gated_store import DEFAULT, GatedStore, count, kept, observed, started, until

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
        await until(lambda: streams._committer.failure is None)  # noqa: SLF001
        streams.check()
        assert kept(store, "a") == 1


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
        "readings are rejected, they cannot be persisted: the disk is full",
        "readings are persisted again",
    ]


@pytest.mark.parametrize("seq", [1, None])
async def test_with_always_a_reading_that_cannot_be_kept_has_not_happened(store: GatedStore, seq: int | None) -> None:
    async with started(store, "always") as streams:
        store.failing = True
        with pytest.raises(StoreUnavailable):
            await streams.update("a", observed(1, seq=seq))
        assert streams.peek("a") is None
        assert streams.stats().resident == 0
        store.failing = False
        again = await streams.update("a", observed(1, seq=seq))
        assert (again.count, again.replayed) == (1, False)
        assert kept(store, "a") == 1


async def test_with_always_all_readings_that_wait_for_a_failing_commit_are_rolled_back(store: GatedStore) -> None:
    async with started(store, "always") as streams:
        await streams.update("a", observed(1))
        before = await streams.read("a", encode)
        store.gate.clear()
        store.entered.clear()
        waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(streams.update("a", observed(x))) for x in (2, 3)]
        await until(store.entered.is_set)
        # these are computed from what is being saved, and wait for the commit after it
        waiting += [asyncio.ensure_future(streams.update(key, observed(4))) for key in ("a", "b")]
        waiting.append(asyncio.ensure_future(streams.update_many({"a": observed(5), "c": observed(5)})))
        await asyncio.sleep(0)
        store.failing = True
        store.gate.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
        assert await streams.read("a", encode) == before
        assert [key for key, _ in await streams.page("", "", 10)] == ["a"]
        store.failing = False
        assert (await streams.update("a", observed(6))).count == 2
        assert (kept(store, "a"), kept(store, "b"), kept(store, "c")) == (2, None, None)


async def test_with_always_a_deletion_that_cannot_be_kept_is_rolled_back(store: GatedStore) -> None:
    async with started(store, "always") as streams:
        await streams.update("a", observed(1))
        store.failing = True
        with pytest.raises(StoreUnavailable):
            await streams.delete("a")
        assert await streams.read("a", count) == 1
        store.failing = False
        await streams.flush()
        assert kept(store, "a") == 1


async def test_a_refusal_that_rests_on_what_is_not_kept_waits_for_its_commit(store: GatedStore) -> None:
    async with started(store, "always") as streams:
        await streams.update("a", observed(1, seq=1))
        store.gate.clear()
        first = asyncio.create_task(streams.update("a", observed(3, seq=3)))
        await until(lambda: streams._committer.in_flight == {"a"})  # noqa: SLF001
        late = asyncio.create_task(streams.update("a", observed(2, seq=2)))
        await asyncio.sleep(0.02)
        assert not late.done()
        store.failing = True
        store.gate.set()
        for refused_one in (first, late):  # not "stale": number 3 has not happened
            with pytest.raises(StoreUnavailable):
                await refused_one
        store.failing = False


@pytest.mark.usefixtures("often")
async def test_where_answers_wait_for_commits_that_fail_what_was_answered_before_stays(
    store: GatedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "SLOW_COMMIT", 0.005)
    async with started(store, "everysec") as streams:
        store.gate.clear()
        await streams.update("a", observed(1))
        await until(lambda: streams._committer.backpressure)  # noqa: SLF001
        waiting = asyncio.create_task(streams.update("a", observed(2)))
        await asyncio.sleep(0)
        assert await streams.read("a", count) == 2
        store.failing = True
        store.gate.set()
        with pytest.raises(StoreUnavailable):
            await waiting
        assert await streams.read("a", count) == 1
        store.failing = False
        await until(lambda: kept(store, "a") == 1)


async def test_more_streams_than_a_batch_are_one_transaction_where_answers_wait_for_it(store: GatedStore) -> None:
    each = {f"s-{n}" for n in range(2 * group_commit.BATCH + 1)}
    async with started(store, "always") as streams:
        await streams.update_many(dict.fromkeys(each, observed(1)))
        assert store.saves == [each]


async def test_who_gives_up_waiting_for_a_flush_does_not_cut_the_commit_off(store: GatedStore) -> None:
    async with started(store) as streams:
        await streams.update("a", observed(1))
        store.gate.clear()
        flushing = asyncio.create_task(streams.flush())
        await until(store.entered.is_set)
        flushing.cancel()
        await asyncio.gather(flushing, return_exceptions=True)
        again = asyncio.create_task(streams.flush())
        await asyncio.sleep(0.02)
        assert (streams._committer.in_flight, store.attempts) == ({"a"}, 1)  # noqa: SLF001
        store.gate.set()
        await again


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
