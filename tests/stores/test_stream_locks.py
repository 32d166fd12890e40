"""Locks of streams: one holder at a time, first come, first served, and none left behind."""

from __future__ import annotations

import asyncio

from streamnorm.stores.stream_locks import StreamLocks


class Users:
    """Tasks that hold locks until they are told to go on; `held` are those that got them, in order."""

    def __init__(self) -> None:
        self.locks = StreamLocks()
        self.held: list[str] = []
        self.goes: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, name: str, *ids: str) -> None:
        """Have a task of this name acquire the locks."""
        self.goes[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._use(name, ids))
        await turns()

    async def end(self, name: str) -> None:
        """Have a task release its locks."""
        self.goes[name].set()
        await turns()

    async def cancel(self, name: str) -> None:
        """Cancel a task."""
        self.tasks[name].cancel()
        await turns()

    async def _use(self, name: str, ids: tuple[str, ...]) -> None:
        async with self.locks.acquire(ids):
            self.held.append(name)
            await self.goes[name].wait()


async def turns() -> None:
    """Let the event loop run until nobody can go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_waits_gets_a_lock_in_the_order_of_coming() -> None:
    users = Users()
    for name in ("first", "second", "third"):
        await users.begin(name, "boiler")
    assert users.held == ["first"]
    await users.end("first")
    assert users.held == ["first", "second"]
    await users.begin("fourth", "boiler")
    await users.end("second")
    await users.end("third")
    assert users.held == ["first", "second", "third", "fourth"]
    await users.end("fourth")
    assert not users.locks


async def test_nobody_passes_who_was_handed_a_lock() -> None:
    users = Users()
    await users.begin("first", "boiler")
    await users.begin("second", "boiler")
    users.goes["first"].set()
    await asyncio.sleep(0)  # the first has released it, the second has not gone on
    await users.begin("third", "boiler")
    assert users.held == ["first", "second"]


async def test_several_locks_are_held_together() -> None:
    users = Users()
    await users.begin("one", "boiler")
    await users.begin("both", "boiler", "pump")
    await users.begin("other", "pump")
    assert users.held == ["one", "other"]
    assert "pump" in users.locks
    await users.end("one")
    await users.end("other")
    assert users.held == ["one", "other", "both"]
    await users.end("both")
    assert not users.locks


async def test_who_is_cancelled_waits_no_more() -> None:
    users = Users()
    for name in ("first", "second", "third"):
        await users.begin(name, "air", "boiler")
    await users.cancel("second")
    await users.end("first")
    assert users.held == ["first", "third"]
    await users.cancel("third")
    assert not users.locks


async def test_a_lock_handed_to_who_is_cancelled_goes_on_to_the_next() -> None:
    users = Users()
    for name in ("first", "second", "third"):
        await users.begin(name, "boiler")
    users.goes["first"].set()
    await asyncio.sleep(0)  # the first has released it, the second has not gone on
    users.tasks["second"].cancel()
    await turns()
    assert users.held == ["first", "third"]
    await users.end("third")
    assert not users.locks
