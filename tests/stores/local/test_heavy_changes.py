"""Changes that run in another thread: who waits for them, and what is seen meanwhile."""

from __future__ import annotations

import asyncio
import threading

import pytest

from streamnorm.engine.ports.stream_repository import Execution
from streamnorm.engine.reading import Answer
from streamnorm.engine.streams.stream import Stream
from tests.support.gated_store import GatedStore, count, observed, started, until


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
        first = asyncio.create_task(streams.update("a", heavy, how=Execution.IN_THREAD))
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
        task = asyncio.create_task(streams.update("a", heavy, how=Execution.IN_THREAD))
        await until(heavy.begun.is_set)
        during = await streams.read("a", count)
        heavy.may_end.set()
        await task
        assert (during, await streams.read("a", count)) == (1, 2)


async def test_other_streams_do_not_wait_for_a_heavy_change(store: GatedStore) -> None:
    heavy = Heavy(1)
    async with started(store) as streams:
        task = asyncio.create_task(streams.update("a", heavy, how=Execution.IN_THREAD))
        await until(heavy.begun.is_set)
        assert (await streams.update("b", observed(1))).count == 1
        heavy.may_end.set()
        await task


async def test_a_stream_that_is_worked_on_is_not_at_hand(store: GatedStore) -> None:
    heavy = Heavy(1)
    async with started(store) as streams:
        await streams.update("a", observed(0))
        task = asyncio.create_task(streams.update("a", heavy, how=Execution.IN_THREAD))
        await until(heavy.begun.is_set)
        assert streams.get_for_inline_update("a") is None
        heavy.may_end.set()
        await task
        assert streams.get_for_inline_update("a") is not None


async def test_a_heavy_change_nobody_waits_for_any_more_leaves_the_stream_to_others(store: GatedStore) -> None:
    heavy = Heavy(1)
    async with started(store) as streams:
        task = asyncio.create_task(streams.update("a", heavy, how=Execution.IN_THREAD))
        await until(heavy.begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        heavy.may_end.set()
        assert (await streams.update("a", observed(2))).count == 1


async def test_no_turn_is_kept_when_all_is_done(store: GatedStore) -> None:
    async with started(store) as streams:
        await streams.update_many({f"s-{n}": observed(n) for n in range(10)})
        assert not streams._locks  # noqa: SLF001 - what would leak
