"""What the streams of a shared store promise, on one node and on a cluster."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import pytest

from streamnorm.engine.ports.stream_repository import Execution
from streamnorm.engine.reading import Answer
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StaleSequence, StoreUnavailable, StreamNotFound
from streamnorm.stores.codec import encode
from streamnorm.stores.redis import connection
from tests.support.replicas import Start, count, observing


async def test_a_reading_is_seen_by_every_replica(start: Start) -> None:
    first, second = await start(), await start()
    await first.update("boiler-7", observing(21.4))
    assert await count(second, "boiler-7") == 1


async def test_no_stream_may_be_changed_here_and_now_however_well_it_is_known(start: Start) -> None:
    first = await start()
    await first.update("boiler-7", observing(21.4))
    assert first.peek("boiler-7") is not None
    assert first.get_for_inline_update("boiler-7") is None


async def test_replicas_take_turns_at_a_stream_without_losing_any(start: Start) -> None:
    replicas = [await start(), await start()]
    streams = [f"hot-{number}" for number in range(50)]
    rng = random.Random(0)
    for first in range(0, 40, 10):  # all at once, a busy machine would take longer than replicas wait for an answer
        at_once = [(float(n), stream) for n in range(first, first + 10) for stream in streams]
        await asyncio.gather(*(rng.choice(replicas).update(stream, observing(x)) for x, stream in at_once))
    assert [await count(replicas[0], stream) for stream in streams] == [40] * 50


async def test_a_number_sent_to_two_replicas_is_applied_once_and_answered_alike(start: Start) -> None:
    first, second = await start(), await start()
    for seq in range(20):
        one, other = await asyncio.gather(*(at.update("a", observing(seq / 7, seq)) for at in (first, second)))
        assert one.values == other.values
        assert (one.count, one.replayed, other.count, other.replayed) in (
            (seq + 1, False, seq + 1, True),
            (seq + 1, True, seq + 1, False),
        )
    assert await count(first, "a") == 20


async def test_a_refusal_is_not_founded_on_what_was_true_once(start: Start) -> None:
    first, second = await start(), await start()
    await first.update("a", observing(1.0, 1000))
    await second.delete("a")
    await second.update("a", observing(1.0, 1))
    assert (await first.update("a", observing(2.0, 2))).count == 2


async def test_a_refused_change_changes_nothing(start: Start) -> None:
    first, second = await start(), await start()
    await first.update("a", observing(1.0, 5))
    before = await second.read("a", encode)
    with pytest.raises(StaleSequence):
        await second.update("a", observing(1.0, 3))
    assert await first.read("a", encode) == before


async def test_a_refused_first_reading_makes_no_stream(start: Start) -> None:
    first = await start()
    with pytest.raises(StaleSequence):
        await first.update("a", refusing)
    with pytest.raises(StreamNotFound):
        await count(first, "a")


def refusing(_: Stream) -> Answer:
    """Refuse."""
    raise StaleSequence(1, 2)


async def test_a_defect_in_a_change_stops_no_other(start: Start) -> None:
    first = await start()

    def broken(_: Stream) -> Answer:
        raise ZeroDivisionError

    failed, answered = await asyncio.gather(
        first.update("a", broken), first.update("a", observing(1.0)), return_exceptions=True
    )
    assert isinstance(failed, ZeroDivisionError)
    assert isinstance(answered, Answer)


async def test_a_change_of_a_stream_that_must_exist_is_refused(start: Start) -> None:
    first = await start()
    with pytest.raises(StreamNotFound):
        await first.update("a", observing(1.0), create=False)


async def test_deleting_tells_whether_there_was_a_stream(start: Start) -> None:
    first, second = await start(), await start()
    await first.update("a", observing(1.0))
    await second.delete("a")
    with pytest.raises(StreamNotFound):
        await first.delete("a")


async def test_replacing_tells_whether_there_was_a_stream(start: Start) -> None:
    first, second = await start(), await start()
    stream = first.rulebook.new("a")
    assert await first.replace("a", stream)
    assert not await second.replace("a", stream)


async def test_a_heavy_change_of_a_contended_stream_is_not_lost(start: Start) -> None:
    first, second = await start(), await start()
    await asyncio.gather(
        *(
            first.update("a", observing(float(n)), how=Execution.IN_PLACE if n % 5 else Execution.IN_THREAD)
            for n in range(20)
        ),
        *(second.update("a", observing(float(n))) for n in range(20)),
    )
    assert await count(first, "a") == 40


async def test_listing_gives_byte_order_in_pages(start: Start) -> None:
    first, second = await start(), await start()
    ids = [
        "-",
        ".",
        "0",
        "9",
        ":",
        "A",
        "Z",
        "_",
        "a",
        "a-",
        "aa",
        "z",
        "~",
        "é",
        "客厅",
        "🏠",
        *(f"s-{n:04}" for n in range(300)),
    ]
    await asyncio.gather(*(first.update(stream, observing(1.0)) for stream in ids))
    pages, after = [], ""
    while page := [stream for stream, _ in await second.page("", after, 70)]:
        pages.append(page)
        after = page[-1]
    assert [stream for page in pages for stream in page] == sorted(ids)
    assert [stream for stream, _ in await second.page("客", "", 70)] == ["客厅"]
    assert [len(page) for page in pages] == [70, 70, 70, 70, 36]


@pytest.mark.parametrize(
    ("prefix_", "after", "found"),
    [
        ("boiler", "", ["boiler", "boiler~~"]),
        ("boiler", "boiler", ["boiler~~"]),
        ("a_", "", ["a_c"]),
        ("b", "boiler", ["boiler~~", "boiles"]),
        ("b", "a", ["boiler", "boiler~~", "boiles"]),
        ("a", "b", []),
    ],
)
async def test_listing_keeps_to_its_prefix(start: Start, prefix_: str, after: str, found: list[str]) -> None:
    first = await start()
    for stream in ("boiler", "boiler~~", "boiles", "a_c", "abc", "A_c"):
        await first.update(stream, observing(1.0))
    assert [stream for stream, _ in await first.page(prefix_, after, 10)] == found


async def test_a_deleted_stream_is_not_listed(start: Start) -> None:
    first = await start()
    await asyncio.gather(*(first.update(stream, observing(1.0)) for stream in "abc"))
    await first.delete("b")
    assert [stream for stream, _ in await first.page("", "", 10)] == ["a", "c"]


async def test_a_stream_that_does_not_change_is_forgotten_in_time(start: Start) -> None:
    first = await start(ttl=0.2)
    await first.update("a", observing(1.0))
    await asyncio.sleep(0.3)
    assert await first.page("", "", 10) == []
    assert await first._index.count() == 0  # noqa: SLF001 - the index is tidied up too
    assert (await first.update("a", observing(1.0))).count == 1


async def test_what_is_remembered_is_bounded(start: Start) -> None:
    first = await start(max_remembered=3)
    for n in range(10):
        await first.update(f"s-{n % 5}", observing(1.0))
    assert len(first._writer.cached_entries) == 3  # noqa: SLF001
    assert [await count(first, f"s-{n}") for n in range(5)] == [2] * 5


async def test_readings_of_one_stream_keep_their_order(start: Start) -> None:
    first, second = await start(), await start()
    answers = await asyncio.gather(
        *(first.update("a", observing(float(n), n)) for n in range(200)),
        *(second.update("b", observing(float(n), n)) for n in range(200)),
    )
    assert all(later.count == earlier.count + 1 for earlier, later in pairwise(answers[:200]))


async def test_two_prefixes_in_one_store_do_not_meet(start: Start) -> None:
    first, second = await start(), await start(prefix="elsewhere")
    await first.update("a", observing(1.0))
    assert await second.page("", "", 10) == []


async def test_too_few_replicas_refuse_a_reading_that_may_then_be_sent_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WAIT_MILLISECONDS", 100)
    short, enough = await start(replicas=5), await start()
    with pytest.raises(StoreUnavailable, match="of 5 replicas"):
        await short.update("a", observing(1.0, 1))
    again = await enough.update("a", observing(1.0, 1))
    assert (again.count, again.replayed) == (1, True)
    with pytest.raises(StoreUnavailable, match="of 5 replicas"):  # a replay is held to the same
        await short.update("a", observing(1.0, 1))
