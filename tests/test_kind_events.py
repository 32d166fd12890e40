"""A sensor that becomes another kind is told once, to subscribers, listeners and Prometheus."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamnorm.engine.streams.feature_profile import Kind
from streamnorm.engine.streams.stream import Stream
from streamnorm.events import kinds
from streamnorm.events.kinds import KindChange
from tests.test_events import House

NOISE = np.random.default_rng(0).normal(20.0, 1.0, size=200).tolist()


@pytest.fixture
def house() -> House:
    return House()


async def live(house: House, xs: list[float]) -> list[tuple[str, str, str]]:
    """Observe readings a second apart, and give what is told of their kinds meanwhile."""
    with house.hub.subscribe() as subscription:
        for x in xs:
            await house.observe("boiler", {"temp": x, "other": x + 1.0})
        changes = subscription.take_changes()
    return [(change.feature, change.was, change.kind) for change in changes if change.feature == "temp"]


async def begun(house: House) -> None:
    await house.service.configure("boiler", {"horizon": 50.0})
    assert await live(house, NOISE) == []


async def test_a_sensor_that_gets_stuck_and_is_alive_again_is_told_once_each(house: House) -> None:
    await begun(house)
    assert await live(house, [20.0] * 60) == [("temp", "continuous", "stuck")]
    assert await live(house, [20.0] * 60) == []
    told = await live(house, NOISE)
    assert told[0][:2] == ("temp", "stuck")
    assert told[-1][2] == "continuous"


async def test_a_sensor_that_sends_nothing_valid_is_told_and_so_is_its_return(house: House) -> None:
    await begun(house)
    assert await live(house, [math.nan] * 5) == [("temp", "continuous", "invalid")]
    assert await live(house, NOISE[:50]) == [("temp", "invalid", "continuous")]


async def test_a_change_is_told_to_listeners_with_its_time(house: House) -> None:
    heard: list[KindChange] = []
    house.hub.kind_listeners.append(heard.append)
    await begun(house)
    await live(house, [math.nan] * 5)
    assert {(change.stream, change.was, change.kind) for change in heard} == {("boiler", "continuous", "invalid")}
    assert heard[0].time == house.now - 3.0


async def test_streams_of_many_features_in_all_are_looked_at_less_often(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def kinds_of(stream: Stream) -> dict[str, Kind]:
        looks.append(house.now)
        return dict.fromkeys(stream.layout.names, "continuous")

    monkeypatch.setattr(kinds, "kinds", kinds_of)
    for _ in range(40):
        await house.observe("few", {"a": 1.0})
    assert len(looks) == 40
    for number in range(10):
        await house.observe(f"many-{number}", dict.fromkeys(map(str, range(2560)), 1.0))
    looks.clear()
    for _ in range(40):
        await house.observe("few", {"a": 1.0})
    assert len(looks) == 4


async def test_blocks_are_looked_at_too(house: House) -> None:
    await begun(house)
    with house.hub.subscribe() as subscription:
        for _ in range(4):
            house.now += 2.0
            await house.block("boiler", [[20.0]] * 30)
        found = {change.kind for change in subscription.take_changes() if change.feature == "a"}
    assert found == set()  # a new feature, warming up and then constant from the start
    assert house.hub.kinds["constant"] == 1


async def test_subscribers_of_other_streams_do_not_hear_of_it(house: House) -> None:
    await begun(house)
    with house.hub.subscribe(frozenset({"pump"})) as other, house.hub.subscribe(prefix="pump") as prefixed:
        await live(house, [math.nan] * 5)
        assert (other.take_changes(), prefixed.take_changes()) == ([], [])


async def test_features_are_counted_by_kind_until_their_stream_is_forgotten(house: House) -> None:
    await begun(house)
    assert +house.hub.kinds == {"continuous": 2}
    await live(house, [math.nan] * 5)
    assert +house.hub.kinds == {"invalid": 2}
    house.hub.discard("boiler")
    assert +house.hub.kinds == {}
