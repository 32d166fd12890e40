"""Nobody who works on several streams waits for ever, and nothing that is worked on expires."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from streamnorm.engine.ports.blob_store import BlobStore
from streamnorm.engine.ports.stream_repository import Execution
from streamnorm.engine.streams.stream import Stream
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.sqlite import SQLiteStore
from streamnorm.stores.local.write_behind import WriteBehindStreams
from tests.support.gated_store import DEFAULT, GatedStore, count, kept, observed, until


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time it was set to."""
        return self.now


def held_up(go_on: threading.Event, begun: threading.Event, *stream_ids: str) -> Callable[[Mapping[str, Stream]], int]:
    """Build a change of streams that waits until it may go on."""

    def change(drafts: Mapping[str, Stream]) -> int:
        begun.set()
        assert go_on.wait(60)
        return sum(observed(1.0)(drafts[stream_id]).count for stream_id in stream_ids)

    return change


async def test_changes_of_the_same_streams_in_another_order_do_not_wait_for_each_other() -> None:
    go_on, begun = threading.Event(), threading.Event()
    free = threading.Event()
    free.set()
    streams = WriteBehindStreams(MemoryStore(), DEFAULT, durability="no")
    holder = asyncio.create_task(streams.update_together("a", held_up(go_on, begun, "a"), how=Execution.IN_THREAD))
    await until(begun.is_set)
    others = [
        asyncio.create_task(streams.update_together(each, held_up(free, free, *each), how=Execution.IN_THREAD))
        for each in ("ab", "ba")
    ]
    await asyncio.sleep(0)
    go_on.set()
    async with asyncio.timeout(60):
        assert await asyncio.gather(holder, *others) == [1, 3, 5]


async def test_a_stream_that_is_worked_on_does_not_expire() -> None:
    clock, go_on, begun = Clock(), threading.Event(), threading.Event()
    streams = WriteBehindStreams(MemoryStore(clock), DEFAULT, durability="no", ttl=3600.0, clock=clock)
    await streams.start()
    await streams.update("a", observed(1.0))
    await streams.update("b", observed(1.0))
    await streams.flush()
    clock.now += 3601.0
    work = asyncio.create_task(streams.update_together("a", held_up(go_on, begun, "a"), how=Execution.IN_THREAD))
    await until(begun.is_set)
    await streams.expire()
    go_on.set()
    assert await work == 2
    assert await streams.read("a", count) == 2
    assert streams.peek("b") is None
    await streams.stop()


async def test_the_lag_counts_from_the_beginning_of_the_last_commit() -> None:
    clock, store = Clock(), GatedStore()
    streams = WriteBehindStreams(store, DEFAULT, durability="no", clock=clock)
    await streams.start()
    await streams.update("a", observed(1.0))
    store.gate.clear()
    flushing = asyncio.create_task(streams.flush())
    await until(store.entered.is_set)
    clock.now += 20.0
    await streams.update("b", observed(1.0))
    store.gate.set()
    await flushing
    assert (kept(store, "a"), kept(store, "b")) == (1, None)
    assert streams.stats().lag == 20.0
    await streams.stop()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_streams_that_were_saved_longest_ago_are_idle_first(tmp_path: Path, kind: str) -> None:
    clock = Clock()
    made: BlobStore = (
        MemoryStore(clock) if kind == "memory" else SQLiteStore(tmp_path, synchronous="normal", clock=clock)
    )
    with closing(made) as store:
        for stream_id in "abc":
            store.save({stream_id: b"state"})
            clock.now += 1.0
        store.save({"a": b"later"})
        assert store.idle(1001.0, 10) == []
        assert store.idle(1002.0, 10) == ["b"]
        assert store.idle(2000.0, 2) == ["b", "c"]
