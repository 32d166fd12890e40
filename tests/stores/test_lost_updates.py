"""No update is lost, in whatever order the awaits of calls made at once end.

It is as if the calls had been made one after the other, and those that were refused because a commit failed not at all.
Every pair of calls is run in every order that its awaits can end in; three at once in orders that Hypothesis draws.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnorm.engine.limits import Limits
from streamnorm.engine.ports.stream_repository import Durability, Execution
from streamnorm.engine.streams import lifecycle
from streamnorm.engine.streams.stream import Stream
from streamnorm.stores.codec import encode
from streamnorm.stores.local.write_behind import WriteBehindStreams
from streamnorm.stores.stream_locks import StreamLocks
from tests.support.gated_store import DEFAULT, count, observed
from tests.support.schedules import Operation, Outcome, Schedule, World, every, without_threads

pytestmark = pytest.mark.slow

#: What is there before, how safe changes are to be, and how many streams may be in memory.
Case = tuple[str, Durability, int]

REFUSED = "StoreUnavailable"

#: One event loop for all: to make one and to close it would take longer than a schedule, and so would its `run`, which
#: minds signals.
RUNNER = asyncio.Runner()


@pytest.fixture(scope="module", autouse=True)
def _runner_is_closed() -> Iterator[None]:
    yield
    RUNNER.close()


def stream_of(*xs: float) -> Stream:
    """Build a stream that has seen readings."""
    stream = Stream(DEFAULT)
    for x in xs:
        observed(x)(stream)
    return stream


def block(stream: Stream) -> int:
    """Observe several readings."""
    for x in (10.0, 20.0):
        observed(x)(stream)
    return stream.count


async def single(streams: WriteBehindStreams) -> object:
    return (await streams.update("a", observed(2.0))).count


def changed(streams: WriteBehindStreams, stream: Stream) -> object:
    """Change a stream that was got for an inline update."""
    answer = observed(2.0)(stream)
    streams.commit_inline("a", stream)
    return answer.count


async def inline(streams: WriteBehindStreams) -> object:
    stream = streams.get_for_inline_update("a")
    return await single(streams) if stream is None else changed(streams, stream)


async def light_block(streams: WriteBehindStreams) -> object:
    return await streams.update("a", block, how=Execution.ON_COPY)


async def heavy_block(streams: WriteBehindStreams) -> object:
    return await streams.update("a", block, how=Execution.IN_THREAD)


async def many(streams: WriteBehindStreams) -> object:
    answers = await streams.update_many({"b": observed(3.0), "a": observed(3.0)})
    return {key: answer.count for key, answer in answers.items()}


async def heavy_together(streams: WriteBehindStreams) -> object:
    return await streams.update_together(
        "ab", lambda drafts: [block(drafts[key]) for key in "ab"], how=Execution.IN_THREAD
    )


async def merge(streams: WriteBehindStreams) -> object:
    other = stream_of(7.0, 8.0, 9.0)
    return await streams.update(
        "a", lambda draft: lifecycle.merge(draft, other, 1.0, Limits()), how=Execution.ON_COPY, create=False
    )


async def reset(streams: WriteBehindStreams) -> object:
    return await streams.update("a", lambda draft: lifecycle.reset(draft, 1.0), how=Execution.ON_COPY, create=False)


async def restore(streams: WriteBehindStreams) -> object:
    return await streams.replace("a", stream_of(4.0, 5.0))


async def delete(streams: WriteBehindStreams) -> None:
    await streams.delete("a")


async def evict(streams: WriteBehindStreams) -> object:
    return (await streams.update("c", observed(1.0))).count


async def expire(streams: WriteBehindStreams) -> None:
    await streams.expire()


async def flush(streams: WriteBehindStreams) -> None:
    await streams.flush()


async def look(streams: WriteBehindStreams) -> object:
    return await streams.read("a", count)


CALLS: dict[str, Operation] = {
    call.__name__: call
    for call in (
        single,
        inline,
        light_block,
        heavy_block,
        many,
        heavy_together,
        merge,
        reset,
        restore,
        delete,
        evict,
        expire,
        flush,
        look,
    )
}
#: What is there before: nothing; a stream at rest; one that was changed in memory.
BEFORE: dict[str, tuple[tuple[tuple[str, bytes], ...], tuple[str, ...]]] = {
    "nothing": ((), ()),
    "at rest": ((("a", encode(stream_of(1.0))),), ()),
    "in memory": ((), ("single",)),
}
#: Their answers tell what was seen meanwhile, which may be rolled back, or whether a commit failed.
UNORDERED = {"look", "flush", "expire"}


def outcome(names: Sequence[str], case: Case, schedule: Schedule, *, failing: bool) -> Outcome:
    """Run calls, after what is to be there before, as a schedule says."""
    before, durability, max_resident = case
    at_rest, first = BEFORE[before]

    async def run() -> Outcome:
        world = World(durability, max_resident=max_resident, at_rest=at_rest)
        with without_threads(world):
            for name in first if durability != "always" else ():
                await CALLS[name](world.streams)
            return await world.run([CALLS[name] for name in names], schedule, failing=failing)

    return RUNNER.get_loop().run_until_complete(run())


@cache
def in_turn(names: tuple[str, ...], case: Case) -> Outcome:
    """Run calls one after the other."""
    before, durability, max_resident = case
    at_rest, first = BEFORE[before]

    async def run() -> Outcome:
        world = World(durability, max_resident=max_resident, at_rest=at_rest)
        answers: list[object] = []
        with without_threads(world):
            for name in first if durability != "always" else ():
                await CALLS[name](world.streams)
            for name in names:
                answers += (await world.run([CALLS[name]], Schedule())).answers
            return Outcome(tuple(answers), (await world.run([], Schedule())).streams)

    return RUNNER.get_loop().run_until_complete(run())


def explained(names: tuple[str, ...], case: Case, found: Outcome) -> bool:
    """Return whether calls one after the other, without those whose commit failed, come to the same.

    What was to be saved again after a failed commit has not been idle for long, so it may not expire then.
    """
    applied = [place for place, answer in enumerate(found.answers) if answer != REFUSED or names[place] == "expire"]
    ways: list[tuple[int, ...]] = [*permutations(applied)]
    if found.failed:
        ways += permutations(place for place in applied if names[place] != "expire")
    for order in ways:
        serial = in_turn(tuple(names[place] for place in order), case)
        same = all(
            names[place] in UNORDERED or answer == found.answers[place]
            for place, answer in zip(order, serial.answers, strict=True)
        )
        if same and serial.streams == found.streams:
            return True
    return False


def check(names: tuple[str, ...], case: Case, schedule: Schedule, *, failing: bool) -> None:
    """Run calls at once, and find the order that they can be taken to have been made in."""
    found = outcome(names, case, schedule, failing=failing)
    assert explained(names, case, found), (names, case, schedule.taken, found.answers)


DURABILITIES: tuple[Durability, ...] = ("no", "everysec", "always")
CASES: list[Case] = [
    (before, durability, max_resident)
    for before in BEFORE
    for durability in DURABILITIES
    for max_resident in (1, 10)
    if (before, durability) != ("in memory", "always")  # there all that is in memory is at rest, too
]


@pytest.mark.parametrize("first", CALLS)
def test_two_calls_at_once_are_as_one_after_the_other(first: str) -> None:
    for case in CASES:
        for second in CALLS:
            every(partial(check, (first, second), case, failing=True))  # and without a failure, where none is chosen


@given(
    names=st.tuples(*[st.sampled_from(sorted(CALLS))] * 3),
    case=st.sampled_from(CASES),
    choices=st.lists(st.integers(0, 11), max_size=20),
    failing=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_three_calls_at_once_are_as_one_after_the_other(
    names: tuple[str, ...], case: Case, choices: list[int], *, failing: bool
) -> None:
    check(names, case, Schedule(choices), failing=failing)


@pytest.mark.parametrize("case", CASES)
def test_a_reading_that_waits_for_room_does_not_overtake_a_block_that_is_being_worked_on(case: Case) -> None:
    for names in sorted(set(permutations(("evict", "single", "single", "heavy_block")))):
        every(partial(check, names, case, failing=False))


def test_an_update_that_is_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamLocks, "__contains__", lambda *_: False)  # whose lock is held is not asked
    with pytest.raises(AssertionError, match="heavy_block"):
        every(lambda schedule: check(("heavy_block", "single"), ("at rest", "no", 10), schedule, failing=False))
