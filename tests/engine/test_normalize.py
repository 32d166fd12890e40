"""Normalizing and denormalizing go by today's statistics and learn nothing."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.streams.spreads import WIDE, means_stds
from streamnorm.errors import CannotInvert
from tests.support.conformance import Config, every_config
from tests.support.engine import CONFIGS, bits, denormalize, new, normalize, observe, plain, varied

configs = pytest.mark.parametrize("config", CONFIGS, ids=["default", "cumulative", "by time", "everything"])


@configs
def test_normalizing_learns_nothing(config: dict[str, Any]) -> None:
    stream = new(**config)
    for seq, (a, b) in enumerate(varied()):
        observe(stream, {"a": a, "b": b, "ir": [a, b]}, seq=seq)
    before = bits(stream)
    normalize(stream, {"a": 100.0, "b": None, "ir": [1.0, None], "unseen": 3.0})
    assert bits(stream) == before


def test_normalizing_is_the_z_score_by_todays_statistics() -> None:
    stream = new()
    for a, b in varied():
        observe(stream, {"a": a, "b": b})
    mean, std = stream.mean_std("a")
    assert normalize(stream, {"a": 25.0}).values == [pytest.approx((25.0 - mean) / std, rel=1e-12)]


def test_normalizing_what_was_just_observed_gives_the_same() -> None:
    stream = new()
    for row in varied():
        answer = observe(stream, row)
    np.testing.assert_allclose(plain(normalize(stream, row)), plain(answer), rtol=1e-9)


def test_normalizing_a_feature_never_seen_gives_nothing() -> None:
    stream = new(warmup=0)
    observe(stream, {"a": 1.0})
    answer = normalize(stream, {"a": 1.0, "b": 1.0})
    assert (np.isnan(plain(answer)).tolist(), answer.ready) == ([False, True], False)


def test_normalizing_a_feature_seen_only_missing_gives_nothing() -> None:
    stream = new()
    observe(stream, {"a": None})
    assert np.isnan(plain(normalize(stream, {"a": 1.0}))).all()


def test_normalizing_by_a_constant_gives_zero() -> None:
    stream = new()
    for _ in range(10):
        observe(stream, {"a": 0.1})
    assert normalize(stream, {"a": 0.1}).values == [0.0]


@pytest.mark.parametrize("constant", [0.1, -7.3, 0.0])
def test_normalizing_a_missing_value_of_a_constant_gives_nothing(constant: float) -> None:
    stream = new()
    for _ in range(10):
        observe(stream, {"a": constant, "b": constant})
    assert np.isnan(plain(normalize(stream, {"a": None, "b": constant}))).tolist() == [True, False]


def test_normalizing_a_missing_value_of_a_constant_gives_the_mean_where_that_stands_for_it() -> None:
    stream = new(missing="mean", affine={"a": {"gamma": 2.0, "beta": 0.5}})
    for _ in range(10):
        observe(stream, {"a": 0.1})
    assert normalize(stream, {"a": None}).values == [0.5]


@pytest.mark.parametrize("value", [1.0 + 2.0**-52, 1.0 - 2.0**-53], ids=["above", "below"])
def test_normalizing_gives_zero_where_observing_does_for_the_mean_would_not_move(value: float) -> None:
    stream = new()
    for _ in range(3):
        observe(stream, [1.0])
    assert normalize(stream, [value]).values == observe(stream, [value]).values


@pytest.mark.parametrize("value", [0.1, 0.0, 1e9, -7.3])
@pytest.mark.parametrize("horizons", [40, 60, 100, 500])
def test_normalizing_a_sensor_that_got_stuck_gives_zero(value: float, horizons: int) -> None:
    stream = new(horizon=20.0)
    for x in [*varied()[:, 0], *[value] * (20 * horizons)]:
        observe(stream, [x])
    assert normalize(stream, [value]).values == [pytest.approx(0.0, abs=1e-8)]


def test_normalizing_clamps_and_maps_as_observing_does() -> None:
    stream = new(clamp=1.0, missing="mean", affine={"b": {"gamma": 10.0, "beta": 1.0}})
    for a, b in varied():
        observe(stream, {"a": a, "b": b})
    assert normalize(stream, {"a": None, "b": 1e6}).values == [0.0, 11.0]


@given(st.floats(19.0, 21.0), st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_denormalizing_inverts_normalizing(x: float, gamma: float, beta: float) -> None:
    stream = new(affine={"a": {"gamma": gamma, "beta": beta}})
    for a, b in varied(20):
        observe(stream, {"a": a, "b": b})
    ys = normalize(stream, {"a": x, "b": x}).values
    assert denormalize(stream, {"a": ys[0], "b": ys[1]}) == pytest.approx([x, x], rel=1e-9, abs=1e-9)


def test_denormalizing_a_channel_inverts_its_elements() -> None:
    stream = new(affine={"ir": {"gamma": 2.0, "beta": 1.0}})
    for a, b in varied(20):
        observe(stream, {"ir": [[a], [b]]})
    (ys,) = normalize(stream, {"ir": [[17.0], [24.0]]}).values
    (xs,) = denormalize(stream, {"ir": ys})
    np.testing.assert_allclose(xs, [[17.0], [24.0]], rtol=1e-12)


def test_denormalizing_learns_nothing() -> None:
    stream = new()
    for row in varied(20):
        observe(stream, row)
    before = bits(stream)
    denormalize(stream, [1.0, None])
    assert bits(stream) == before


def test_denormalizing_a_missing_value_gives_nothing() -> None:
    stream = new()
    observe(stream, [1.0])
    assert np.isnan(denormalize(stream, [None])).all()


def test_what_cannot_be_denormalized_is_named() -> None:
    stream = new(affine={"a": {"gamma": 0.0}})
    observe(stream, {"a": 1.0, "b": 2.0})
    observe(stream, {"a": 1.0, "b": 3.0})
    with pytest.raises(CannotInvert) as caught:
        denormalize(stream, {"a": 1.0, "b": 1.0, "c/d": 1.0})
    assert caught.value.faults == (("/values/a", "gamma is 0"), ("/values/c~1d", "unknown feature"))


@pytest.mark.parametrize("width", [1, WIDE - 1, WIDE, 40])
@every_config
def test_means_and_deviations_of_all_features_are_those_of_each(config: Config, width: int) -> None:
    stream = new(**config)
    names = tuple(f"f{place}" for place in range(width))
    for row in varied(50, width).tolist():
        row[width // 2] = math.nan  # it has none
        observe(stream, dict(zip(names, row, strict=True)))
    for asked in (names, names[::-1], (*names, "unknown")):
        means, stds = zip(*map(stream.mean_std, asked), strict=True)
        assert means_stds(stream, asked).tobytes() == array("d", means + stds).tobytes()
