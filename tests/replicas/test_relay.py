"""A subscriber at one replica sees what every replica observes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from streamnorm.events.event import ReadingEvent, numbers
from streamnorm.events.hub import EventHub
from tests.support.http_calls import Api, running

Two = tuple[Api, Api]


@pytest.fixture
async def two(url: str, prefix: str) -> AsyncIterator[Two]:
    """Yield two replicas."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(url, store_prefix=prefix))
        second = await stack.enter_async_context(running(url, store_prefix=prefix))
        yield first, second


def hub(api: Api) -> EventHub:
    """Return a replica's hub."""
    found: EventHub = api.app.state.context.events
    return found


async def until(seen: Callable[[], object], do: Callable[[], Awaitable[object]]) -> None:
    """Do something again and again until it is seen: nobody is told when a note of what is wanted has arrived."""
    async with asyncio.timeout(30):
        while not seen():
            await do()
            await asyncio.sleep(0.1)


async def test_readings_at_one_replica_are_seen_at_the_other(two: Two) -> None:
    first, second = two
    with hub(second).subscribe() as seen:
        await until(lambda: seen.rows, lambda: first.observe("boiler-7", {"values": {"temp": 21.4}}))
        row = seen.rows[-1]
        known = hub(first).past("boiler-7")
    assert (row.stream, row.names) == ("boiler-7", ("temp",))
    assert row in known
    assert hub(second).past("boiler-7")[-1] == row


async def test_only_what_is_wanted_is_sent(two: Two) -> None:
    first, second = two

    async def both() -> None:
        await first.observe("b", {"values": {"x": 1.0}})
        await first.observe("a", {"values": {"x": 1.0}})

    with hub(second).subscribe(frozenset("a")) as seen:
        await until(lambda: len(seen.rows) > 2, both)
    assert {row.stream for row in seen.rows} == {"a"}
    assert hub(second).past("b") == []


async def test_a_glance_sees_the_latest_row_of_every_stream_under_its_prefix(two: Two) -> None:
    first, second = two
    streams = [f"s-{number}" for number in range(30)]

    async def all_of_them() -> None:
        for stream in [*streams, "other"]:
            await first.observe(stream, {"values": {"x": 1.0}})

    def glanced() -> set[str]:
        return {row.stream for row in hub(second).latest(0)}

    with hub(second).subscribe(frozenset(), glance="s-"):
        await until(lambda: glanced() >= set(streams), all_of_them)
        assert "other" not in glanced()
        assert all(len(hub(second).past(stream)) <= len(hub(first).past(stream)) for stream in streams)


async def test_where_nobody_watches_nothing_is_sent(two: Two) -> None:
    first, second = two
    with hub(second).subscribe() as seen:
        await until(lambda: seen.rows, lambda: first.observe("a", {"values": {"x": 1.0}}))
    await until(lambda: not hub(first).subscriptions, lambda: asyncio.sleep(0))
    before = hub(second).number
    await first.observe("a", {"values": {"x": 1.0}})
    await asyncio.sleep(0.2)
    assert hub(second).number == before


async def test_what_was_relayed_is_not_relayed_back(two: Two) -> None:
    first, second = two
    with hub(first).subscribe() as own, hub(second).subscribe() as seen:
        await until(lambda: len(seen.rows) > 3, lambda: first.observe("a", {"values": {"x": 1.0}}))
        await asyncio.sleep(0.2)
        counts = [row.event()["count"] for row in own.rows]
    assert counts == sorted(set(counts))


def row(count: int, time: float) -> ReadingEvent:
    """Build a row of one feature."""
    return ReadingEvent("a", ("x",), numbers(5).pack(time, count, 1.0, 0.0, 0.0))


def test_a_row_that_comes_late_is_left_out_and_one_after_a_reset_is_not() -> None:
    heard = EventHub(lambda _: None)
    for count, time in ((10, 1.0), (11, 2.0), (10, 1.0), (12, 3.0), (1, 4.0)):
        heard.take(row(count, time))
    assert [each.event()["count"] for each in heard.past("a")] == [1]
