"""Streams that are changed and kept inline: without a task, and with `always` without another thread."""

from __future__ import annotations

import asyncio
import math

import pytest

from streamnorm.engine.configuration.rules import Rules, parse_rule
from streamnorm.engine.ports.stream_repository import Durability
from streamnorm.engine.streams.rulebook import Rulebook
from streamnorm.errors import InvalidReading, LimitExceeded, StoreUnavailable
from streamnorm.stores.codec import encode
from streamnorm.stores.local import group_commit, resident_set
from streamnorm.stores.local.write_behind import WriteBehindStreams
from tests.support.gated_store import DEFAULT, GatedStore, count, kept, observed, refused, started, until


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every commit for a quick one."""
    monkeypatch.setattr(group_commit, "QUICK_COMMIT", math.inf)


def observe_inline(streams: WriteBehindStreams, x: float, name: str = "a") -> None:
    """Observe a reading inline."""
    stream = streams.get_for_inline_update(name)
    assert stream is not None
    observed(x)(stream)
    streams.commit_inline(name, stream)


def known(streams: WriteBehindStreams) -> int:
    """Return how many streams there are."""
    return streams.stats().resident + streams.stats().evicted


async def test_a_resident_stream_is_changed_inline_and_committed_later(store: GatedStore) -> None:
    async with started(store) as streams:
        await streams.update("a", observed(1))
        await streams.flush()
        observe_inline(streams, 2)
        assert kept(store, "a") == 1
    assert kept(store, "a") == 2


async def test_to_get_a_stream_for_an_inline_update_changes_nothing(store: GatedStore) -> None:
    async with started(store) as streams:
        await streams.update("a", observed(1))
        await streams.flush()
        commits = streams.stats().commits
        assert streams.get_for_inline_update("a") is not None
        await streams.flush()
        assert streams.stats().commits == commits


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("durability", ["no", "always"])
async def test_an_evicted_stream_is_loaded_and_changed_inline(store: GatedStore, durability: Durability) -> None:
    async with started(store, durability) as streams:
        await streams.update("a", observed(1))
        streams._residents._max_resident = 1  # noqa: SLF001 - the least that there may be
        await streams.flush()
        await streams.update("b", observed(1))
        await streams.flush()
        assert (streams.peek("a"), known(streams)) == (None, 2)
        observe_inline(streams, 2)
        assert (await streams.read("a", count), streams.peek("b"), known(streams)) == (2, None, 2)
    assert kept(store, "a") == 2


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("durability", ["no", "everysec", "always"])
async def test_a_new_stream_is_made_inline(store: GatedStore, durability: Durability) -> None:
    async with started(store, durability) as streams:
        await streams.update("b", observed(1))
        await streams.flush()
        observe_inline(streams, 1)
        assert (kept(store, "a"), await streams.read("a", count)) == (1 if durability == "always" else None, 1)
        await asyncio.sleep(0)
        observe_inline(streams, 2)
        assert (await streams.read("a", count), known(streams)) == (2, 2)
    assert kept(store, "a") == 2


async def test_a_new_stream_that_refuses_its_first_reading_is_not_made(store: GatedStore) -> None:
    async with started(store) as streams:
        stream = streams.get_for_inline_update("a")
        assert stream is not None
        with pytest.raises(InvalidReading):
            refused(stream)
        assert (streams.peek("a"), known(streams)) == (None, 0)
        observe_inline(streams, 1)
        assert await streams.read("a", count) == 1


async def test_a_new_stream_has_the_plan_that_rules_want(store: GatedStore) -> None:
    async with started(store) as streams:
        await streams.apply_rules(Rulebook(DEFAULT, Rules((parse_rule({"streams": "a", "warmup": 5}),))))
        observe_inline(streams, 1)
        observe_inline(streams, 1, "b")
        assert await streams.read("a", lambda stream: stream.plan.warmup) == 5
        assert await streams.read("b", lambda stream: stream.plan.warmup) == DEFAULT.warmup


async def test_a_new_stream_whose_rules_do_not_go_together_is_for_update_to_refuse(store: GatedStore) -> None:
    rules = [parse_rule({"streams": "a", **one}) for one in ({"method": "streaming"}, {"transform": "circular"})]
    async with started(store) as streams:
        await streams.apply_rules(Rulebook(DEFAULT, Rules(tuple(rules))))
        assert streams.get_for_inline_update("a") is None
        assert streams.get_for_inline_update("b") is not None


async def test_one_stream_too_many_is_for_update_to_refuse(store: GatedStore) -> None:
    async with started(store) as streams:
        streams._residents._max_streams = 1  # noqa: SLF001 - the least that there may be
        observe_inline(streams, 1)
        assert streams.get_for_inline_update("b") is None
        with pytest.raises(LimitExceeded):
            await streams.update("b", observed(1))
        await streams.delete("a")
        observe_inline(streams, 1, "b")


async def test_where_only_a_commit_makes_room_no_stream_is_made_inline(store: GatedStore) -> None:
    async with started(store) as streams:
        streams._residents._max_resident = 1  # noqa: SLF001 - the least that there may be
        observe_inline(streams, 1)
        assert streams.get_for_inline_update("b") is None
        await streams.flush()
        observe_inline(streams, 1, "b")
        assert (streams.peek("a"), known(streams)) == (None, 2)


@pytest.mark.parametrize("durability", ["no", "everysec"])
async def test_a_stream_whose_deletion_is_not_saved_yet_is_made_anew(store: GatedStore, durability: Durability) -> None:
    async with started(store, durability) as streams:
        await streams.update("a", observed(1))
        await streams.update("a", observed(2))
        await streams.flush()
        await streams.delete("a")
        observe_inline(streams, 3)
        assert (await streams.read("a", count), known(streams)) == (1, 1)
    assert kept(store, "a") == 1


async def test_a_stream_that_cannot_be_loaded_is_for_update_to_tell(store: GatedStore) -> None:
    store.save({"a": b"no stream"})
    async with started(store) as streams:
        assert streams.get_for_inline_update("a") is None
        assert known(streams) == 1


async def test_a_stream_that_is_being_made_is_not_made_inline(store: GatedStore) -> None:
    async with started(store) as streams, streams._locks.acquire(["a"]):  # noqa: SLF001 - what a heavy change holds
        assert streams.get_for_inline_update("a") is None


@pytest.mark.usefixtures("quick")
async def test_a_change_that_must_be_durable_is_committed_inline(store: GatedStore) -> None:
    async with started(store, "always") as streams:
        await streams.update("a", observed(1))
        commits = streams.stats().commits
        observe_inline(streams, 2)
        assert (kept(store, "a"), await streams.read("a", count)) == (2, 2)
        assert streams.stats().commits == commits + 1
        assert streams.stats().lag == 0.0


@pytest.mark.usefixtures("quick")
async def test_streams_whose_changes_are_all_committed_inline_are_packed(
    store: GatedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident_set, "MAX_UNPACKED", 5)
    monkeypatch.setattr(group_commit, "BATCH", 100)
    async with started(store, "always") as streams:
        await streams.update("room-0", observed(0))
        for n in range(1, 100):
            observe_inline(streams, n, f"room-{n}")
            await asyncio.sleep(0)
        await until(lambda: streams.peek("room-0") is None)
        assert (known(streams), streams.stats().resident) == (100, 100)


@pytest.mark.usefixtures("quick")
async def test_changes_in_the_same_turn_of_the_loop_have_a_common_commit(store: GatedStore) -> None:
    async with started(store, "always") as streams:
        await streams.update("a", observed(1))
        observe_inline(streams, 2)
        assert streams.get_for_inline_update("a") is None
        await asyncio.sleep(0)
        observe_inline(streams, 3)
        assert kept(store, "a") == 3


@pytest.mark.usefixtures("quick")
async def test_no_inline_commit_overtakes_another_one(store: GatedStore) -> None:
    async with started(store, "always") as streams:
        await streams.update("a", observed(1))
        store.gate.clear()
        store.entered.clear()
        waiting = [asyncio.create_task(streams.update("a", observed(2)))]
        await asyncio.sleep(0)
        assert streams.get_for_inline_update("a") is None  # it waits for a commit
        await until(store.entered.is_set)
        assert streams.get_for_inline_update("a") is None  # it is being committed
        waiting.append(asyncio.create_task(streams.update("b", observed(1))))
        await asyncio.sleep(0)
        store.gate.set()
        await asyncio.gather(*waiting)
        observe_inline(streams, 3)
        assert kept(store, "a") == 3


async def test_where_commits_are_slow_none_is_made_inline(store: GatedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "QUICK_COMMIT", 0.0)
    async with started(store, "always") as streams:
        await streams.update("a", observed(1))
        assert streams.get_for_inline_update("a") is None


@pytest.mark.usefixtures("quick")
async def test_an_inline_commit_that_fails_changes_nothing(store: GatedStore) -> None:
    async with started(store, "always") as streams:
        await streams.update("a", observed(1))
        before = await streams.read("a", encode)
        store.failing = True
        with pytest.raises(StoreUnavailable):
            observe_inline(streams, 2)
        assert (await streams.read("a", encode), kept(store, "a")) == (before, 1)
        with pytest.raises(StoreUnavailable):
            await streams.update("a", observed(2))
        await asyncio.sleep(0)
        assert streams.get_for_inline_update("a") is None  # until a commit succeeds
        store.failing = False
        await until(lambda: streams.get_for_inline_update("a") is not None)
        observe_inline(streams, 2)
        assert kept(store, "a") == 2


@pytest.mark.usefixtures("quick")
async def test_a_new_stream_whose_inline_commit_fails_is_not_made(store: GatedStore) -> None:
    async with started(store, "always") as streams:
        await streams.update("b", observed(1))
        store.failing = True
        with pytest.raises(StoreUnavailable):
            observe_inline(streams, 1)
        assert (streams.peek("a"), known(streams)) == (None, 1)
        store.failing = False
