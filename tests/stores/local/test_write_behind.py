"""Streams in memory that rest in a store: what changes, looks, deletions and pages do."""

from __future__ import annotations

import asyncio

import pytest

from streamnorm.engine.ports.stream_repository import Execution
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidReading, StoreCorrupt, StreamNotFound
from streamnorm.stores.codec import encode
from tests.support.gated_store import DEFAULT, GatedStore, count, kept, observed, refused, started, until

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
        for how in Execution:
            with pytest.raises(InvalidReading):
                await streams.update("a", refused, how=how)
        assert await streams.page("", "", 10) == []


@pytest.mark.parametrize("how", [Execution.ON_COPY, Execution.IN_THREAD])
async def test_a_change_on_a_copy_that_fails_leaves_the_stream_as_it_was(store: GatedStore, how: Execution) -> None:
    async with started(store) as streams:
        await streams.update("a", observed(1))
        before = await streams.read("a", encode)
        with pytest.raises(InvalidReading):
            await streams.update("a", refused, how=how)
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
