"""An array-valued feature shares one mean and one variance among its elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.errors import ShapeMismatch
from streamnorm.kernels import METHODS
from tests.support.engine import bits, new, observe

Array = npt.NDArray[np.float64]
readings = st.lists(st.one_of(st.floats(-1e75, 1e75), st.floats(-1.0, 1.0), st.just(math.nan)), min_size=1, max_size=30)


def answered(stream: Any, image: object) -> Array:
    """Observe one channel; returns its elements' answers."""
    (ys,) = observe(stream, {"ir": image}).values
    assert isinstance(ys, np.ndarray)
    return ys


def images(count: int = 60, seed: int = 0) -> Array:
    """Return small images whose level drifts, some elements missing."""
    rng = np.random.default_rng(seed)
    drawn = 20.0 + rng.normal(size=(count, 1, 1)) + rng.normal(0.0, 3.0, size=(count, 3, 4))
    drawn[rng.random(drawn.shape) < 0.1] = math.nan
    return drawn


def merged_as_group(drawn: Array, horizon: float) -> tuple[float, float]:
    """Return mean and standard deviation of all elements, each reading's sharing its weight."""
    weights = (1.0 - 1.0 / horizon) ** np.arange(len(drawn))[::-1]
    means = np.array([np.nanmean(image) for image in drawn])
    mean = float(np.average(means, weights=weights))
    return mean, math.sqrt(np.average([np.nanmean((image - mean) ** 2) for image in drawn], weights=weights))


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("robust", [None, 2.0])
@given(xs=readings)
def test_a_channel_of_one_element_is_a_plain_feature(method: str, robust: float | None, xs: list[float]) -> None:
    config = {"method": method, "robust": robust, "warmup": 3}
    channel, plain = new(**config), new(**config)
    ys = [answered(channel, [x])[0] for x in xs]
    np.testing.assert_array_equal(ys, [observe(plain, {"ir": x}).values[0] for x in xs])
    np.testing.assert_array_equal(channel.state, plain.state)


def test_an_image_is_normalized_by_the_statistics_of_all_elements() -> None:
    stream = new(horizon=50.0)
    drawn = images()
    for place, image in enumerate(drawn):
        mean, std = merged_as_group(drawn[: place + 1], 50.0)
        np.testing.assert_allclose(answered(stream, image), (image - mean) / std, rtol=1e-9, atol=1e-9)


def test_a_channels_spread_is_that_of_all_elements() -> None:
    stream = new(horizon=50.0)
    for image in images():
        answered(stream, image)
    assert stream.mean_std("ir") == pytest.approx(merged_as_group(images(), 50.0), rel=1e-9)


def test_cumulative_elements_are_one_population() -> None:
    stream = new(method="cumulative")
    drawn = np.random.default_rng(0).normal(20.0, 3.0, size=(40, 5))
    for image in drawn:
        answered(stream, image)
    assert stream.mean_std("ir") == pytest.approx((drawn.mean(), drawn.std()), rel=1e-12)


def test_missing_elements_are_answered_as_missing() -> None:
    assert np.isnan(answered(new(), [1.0, None, 3.0])).tolist() == [False, True, False]


def test_missing_elements_become_the_mean_where_it_is_asked_for() -> None:
    assert answered(new(missing="mean", affine={"ir": {"beta": 0.5}}), [None, None]).tolist() == [0.5, 0.5]


def test_a_wholly_missing_image_teaches_nothing() -> None:
    stream = new()
    for image in images():
        answered(stream, image)
    before = stream.mean_std("ir")
    ys = answered(stream, np.full((3, 4), math.nan))
    assert np.isnan(ys).all()
    assert stream.mean_std("ir") == before


def test_null_stands_for_a_whole_image() -> None:
    stream = new()
    answered(stream, [1.0, 2.0])
    (y,) = observe(stream, {"ir": None}).values
    assert (math.isnan(float(y)), stream.layout.shapes) == (True, ((2,),))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9, 1e-300, 1 / 3])
def test_a_constant_image_gives_exactly_zero(value: float) -> None:
    stream = new()
    assert not any(answered(stream, np.full((7, 5), value)).any() for _ in range(100))


def test_an_image_that_gets_stuck_on_one_level_gives_exactly_zero() -> None:
    stream = new(horizon=20.0)
    for image in images():
        answered(stream, image)
    ys = [answered(stream, np.full((3, 4), 17.3)) for _ in range(2000)]
    assert not np.array(ys[800:]).any()


def test_the_first_image_has_zero_mean_and_unit_variance() -> None:
    ys = answered(new(), np.random.default_rng(0).normal(20.0, 3.0, size=(8, 8)))
    assert (ys.mean(), ys.std()) == pytest.approx((0.0, 1.0), abs=1e-12)


def test_an_answer_has_the_shape_of_its_image() -> None:
    assert answered(new(clamp=1.0), np.arange(24.0).reshape(2, 3, 4)).shape == (2, 3, 4)


@pytest.mark.parametrize("image", [[1.0, 2.0, 3.0], [[1.0, 2.0]], 5.0, [None, None, None]], ids=repr)
def test_another_shape_is_refused_and_changes_no_bit(image: object) -> None:
    stream = new()
    observe(stream, {"ir": [1.0, 2.0]}, seq=1)
    before = bits(stream)
    with pytest.raises(ShapeMismatch):
        observe(stream, {"new": 1.0, "ir": image}, seq=2)
    assert bits(stream) == before


def test_a_feature_that_was_only_missing_may_still_become_an_image() -> None:
    stream = new()
    observe(stream, {"ir": None})
    assert answered(stream, [[1.0, 2.0]]).shape == (1, 2)


def test_robust_one_wild_image_cannot_spoil_the_statistics() -> None:
    stream = new(robust=3.0)
    for image in images(200):
        answered(stream, image)
    answered(stream, np.full((3, 4), 1e6) + np.arange(12.0).reshape(3, 4) * 1e5)
    assert stream.mean_std("ir") == pytest.approx(merged_as_group(images(200), 1000.0), rel=0.05)


def test_readings_with_and_without_channels_take_turns() -> None:
    stream, apart = new(), new()
    for place, image in enumerate(images(20)):
        observe(stream, {"a": float(place), "ir": image} if place % 2 else {"a": float(place)})
        observe(apart, {"a": float(place)})
    assert stream.mean_std("a") == apart.mean_std("a")
