"""Several streams of a shared store are changed as a whole or not at all, whatever other replicas do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from streamnorm.engine.ports.stream_repository import Execution
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidReading, ShapeMismatch, StaleSequence
from streamnorm.stores.codec import encode
from streamnorm.stores.redis.cas_batch import Entry
from streamnorm.stores.redis.streams import SharedStreams
from tests.support.replicas import Start, count, observing


def observing_all(x: object) -> Callable[[Mapping[str, Stream]], list[int]]:
    """Return the one change that observes a reading into each of several streams, and answers their counts."""
    return lambda drafts: [observing(x)(draft).count for draft in drafts.values()]


def interrupted(replica: SharedStreams, at: str, meanwhile: Callable[[], Awaitable[object]]) -> None:
    """Have something happen once, just before a replica writes a stream."""
    exchange = replica._writer.compare_and_set  # noqa: SLF001 - the moment between reading and writing can be met nowhere else

    async def late(stream_id: str, *rest: object) -> bool:
        if stream_id == at:
            replica._writer.compare_and_set = exchange  # type: ignore[method-assign]  # noqa: SLF001
            await meanwhile()
        return await exchange(stream_id, *rest)  # type: ignore[arg-type]

    replica._writer.compare_and_set = late  # type: ignore[assignment, method-assign]  # noqa: SLF001


@pytest.mark.parametrize("how", [Execution.ON_COPY, Execution.IN_THREAD])
async def test_one_change_of_several_streams_makes_them_and_changes_them(start: Start, how: Execution) -> None:
    first, second = await start(), await start()
    await second.update("b", observing(1.0))
    assert await first.update_together(["c", "a", "b"], observing_all(2.0), how=how) == [1, 1, 2]
    assert [await count(second, stream) for stream in "abc"] == [1, 2, 1]


async def test_one_change_of_several_streams_that_is_refused_changes_none(start: Start) -> None:
    first = await start()
    await first.update("b", observing(1.0))
    before = await first.read("b", encode)
    with pytest.raises(InvalidReading):
        await first.update_together(["a", "b"], observing_all([[1.0, 2.0]]))
    assert [stream for stream, _ in await first.page("", "", 10)] == ["b"]
    assert await first.read("b", encode) == before


async def test_one_change_of_several_streams_is_made_anew_where_another_replica_was_quicker(start: Start) -> None:
    first, second = await start(), await start()
    await first.update("a", observing(1.0))
    interrupted(first, "b", lambda: second.update("b", observing(5.0)))
    assert await first.update_together(["a", "b"], observing_all(2.0)) == [2, 2]
    assert [await count(second, stream) for stream in "ab"] == [2, 2]


async def test_a_change_that_another_replica_built_on_is_not_made_twice(start: Start) -> None:
    first, second = await start(), await start()
    await first.update_many({stream: observing(1.0) for stream in "ab"})
    roll_back = first._writer.roll_back  # noqa: SLF001 - as above

    async def too_late(written: Mapping[str, tuple[Entry, Stream]]) -> set[str]:
        assert (await second.update("a", observing(7.0))).count == 3
        return await roll_back(written)

    first._writer.roll_back = too_late  # type: ignore[method-assign]  # noqa: SLF001
    interrupted(first, "b", lambda: second.update("b", observing(5.0)))
    assert await first.update_together(["a", "b"], observing_all(2.0)) == [2, 3]
    assert [await count(second, stream) for stream in "ab"] == [3, 3]


async def test_one_change_of_several_streams_loses_none_of_two_replicas(start: Start) -> None:
    replicas, streams = [await start(), await start()], [f"s-{n}" for n in range(10)]
    await asyncio.gather(*(at.update_together(streams, observing_all(float(n))) for n in range(10) for at in replicas))
    assert [await count(replicas[0], stream) for stream in streams] == [20] * 10


async def test_changes_of_many_streams_are_all_applied(start: Start) -> None:
    first, second = await start(), await start()
    streams = [f"s-{n}" for n in range(40)]
    for n in range(3):
        await asyncio.gather(*(at.update_many({s: observing(n) for s in streams}) for at in (first, second)))
    assert [await count(first, stream) for stream in streams] == [6] * 40


async def test_one_refused_of_many_leaves_all_as_they_were(start: Start) -> None:
    first = await start()
    await first.update("b", observing(1.0))
    with pytest.raises(ShapeMismatch):
        await first.update_many({"a": observing(1.0), "b": observing([[1.0, 2.0]]), "c": observing(1.0)})
    assert [stream for stream, _ in await first.page("", "", 10)] == ["b"]
    assert await count(first, "b") == 1


async def test_one_refused_by_what_another_replica_just_did_is_undone_everywhere(start: Start) -> None:
    first, second = await start(), await start()
    await first.update("a", observing(1.0))
    interrupted(first, "b", lambda: second.update("b", observing(5.0, 9)))
    with pytest.raises(StaleSequence):
        await first.update_many({"a": observing(2.0), "b": observing(1.0, 5)})
    assert (await count(second, "a"), await count(second, "b")) == (1, 1)
