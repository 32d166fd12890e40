"""Every method's stream, in every kind of configuration, and readings of all kinds: what conformance is tested with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from streamnorm.engine.streams.stream import Stream
from streamnorm.kernels import METHODS
from tests.support.engine import new, observe, observe_rows

Array = npt.NDArray[np.float64]
Config = dict[str, Any]

#: parameters so small that a few readings reach every branch
SMALL: dict[str, Config] = {
    "online": {"horizon": 4.0},
    "batch": {"window": 5},
    "batch-renorm": {"window": 5, "momentum": 0.1, "r_max": 1.5, "d_max": 0.5},
    "streaming": {"period": 7, "order": 1},
    "online-2019": {"alpha_fwd": 0.9, "compensation": "layer-scaling"},
}
FINISHED: Config = {
    "clamp": 2.0,
    "robust": 3.0,
    "missing": "mean",
    "warmup": 4,
    "affine": {"a": {"gamma": -2.0, "beta": 0.5}, "c": {"gamma": 3.0}},
}
NAMES = list(METHODS)
OWN = [name for name in NAMES if name != "online-2019"]  # which has a range in mind, 0 ± 1
#: whose answers are z-scores by the statistics after the reading
BY_TODAY = ["online", "cumulative", "adaptive", "batch", "streaming"]


def configs(names: list[str]) -> dict[str, Config]:
    """Return every method as it is, with small parameters, and with everything that acts on values and answers."""
    found: dict[str, Config] = {}
    for name in names:
        found[name] = {"method": name}
        if name in SMALL:
            found[f"{name}, small"] = {"method": name} | SMALL[name]
        found[f"{name}, finished"] = {"method": name} | SMALL.get(name, {}) | FINISHED
    return found


#: for tests that run every one of the configurations
few = settings(max_examples=25)

BY_TIME: dict[str, Config] = {
    "online, by time": {"time_constant": 3.0},
    "adaptive, by time": {"method": "adaptive", "time_constant": 3.0},
}
EVERY = configs(NAMES) | BY_TIME
every_config = pytest.mark.parametrize("config", EVERY.values(), ids=EVERY)
own_configs = pytest.mark.parametrize("config", configs(OWN).values(), ids=configs(OWN))
every_method = pytest.mark.parametrize("method", NAMES)

value = st.one_of(
    st.floats(-1e75, 1e75), st.floats(-1.0, 1.0), st.sampled_from([0.0, 1.0, 1.0 + 2**-52, 5e-324, 1e75, math.nan])
)
row = st.tuples(value, value, value)
#: rows of three features; a row may come many times over
tables = st.lists(st.tuples(row, st.integers(1, 12)), min_size=1, max_size=6).map(
    lambda runs: np.array([row for row, times in runs for _ in range(times)])
)


def drawn(readings: int = 300, seed: int = 0) -> Array:
    """Return rows of three sensors of different kinds, some values missing."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(20.0, 1.0, size=readings)
    rows = np.stack([noise, rng.random(readings) < 0.5, np.cumsum(rng.normal(size=readings))], axis=1)
    rows[rng.random(rows.shape) < 0.1] = math.nan
    return rows


def named(row: Array) -> dict[str, Any]:
    return dict(zip("abc", row.tolist(), strict=True))


def one_by_one(stream: Stream, rows: Array) -> Array:
    return np.array([observe(stream, named(row)).values for row in rows], dtype=np.float64)


def fed(config: Config, readings: int = 300, seed: int = 0) -> Stream:
    stream = new(**config)
    observe_rows(stream, drawn(readings, seed))
    return stream
