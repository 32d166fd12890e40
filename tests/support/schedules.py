"""A deterministic scheduler: calls of streams are begun, and their hops to other threads ended, in any order asked for.

Nothing runs in another thread here. What would (a heavy change, a commit) is a *hop*, which ends when the scheduler
says so, well or with the store failing. Between two choices the event loop runs until nobody can go on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from streamnorm.engine.ports.stream_repository import Durability
from streamnorm.errors import StoreError, StoreUnavailable, StreamnormError
from streamnorm.stores.codec import encode
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.write_behind import WriteBehindStreams
from tests.support.gated_store import DEFAULT

Operation = Callable[[WriteBehindStreams], Coroutine[Any, Any, Any]]

#: Turns of the event loop after which nobody can go on: no operation needs half as many without a hop.
TURNS = 30
#: Of one schedule: more mean that somebody waits for ever.
MOST_STEPS = 200


class Outcome(NamedTuple):
    """What operations were answered, by their places, the streams after them, and whether a commit was let fail."""

    answers: tuple[object, ...]
    streams: tuple[tuple[str, bytes], ...]
    failed: bool = False


class Hop(NamedTuple):
    """Work in another thread, which has not ended."""

    work: Callable[[], Any]
    done: asyncio.Future[Any]


class Schedule:
    """Which of several choices is taken, one after the other; the first where none is named.

    `taken` and `open` are how it went: the choices, and how many there were each time.
    """

    def __init__(self, choices: Sequence[int] = ()) -> None:
        self._choices = choices
        self.taken: list[int] = []
        self.open: list[int] = []

    def choose(self, among: int) -> int:
        """Choose."""
        place = len(self.taken)
        choice = self._choices[place] % among if place < len(self._choices) else 0
        self.taken.append(choice)
        self.open.append(among)
        return choice

    def following(self) -> list[int] | None:
        """Return the choices of the next schedule, in the order of a search in depth; None after the last."""
        for place in reversed(range(len(self.taken))):
            if self.taken[place] + 1 < self.open[place]:
                return [*self.taken[:place], self.taken[place] + 1]
        return None


def every(run: Callable[[Schedule], None]) -> int:
    """Run all schedules; return how many there are."""
    choices: list[int] | None = []
    number = 0
    while choices is not None:
        schedule = Schedule(choices)
        run(schedule)
        choices = schedule.following()
        number += 1
    return number


class World:
    """Streams whose threads are hops, over a store that holds what `at_rest` and, in memory too, `resident` name."""

    def __init__(self, durability: Durability, *, max_resident: int, at_rest: Sequence[tuple[str, bytes]]) -> None:
        self._hops: list[Hop] = []
        now = 0.0
        self._store = MemoryStore(clock=lambda: now)
        self._store.save(dict(at_rest))
        now = 1e9
        self.streams = WriteBehindStreams(
            self._store, DEFAULT, durability=durability, max_resident=max_resident, ttl=1.0, clock=lambda: 1e9
        )

    async def to_thread(self, work: Callable[..., Any], *given: Any) -> Any:
        """Take the place of `asyncio.to_thread`."""
        hop = Hop(lambda: work(*given), asyncio.get_running_loop().create_future())
        self._hops.append(hop)
        return await hop.done

    async def run(self, operations: Sequence[Operation], schedule: Schedule, *, failing: bool = False) -> Outcome:
        """Begin operations in their order and let them run as the schedule says; `failing` lets one commit fail."""
        keeper = self.streams._committer  # noqa: SLF001 - its clock is real, and nothing but the schedule may wake it
        keeper.start()
        waiting = list(operations)
        tasks: list[asyncio.Task[Any]] = []
        may_fail = failing
        for _ in range(MOST_STEPS):
            await settled()
            if not waiting and all(task.done() for task in tasks):
                break
            begin = bool(waiting)
            commits = [hop for hop in self._hops if is_commit(hop)] if may_fail else []
            choice = schedule.choose(begin + len(self._hops) + len(commits))
            if begin and choice == 0:
                tasks.append(asyncio.create_task(waiting.pop(0)(self.streams)))
            elif choice - begin < len(self._hops):
                self._end(self._hops[choice - begin])
            else:
                may_fail = False
                self._end(commits[choice - begin - len(self._hops)], StoreUnavailable("the disk is full"))
        else:
            raise AssertionError("somebody waits for ever")
        answers = tuple(answered(task) for task in tasks)
        stopping = asyncio.create_task(keeper.stop())
        while not stopping.done():
            await settled()
            for hop in list(self._hops):
                self._end(hop)
        await stopping
        seen = {key: encode(stream) for key, stream in await self.streams.page("", "", 100)}
        kept = {key: self._store.load(key) for key in self._store.page("", "", 100)}
        assert seen == kept
        assert self.streams.stats().resident + self.streams.stats().evicted == len(kept)
        assert not self.streams._locks  # noqa: SLF001
        return Outcome(answers, tuple(sorted(seen.items())), failed=failing and not may_fail)

    def _end(self, hop: Hop, error: StoreError | None = None) -> None:
        self._hops.remove(hop)
        if hop.done.done():  # nobody waits any more
            return
        try:
            if error is not None:
                raise error
            hop.done.set_result(hop.work())
        except StreamnormError as raised:
            hop.done.set_exception(raised)


def is_commit(hop: Hop) -> bool:
    """Return whether a hop is a save of the store's."""
    work = hop.work.__closure__
    return work is not None and any(getattr(cell.cell_contents, "__name__", "") == "save" for cell in work)


def answered(task: asyncio.Task[Any]) -> object:
    """Return what an operation was answered, or the name of its error."""
    error = task.exception()
    if error is not None and not isinstance(error, StreamnormError):
        raise error
    return type(error).__name__ if error is not None else task.result()


async def settled() -> None:
    """Let the event loop run until nobody can go on."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # noqa: SLF001 - what else tells that nobody can?
    for _ in range(TURNS):
        await asyncio.sleep(0)
        if not ready:
            return


@contextlib.contextmanager
def without_threads(world: World) -> Iterator[None]:
    """Have what would run in another thread be hops of a world."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", world.to_thread)
        yield
