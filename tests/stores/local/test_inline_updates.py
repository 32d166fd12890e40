"""Streams that are changed and kept inline: without a task, and with `always` without another thread."""

from __future__ import annotations

import asyncio
import math

import pytest

from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StoreUnavailable
from streamnorm.stores.codec import encode
from streamnorm.stores.local import group_commit
from streamnorm.stores.local.write_behind import WriteBehindStreams
from tests.support.gated_store import DEFAULT, GatedStore, count, kept, observed, started, until


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every commit for a quick one."""
    monkeypatch.setattr(group_commit, "QUICK_COMMIT", math.inf)


def observe_inline(streams: WriteBehindStreams, x: float) -> None:
    """Observe a reading inline."""
    stream = streams.get_for_inline_update("a")
    assert stream is not None
    observed(x)(stream)
    streams.commit_inline("a", stream)


async def test_a_resident_stream_is_changed_inline_and_committed_later(store: GatedStore) -> None:
    async with started(store) as streams:
        assert streams.get_for_inline_update("a") is None
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


async def test_an_evicted_stream_is_not_changed_inline(store: GatedStore) -> None:
    store.save({"a": encode(Stream(DEFAULT))})
    async with started(store) as streams:
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
