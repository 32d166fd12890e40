"""Advice on a labelled collection: sensors of every kind, and those that need something done about them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from streamnorm.advice import Advice, advise
from streamnorm.advice.judge import feature_of
from streamnorm.engine.blocks.block import Block, observe_block
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.streams.feature_profile import profile
from streamnorm.engine.streams.stream import Stream
from tests.support.labelled_sensors import collection, smooth, switching

Array = npt.NDArray[np.float64]
READINGS = 4000
#: what the service remembers of a stream
REMEMBERED = 512
#: of the kinds of sensors
WANTED = {"stuck": {"stuck"}, "counter": {"rate"}, "drifting": {"span"}}


class Case(NamedTuple):
    """A sensor, and what a person would advise."""

    name: str
    values: Array
    wanted: set[str]


def coded(values: Array, rng: np.random.Generator, code: float, share: float) -> Array:
    return np.where(rng.random(len(values)) < share, code, values)


def direction(rng: np.random.Generator, mean: float, spread: float) -> Array:
    return np.round((mean + spread * smooth(rng, 20)[:READINGS] + 5 * rng.normal(size=READINGS)) % 360, 1)


def two(rng: np.random.Generator, low: float, high: float) -> Array:
    return np.where(rng.random(READINGS) < 0.5, low, high) + 0.5 * rng.normal(size=READINGS)


def made(seed: int) -> dict[str, dict[str, Array]]:
    """Return sensors by what is advised on them; empty: nothing."""
    r, t = np.random.default_rng(seed), np.arange(READINGS, dtype=np.float64)
    noise = r.normal(size=(8, READINGS))
    slow = [smooth(r, readings)[:READINGS] for readings in (15, 30, 20)]
    return {
        "code": {
            "a one-wire thermometer without contact": coded(20 + 0.3 * noise[0], r, -127.0, 0.02),
            "a one-wire thermometer that starts anew": coded(4 + 0.3 * noise[1], r, 85.0, 0.02),
            "a station without a value": coded(1013 + noise[2], r, -9999.0, 0.05),
            "a radio thermometer": coded(np.round(21 + noise[3], 1), r, 6553.5, 0.03),
            "two codes": coded(coded(50 + 5 * r.random(READINGS), r, 999.0, 0.02), r, -99.0, 0.02),
            "an unusual code": coded(400 + 20 * noise[4], r, 5000.0, 0.03),
        },
        "circular": {
            "a wind from the north": direction(r, 0.0, 30.0),
            "a wind from everywhere": direction(r, 90.0, 200.0),
            "a vane of half turns": (direction(r, 0.0, 60.0) + 360) % 360 - 180,
            "a rotor": (7.3 * t) % 360,
        },
        "log": {
            "light by day and night": 10 ** (2.4 + 2 * np.sin(2 * np.pi * t / 300) + 0.1 * noise[5]),
            "particles": r.lognormal(2.0, 2.0, READINGS),
            "a resistance of gas": np.exp(10 + 2 * slow[0]),
        },
        "log1p": {"requests a second": np.floor(r.lognormal(3.0, 2.2, READINGS))},
        "two": {
            "two rooms in one stream": two(r, 19.0, 28.0),
            "a freezer and a room in one stream": np.where(t % 2 > 0, -18.0, 21.0) + 0.2 * noise[6],
        },
        "": {
            "a wind from the south": direction(r, 180.0, 20.0),
            "a socket that is switched": switching(t, r, 40.0, 60.0) * (1800 + 20 * noise[7]),
            "humidity": 45 + 8 * slow[1],
            "a percentage": np.clip(50 + 40 * slow[2], 0, 100),
            "a converter of ten bits": np.round(300 + 30 * noise[0]),
            "a microphone": noise[1] * np.exp(0.5 * noise[2]),
            "an acceleration": 9.81 + 0.02 * noise[3],
        },
    }


def cases(seed: int) -> Iterator[Case]:
    for sensor in islice(collection(None, seed), seed % 3, None, 3):
        yield Case(sensor.name, sensor.values, WANTED.get(sensor.kind, set()))
    for wanted, sensors in made(seed).items():
        for name, values in sensors.items():
            yield Case(name, values, {wanted} - {""})


def called(advice: Advice) -> str:
    """Name a piece of advice."""
    rule = advice.rule
    if not rule:
        return "stuck" if advice.feature else "two"
    return str(rule.get("transform", "code" if "missing_codes" in rule else "span"))


def told(values: Array, most: int) -> set[str]:
    """Return what is advised on a sensor, of whose readings the last ones are known."""
    stream = Stream(plan(configuration({}, {})))
    observe_block(stream, Block(("x",), values.reshape(-1, 1)), 0.0, Limits())
    feature = feature_of(stream, "x", profile(stream)["x"], values[-most:], None)
    return {called(each) for each in advise({"x": feature})}


@pytest.mark.parametrize("most", [REMEMBERED, READINGS])
def test_nine_tenths_are_right_and_next_to_nothing_is_wrong(most: int) -> None:
    results = [(case, told(case.values, most)) for case in cases(seed=11)]
    missed = [(case.name, found) for case, found in results if found != case.wanted]
    wrong = [(case.name, found) for case, found in results if found - case.wanted]
    assert len(missed) <= 0.1 * len(results), missed
    assert len(wrong) <= 0.02 * len(results), wrong
