"""The hub: what it remembers, whom it tells, and where it stops."""

from __future__ import annotations

import contextlib
import tracemalloc

import numpy as np
import pytest

from streamnorm.engine import limits
from streamnorm.engine.blocks.block import Block
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.snapshot import export
from streamnorm.events import hub
from streamnorm.events.buffers import MOST_QUEUED_BYTES, Subscription, is_wanted
from streamnorm.events.event import MOST_BYTES, MOST_ROWS, OVERHEAD
from streamnorm.events.hub import EventHub
from streamnorm.ingest import IngestService
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.write_behind import WriteBehindStreams

LIMITS = limits.Limits()


class House:
    """A service with a hub, its clock in hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        residents = WriteBehindStreams(MemoryStore(), plan(configuration({}, {})), durability="no")
        self.service = IngestService(residents, limits=LIMITS, clock=lambda: self.now)
        self.hub = EventHub(residents.peek)
        self.service.listeners.append(self.hub)

    async def observe(self, stream_id: str, *rows: object, timestamp: float | None = None) -> None:
        """Observe readings, a second apart."""
        for values in rows:
            self.now += 1.0
            await self.service.observe(stream_id, parse_reading(values, LIMITS, timestamp=timestamp))

    async def block(self, stream_id: str, values: list[list[float]]) -> None:
        """Observe a block of the features a, b and so on."""
        names = tuple("abcdefgh"[: len(values[0])])
        await self.service.observe_block(stream_id, Block(names, np.array(values)))

    def counts(self, stream_id: str) -> list[int]:
        """Return the counts of the rows that are remembered."""
        return [row.event()["count"] for row in self.hub.past(stream_id)]


def queued(subscription: Subscription) -> list[tuple[str, int]]:
    """Take what is queued: streams and counts."""
    return [(row.stream, row.event()["count"]) for row in subscription.take()[0]]


@pytest.fixture
def house() -> House:
    """Make one."""
    return House()


async def test_a_reading_is_remembered_as_it_was_answered(house: House) -> None:
    await house.observe("boiler-7", {"temp": 20.0}, {"temp": 22.0})
    answer = await house.service.observe("boiler-7", parse_reading({"temp": 19.0}, LIMITS), stats=True)
    house.now += 1.0
    event = house.hub.past("boiler-7")[2].event()
    assert event["values"] == {"temp": 19.0}
    assert event["normalized"] == {"temp": answer.values[0]}
    assert (event["count"], event["ready"]) == (3, False)


async def test_mean_and_deviation_are_noted_with_a_reading(house: House) -> None:
    await house.observe("boiler-7", {"temp": 20.0}, {"temp": 22.0})
    stream = house.service.streams.peek("boiler-7")
    assert stream is not None
    mean, std = stream.mean_std("temp")
    event = house.hub.past("boiler-7")[1].event()
    assert (event["mean"], event["std"]) == ({"temp": mean}, {"temp": std})


async def test_readings_at_once_are_noted_with_one_mean(house: House) -> None:
    await house.observe("boiler-7", {"temp": 20.0})
    await house.service.observe("boiler-7", parse_reading({"temp": 21.0}, LIMITS))
    assert ["mean" in row.event() for row in house.hub.past("boiler-7")] == [True, False]


async def test_a_readings_own_time_is_told(house: House) -> None:
    await house.observe("boiler-7", {"temp": 20.0}, timestamp=1_700_000_000.0)
    assert house.hub.past("boiler-7")[0].event()["time"] == 1_700_000_000.0


async def test_a_channel_is_represented_by_the_mean_of_its_elements(house: House) -> None:
    await house.observe("camera", {"ir": [[1.0, 2.0], [3.0, 6.0]]}, {"ir": [[2.0, 2.0], [2.0, 4.0]]})
    answer = await house.service.normalize("camera", parse_reading({"ir": [[2.0, 2.0], [2.0, 4.0]]}, LIMITS))
    event = house.hub.past("camera")[1].event()
    assert event["values"] == {"ir": 2.5}
    assert event["normalized"]["ir"] == pytest.approx(float(np.mean(answer.values[0])))


async def test_a_missing_value_is_remembered_as_missing(house: House) -> None:
    await house.observe("boiler-7", {"temp": None})
    assert np.isnan(house.hub.past("boiler-7")[0].event()["values"]["temp"])


async def test_a_block_is_remembered_row_by_row(house: House) -> None:
    await house.block("boiler-7", [[1.0, 5.0], [2.0, 7.0], [3.0, 6.0]])
    found = [row.event() for row in house.hub.past("boiler-7")]
    assert [event["values"] for event in found] == [{"a": 1.0, "b": 5.0}, {"a": 2.0, "b": 7.0}, {"a": 3.0, "b": 6.0}]
    assert [event["count"] for event in found] == [1, 2, 3]
    assert ["mean" in event for event in found] == [False, False, True]


async def test_short_blocks_close_behind_each_other_are_noted_with_one_mean(house: House) -> None:
    for _ in range(70):
        await house.block("boiler-7", [[1.0], [2.0]])
    noted = ["mean" in row.event() for row in house.hub.past("boiler-7")]
    assert [place for place, there in enumerate(noted) if there] == [1, 129]


async def test_of_a_long_past_the_newest_readings_are_kept(house: House) -> None:
    await house.block("boiler-7", [[float(n)] for n in range(MOST_ROWS + 100)])
    await house.observe("boiler-7", {"a": 1.0})
    assert house.counts("boiler-7") == list(range(102, MOST_ROWS + 102))


async def test_of_many_readings_together_the_newest_of_each_stream_are_kept(house: House) -> None:
    names, number = ("a", "b"), MOST_ROWS + 50
    readings = [(names[n % 2], parse_reading({"x": float(n)}, LIMITS)) for n in range(2 * number)]
    await house.service.observe_readings(readings, [""] * len(readings))
    for name in names:
        assert house.counts(name) == list(range(51, number + 1))
    assert house.service.observed == 2 * number


async def test_wide_readings_are_bounded_by_bytes(house: House) -> None:
    wide = {f"f{n}": float(n) for n in range(4000)}
    await house.observe("wide", *[wide] * 40)
    past = house.hub.past("wide")
    assert 1 < len(past) < 40
    assert sum(len(row.packed) for row in past) < MOST_BYTES


async def test_all_pasts_together_are_bounded_and_the_quietest_stream_is_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_BYTES_IN_ALL", 20_000)
    await house.observe("first", {"temp": 1.0})
    for n in range(200):
        await house.observe(f"s{n}", {"temp": 1.0})
    held = [n for n in range(200) if house.hub.past(f"s{n}")]
    assert not house.hub.past("first")
    assert held == list(range(200 - len(held), 200))
    assert 0 < len(held) < 200


async def test_features_may_come_in_turns(house: House) -> None:
    await house.observe("boiler-7", {"temp": 20.0}, {"door": 1.0}, {"temp": 21.0})
    assert [row.event()["values"] for row in house.hub.past("boiler-7")] == [
        {"temp": 20.0},
        {"door": 1.0},
        {"temp": 21.0},
    ]


async def test_a_reset_begins_a_new_past(house: House) -> None:
    await house.observe("boiler-7", {"temp": 20.0}, {"temp": 21.0})
    await house.service.reset("boiler-7")
    await house.observe("boiler-7", {"temp": 22.0})
    assert house.counts("boiler-7") == [1]


async def test_a_deleted_stream_is_forgotten(house: House) -> None:
    await house.observe("boiler-7", {"temp": 20.0})
    house.hub.discard("boiler-7")
    assert house.hub.past("boiler-7") == []
    assert list(house.hub.latest(0)) == []


async def test_a_subscriber_hears_of_every_stream(house: House) -> None:
    with house.hub.subscribe() as subscription:
        await house.observe("a", {"x": 1.0})
        await house.observe("b", {"x": 1.0})
        assert queued(subscription) == [("a", 1), ("b", 1)]


async def test_a_subscriber_hears_only_of_the_streams_it_names(house: House) -> None:
    with house.hub.subscribe(frozenset({"b"})) as subscription:
        await house.observe("a", {"x": 1.0})
        await house.observe("b", {"x": 1.0})
        assert queued(subscription) == [("b", 1)]


async def test_a_subscriber_hears_only_of_streams_with_its_prefix(house: House) -> None:
    with house.hub.subscribe(prefix="north.") as subscription:
        await house.observe("north.a", {"x": 1.0})
        await house.observe("south.a", {"x": 1.0})
        assert queued(subscription) == [("north.a", 1)]


async def test_a_subscriber_that_left_hears_nothing(house: House) -> None:
    with house.hub.subscribe() as subscription:
        pass
    await house.observe("a", {"x": 1.0})
    assert queued(subscription) == []


async def test_a_slow_reader_loses_the_oldest_and_learns_how_many(house: House) -> None:
    with house.hub.subscribe() as subscription:
        await house.observe("a", *[{"x": 1.0}] * MOST_ROWS)
        rows, dropped = subscription.take()
        assert len(rows) + dropped == MOST_ROWS
        assert sum(len(row.packed) + OVERHEAD for row in rows) <= MOST_QUEUED_BYTES
        assert len(rows) > 100
        assert rows[0].event()["count"] == dropped + 1
        await house.observe("a", {"x": 1.0})
        assert subscription.take()[1] == 0


async def test_a_reading_that_was_applied_before_is_not_told_again(house: House) -> None:
    with house.hub.subscribe() as subscription:
        for _ in range(2):
            await house.service.observe("a", parse_reading({"x": 1.0}, LIMITS, seq=1))
        assert queued(subscription) == [("a", 1)]


async def test_the_latest_reading_of_each_stream_is_told_once(house: House) -> None:
    await house.observe("a", {"x": 1.0}, {"x": 2.0})
    await house.observe("b", {"x": 3.0})
    assert {row.stream: row.summary(1)["values"] for row in house.hub.latest(0)} == {"a": {"x": 2.0}, "b": {"x": 3.0}}
    seen = house.hub.number
    await house.observe("b", {"x": 4.0})
    assert [row.stream for row in house.hub.latest(seen)] == ["b"]


async def test_the_latest_readings_keep_to_a_prefix(house: House) -> None:
    await house.observe("north.a", {"x": 1.0})
    await house.observe("south.a", {"x": 1.0})
    assert [row.stream for row in house.hub.latest(0, "north.")] == ["north.a"]


async def test_a_glance_shows_only_so_many_features(house: House) -> None:
    await house.observe("a", {"x": 1.0, "y": 2.0, "z": 3.0})
    assert house.hub.past("a")[0].summary(2)["values"] == {"x": 1.0, "y": 2.0}


async def test_a_reading_meets_only_subscriptions_that_may_be_of_its_stream(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Subscription] = []

    def wants(subscription: Subscription, stream_id: str) -> bool:
        asked.append(subscription)
        return is_wanted(stream_id, subscription.streams, subscription.prefix)

    monkeypatch.setattr(Subscription, "wants", wants)
    with contextlib.ExitStack() as stack:
        subscribed = [
            stack.enter_context(house.hub.subscribe(streams, prefix))
            for streams, prefix in [
                *((frozenset({f"boiler-{n}"}), "") for n in range(100)),
                *((None, f"site-{n:02}-") for n in range(100)),
                (frozenset({"boiler-7"}), "site-"),
                (None, "boil"),
                (None, ""),
            ]
        ]
        await house.observe("boiler-7", {"temp": 20.0})
        await house.block("boiler-7", [[1.0]])
    at_all = [subscribed[place] for place in (7, -2, -1)]
    assert [subscription for subscription in subscribed if queued(subscription)] == at_all
    assert set(asked) == {*at_all, subscribed[-3]}
    assert len(asked) == 8


async def test_a_subscription_that_was_left_gets_no_more(house: House) -> None:
    with house.hub.subscribe(frozenset({"a", "b"})) as named, house.hub.subscribe(prefix="a") as prefixed:
        await house.observe("a", {"x": 1.0})
    await house.observe("a", {"x": 1.0})
    assert (queued(named), queued(prefixed)) == ([("a", 1)], [("a", 1)])
    assert not house.hub.subscriptions
    with pytest.raises(ValueError, match="not in list"):
        named.__exit__()


async def test_an_ended_hub_ends_its_subscriptions_and_new_ones(house: House) -> None:
    with house.hub.subscribe() as subscription:
        house.hub.end()
        assert subscription.ended
        assert subscription.wake.is_set()
    assert house.hub.subscribe().ended


async def test_blocks_are_remembered_one_behind_the_other_among_single_readings(house: House) -> None:
    await house.block("boiler-7", [[1.0], [2.0]])
    await house.block("boiler-7", [[3.0]])
    await house.observe("boiler-7", {"a": 4.0})
    await house.block("boiler-7", [[5.0], [6.0]])
    found = [row.event()["values"]["a"] for row in house.hub.past("boiler-7")]
    assert found == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


async def test_of_short_blocks_the_newest_rows_are_remembered(house: House) -> None:
    await house.observe("boiler-7", *([n] for n in range(10)))
    for start in range(0, 2 * MOST_ROWS, 100):
        await house.block("boiler-7", [[float(start + n)] for n in range(100)])
        total = 10 + start + 100
    assert house.counts("boiler-7") == [*range(total - MOST_ROWS + 1, total + 1)]


@pytest.mark.parametrize("size", [20, 80])
@pytest.mark.parametrize("columns", [True, False], ids=["columns", "run"])
async def test_readings_together_are_remembered_as_those_that_came_alone(
    house: House, size: int, *, columns: bool
) -> None:
    readings = [parse_reading({"temp": float(n)}, LIMITS, timestamp=house.now - 100 + n) for n in range(80)]
    for reading in readings:
        await house.service.observe("alone", reading)
    for start in range(0, 80, size):
        some = readings[start : start + size]
        if columns:
            await house.service.observe_columns(ReadingColumns.of([("together", one) for one in some], LIMITS), str)
        else:
            await house.service.observe_run("together", some)
    alone, together = ([row.event() for row in house.hub.past(name)] for name in ("alone", "together"))
    for one, other in zip(alone, together, strict=True):
        assert {name: one[name] for name in ("time", "count", "ready", "values", "normalized")} == {
            name: other[name] for name in ("time", "count", "ready", "values", "normalized")
        }


async def test_the_latest_reading_of_a_block_is_that_of_its_last_row(house: House) -> None:
    await house.block("boiler-7", [[1.0], [2.0]])
    (row,) = house.hub.latest(0)
    assert (row.event()["values"], row.event()["count"], "mean" in row.event()) == ({"a": 2.0}, 2, True)


async def test_as_many_streams_of_blocks_in_turn_as_there_is_room_for_are_all_remembered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_BYTES_IN_ALL", 400_000)
    ids = [f"m-{number}" for number in range(100)]
    for _ in range(6):
        for stream_id in ids:
            await house.block(stream_id, [[1.0, 2.0]] * 64)
    assert all(house.counts(stream_id)[-1] == 6 * 64 for stream_id in ids)
    assert house.hub.kinds.total() == 200


async def test_of_blocks_of_many_streams_some_rows_of_each_are_remembered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_BYTES_IN_ALL", 40_000)
    for _ in range(8):
        for n in range(10):
            await house.block(f"s-{n}", [[float(row)] for row in range(400)])
    assert sum(bool(house.hub.past(f"s-{n}")) for n in range(10)) > 4  # where all rows were kept it would be one
    assert house.counts("s-9")[-1] == 3200


async def test_a_restored_stream_that_comes_to_its_last_count_again_begins_a_new_past(house: House) -> None:
    await house.observe("boiler-7", {"a": 1.0}, {"a": 2.0})
    snapshot = await house.service.streams.read("boiler-7", export)
    await house.observe("boiler-7", {"a": 3.0})
    await house.service.restore("boiler-7", snapshot)
    await house.observe("boiler-7", {"a": 4.0})
    assert house.counts("boiler-7") == [3]


async def test_histories_of_eight_features_take_no_more_memory_than_is_counted(house: House) -> None:
    ids = [f"s-{n}" for n in range(400)]
    rows = np.random.default_rng(0).normal(size=(400, 8)).tolist()
    readings = [parse_reading(dict(zip("abcdefgh", row, strict=True)), LIMITS) for row in rows]
    house.service.listeners.clear()
    answers = [await house.service.observe(*one) for one in zip(ids, readings, strict=True)]
    house.hub.on_batch(ids[0], ((readings[0], answers[0]),), house.now)  # what all have in common
    counted = house.hub._bytes  # noqa: SLF001 - what is counted shows nowhere else
    tracemalloc.start()
    for stream_id, reading, answer in zip(ids[1:], readings[1:], answers[1:], strict=True):
        house.hub.on_batch(stream_id, ((reading, answer),), house.now)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert 0.9 < taken / (house.hub._bytes - counted) < 1.05  # noqa: SLF001 - as above
