"""What every method keeps to, whatever the sensor sends and however its stream is configured."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.state.layout import HEADER_SIZE
from streamnorm.engine.streams.feature_profile import profile
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import CannotInvert
from streamnorm.kernels import base_statistics as base
from tests.support.conformance import (
    BY_TODAY,
    Array,
    Config,
    drawn,
    every_config,
    every_method,
    fed,
    few,
    named,
    one_by_one,
    own_configs,
    row,
    tables,
)
from tests.support.engine import bits, denormalize, new, normalize, observe, observe_rows, ybits


@every_config
@few
@given(rows=tables)
def test_bulk_is_one_by_one_to_the_bit(config: Config, rows: Array) -> None:
    bulk, single = new(**config), new(**config)
    assert observe_rows(bulk, rows).values.tobytes() == one_by_one(single, rows).tobytes()
    assert bits(bulk) == bits(single)


@every_config
def test_a_long_bulk_is_one_by_one_to_the_bit(config: Config) -> None:
    bulk, single, rows = new(**config), new(**config), drawn(2000)
    assert observe_rows(bulk, rows).values.tobytes() == one_by_one(single, rows).tobytes()
    assert bits(bulk) == bits(single)


@every_config
@few
@given(rows=tables)
def test_only_a_missing_value_is_ever_answered_with_none(config: Config, rows: Array) -> None:
    ys = observe_rows(new(**config), rows).values
    missing = np.isnan(rows) & (config.get("missing") != "mean")
    assert (np.isfinite(ys) == ~missing).all()


@every_config
@few
@given(rows=tables, then=row)
def test_normalizing_gives_a_finite_answer_for_every_feature_known(
    config: Config, rows: Array, then: tuple[float, ...]
) -> None:
    stream = new(**config)
    observe_rows(stream, rows)
    ys = np.array(normalize(stream, named(np.array(then))).values, dtype=np.float64)
    unknown = np.isnan(rows).all(axis=0) | np.isnan(then)
    assert np.isfinite(ys[~unknown]).all()


@every_config
@few
@given(rows=tables, then=row)
def test_normalizing_never_learns(config: Config, rows: Array, then: tuple[float, ...]) -> None:
    stream = new(**config)
    observe_rows(stream, rows)
    before = bits(stream)
    normalize(stream, named(np.array(then)) | {"unseen": 1.0})
    assert bits(stream) == before


@own_configs
@few
@given(first=row)
def test_the_first_reading_is_the_mean(config: Config, first: tuple[float, ...]) -> None:
    stream = new(**config | {"missing": "mean"})
    betas = [stream.plan.gamma_beta(name)[1] for name in "abc"]
    assert one_by_one(stream, np.array([first])).tolist() == [betas]


@every_config
@few
@given(rows=tables)
def test_a_missing_value_changes_nothing_but_its_count(config: Config, rows: Array) -> None:
    stream = new(**config)
    observe_rows(stream, rows)
    before = stream.state.tolist()
    observe(stream, {"a": None, "b": None, "c": None})
    for start in stream.layout.starts:
        before[start + base.MISSING] += 1.0
    assert stream.state.tolist()[HEADER_SIZE:] == before[HEADER_SIZE:]


@every_config
def test_what_was_missing_never_shows_later(config: Config) -> None:
    gappy, whole, rows = new(**config), new(**config), np.nan_to_num(drawn())
    for place, values in enumerate(rows):
        if place % 3 == 0:
            observe(gappy, {"a": None, "b": None, "c": None})
        assert ybits(observe(gappy, named(values))) == ybits(observe(whole, named(values)))


@own_configs
@few
@given(exponent=st.integers(-60, 60))
def test_scaling_a_sensor_by_a_power_of_two_changes_no_bit(config: Config, exponent: int) -> None:
    rows = drawn(100)
    scaled, plain = (observe_rows(new(**config), table).values for table in (rows * 2.0**exponent, rows))
    assert scaled.tobytes() == plain.tobytes()


@own_configs
@pytest.mark.parametrize("scale", [1e-6, 255.0, -1e6])
def test_the_unit_of_a_sensor_does_not_matter(config: Config, scale: float) -> None:
    mirrored = config | ({"affine": {}} if scale < 0 else {})
    scaled, plain = (observe_rows(new(**mirrored), rows).values for rows in (drawn() * scale, drawn()))
    np.testing.assert_allclose(scaled, plain * np.sign(scale), rtol=1e-9, atol=1e-9)


@own_configs
def test_the_zero_of_a_sensor_does_not_matter(config: Config) -> None:
    shifted, plain = (observe_rows(new(**config), rows).values for rows in (drawn() + 4096.0, drawn()))
    np.testing.assert_allclose(shifted, plain, rtol=1e-8, atol=1e-8)


@own_configs
@few
@given(x=st.floats(-1e75, 1e75))
def test_a_constant_is_answered_with_exactly_the_mean(config: Config, x: float) -> None:
    stream = new(**config)
    betas = [stream.plan.gamma_beta(name)[1] for name in "abc"]
    assert (observe_rows(stream, [[x] * 3] * 40).values == betas).all()


def invertible(method: str, **config: Any) -> Stream:
    return fed({"method": method} | ({"compensation": "none"} if method == "online-2019" else {}) | config)


@every_method
@few
@given(parts=st.tuples(st.floats(-0.99, 0.99), st.floats(-0.99, 0.99)))
def test_denormalizing_inverts_normalizing_within_the_bound(method: str, parts: tuple[float, float]) -> None:
    stream = invertible(method, affine={"a": {"gamma": -2.0, "beta": 0.5}})
    bound = math.sqrt(profile(stream)["a"].weight)
    then = [mean + part * bound * std for part, (mean, std) in zip(parts, map(stream.mean_std, "ac"), strict=True)]
    xs = {"a": then[0], "c": then[1]}
    ys = normalize(stream, xs).values
    assert denormalize(stream, dict(zip(xs, ys, strict=True))) == pytest.approx(then, rel=1e-9, abs=1e-9)


@every_config
@few
@given(rows=tables, then=row)
def test_what_is_only_normalized_is_bounded_by_the_root_of_the_weight(
    config: Config, rows: Array, then: tuple[float, ...]
) -> None:
    if config.get("method") == "online-2019":
        return  # whose statistics begin at 0 ± 1, as the paper has them
    stream = new(**config | {"affine": {}})
    observe_rows(stream, rows)
    ys = np.array(normalize(stream, named(np.array(then))).values, dtype=np.float64)
    weights = np.array([profile(stream)[name].weight for name in "abc"])
    assert (np.isnan(ys) | (np.abs(ys) <= np.sqrt(weights))).all()


@every_method
def test_an_image_that_is_only_normalized_is_bounded_by_its_size_too(method: str) -> None:
    stream = new(method=method, compensation="none") if method == "online-2019" else new(method=method)
    for _ in range(5):
        observe(stream, {"ir": [0.0] * 99 + [1.0]})
    (ys,) = normalize(stream, {"ir": [0.0] * 99 + [1e9]}).values
    if method != "online-2019":
        assert np.max(ys) == pytest.approx(math.sqrt(100 * profile(stream)["ir"].weight))


@own_configs
def test_what_differs_from_a_constant_so_far_lies_at_the_bound_and_has_no_way_back(config: Config) -> None:
    stream = new(**config | {"affine": {}, "clamp": None})
    observe_rows(stream, [[24.0] * 3] * 100)
    bound = math.sqrt(profile(stream)["a"].weight)
    assert normalize(stream, {"a": 12.0, "b": 24.0, "c": 24.0 + 1e-9}).values == [-bound, 0.0, bound]
    assert denormalize(stream, {"a": 0.0}) == [24.0]
    with pytest.raises(CannotInvert, match="/values/a: the feature has been constant so far"):
        denormalize(stream, {"a": -bound})


@pytest.mark.parametrize("method", BY_TODAY)
def test_denormalizing_inverts_observing(method: str) -> None:
    stream = invertible(method, affine={"a": {"gamma": -2.0, "beta": 0.5}})
    xs: dict[str, Any] = {"a": 21.5, "b": 1.0, "c": 3.25, "ir": [[1.0, 2.0], [3.0, 4.0]]}
    for factor in (1.0, 1.5, 0.5):
        then = {name: np.multiply(x, factor) for name, x in xs.items()}
        ys = observe(stream, then).values
        for back, x in zip(denormalize(stream, dict(zip(xs, ys, strict=True))), then.values(), strict=True):
            np.testing.assert_allclose(back, x, rtol=1e-9)


def test_layer_scaling_cannot_be_inverted_and_says_so() -> None:
    stream = fed({"method": "online-2019", "compensation": "layer-scaling"})
    with pytest.raises(CannotInvert, match="/values/a: layer scaling"):
        denormalize(stream, {"a": 1.0})
