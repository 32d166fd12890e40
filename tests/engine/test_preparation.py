"""What is done to values before they are normalized, and how it is turned back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from streamnorm import Normalizer
from streamnorm.errors import CannotInvert

START = 1_700_000_000.0


def of(**parameters: object) -> Normalizer:
    """Return a normalizer of one feature that is prepared."""
    return Normalizer(features={"x": parameters}, warmup=2, clock=lambda: START)


def fed(normalizer: Normalizer, values: list[float | None], seconds: float = 10.0) -> list[float | None]:
    answers = (normalizer.observe({"x": x}, timestamp=START + seconds * at) for at, x in enumerate(values))
    return [answer.values["x"] for answer in answers]


def mean(normalizer: Normalizer, name: str = "x") -> float:
    return float(normalizer.normalize({"x": 1.0}, stats=True).mean[name])


def test_values_out_of_bounds_are_missing_and_counted() -> None:
    bounded, plain = of(valid=[-40, 80]), Normalizer(warmup=2)
    ys = fed(bounded, [20.0, 85.0, 22.0, -41.0, 80.0, -40.0])
    assert ys[1] is ys[3] is None
    assert [y for y in ys if y is not None] == fed(plain, [20.0, 22.0, 80.0, -40.0])
    feature = bounded.snapshot()["features"][0]
    assert (feature["invalid"], feature["missing"], feature["count"]) == (2, 2, 4)


def test_codes_are_missing_but_not_invalid() -> None:
    coded = of(missing_codes=[85.0, -127.0], valid=[-40, 80])
    assert fed(coded, [20.0, 85.0, -127.0, 22.0])[1:3] == [None, None]
    feature = coded.snapshot()["features"][0]
    assert "invalid" not in feature
    assert feature["missing"] == 2


def test_a_code_that_means_nothing_is_answered_by_the_mean_where_that_is_asked_for() -> None:
    assert fed(of(missing_codes=[85.0], missing="mean"), [20.0, 85.0])[1] == 0.0


def test_a_logarithm_makes_factors_equal_steps() -> None:
    logged, plain = of(transform="log"), Normalizer(warmup=2)
    values = [1.0, 10.0, 100.0, 10.0, 1000.0]
    assert fed(logged, [*values]) == fed(plain, [math.log(x) for x in values])


def test_what_has_no_logarithm_is_invalid() -> None:
    logged = of(transform="log")
    assert fed(logged, [1.0, 0.0, -3.0, 10.0])[1:3] == [None, None]
    assert logged.snapshot()["features"][0]["invalid"] == 2
    assert None not in fed(of(transform="log1p"), [1.0, 0.0, 10.0])


@pytest.mark.parametrize("transform", ["log", "log1p"])
def test_a_logarithm_is_turned_back(transform: str) -> None:
    logged = of(transform=transform)
    fed(logged, [1.0, 10.0, 100.0, 5.0])
    y = logged.normalize({"x": 42.0}).values["x"]
    assert logged.denormalize({"x": y})["x"] == pytest.approx(42.0)


def test_a_counter_is_normalized_by_its_increase_per_second() -> None:
    counter, plain = of(transform="rate"), Normalizer(warmup=2)
    ys = fed(counter, [100.0, 130.0, 150.0, 150.0, 200.0])
    assert ys[0] is None
    assert ys[1:] == fed(plain, [3.0, 2.0, 0.0, 5.0])


def test_a_counter_that_starts_again_has_risen_from_zero() -> None:
    counter = of(transform="rate")
    fed(counter, [100.0, 130.0, 20.0])
    assert mean_of_last(counter, [3.0, 2.0])


@pytest.mark.parametrize("width", [2.0**16, 2.0**32])
def test_counters_of_known_widths_wrap(width: float) -> None:
    counter = of(transform="rate")
    fed(counter, [width - 30.0, width - 10.0, 20.0])
    assert mean_of_last(counter, [2.0, 3.0])


def test_a_counter_wraps_where_it_is_told_to() -> None:
    counter = of(transform="rate", wrap=1000)
    fed(counter, [960.0, 990.0, 10.0])
    assert mean_of_last(counter, [3.0, 2.0])


def mean_of_last(counter: Normalizer, rates: list[float]) -> bool:
    """Return whether a counter's statistics are those of these rates."""
    plain = Normalizer(warmup=2)
    fed(plain, [*rates])
    return bool(mean(counter) == mean(plain))


def test_readings_of_one_instant_and_late_ones_tell_no_rate() -> None:
    counter = of(transform="rate")
    moments = [(100.0, 0.0), (120.0, 10.0), (125.0, 10.0), (90.0, 5.0), (140.0, 20.0)]
    ys = [counter.observe({"x": x}, timestamp=START + t).values["x"] for x, t in moments]
    assert [y is None for y in ys] == [True, False, True, True, False]
    assert mean_of_last(counter, [2.0, 2.0])


def test_a_rate_does_not_tell_what_its_counter_shows() -> None:
    counter = of(transform="rate")
    fed(counter, [100.0, 130.0, 150.0])
    with pytest.raises(CannotInvert, match="/values/x: is a rate, which does not tell what its counter shows"):
        counter.denormalize({"x": 0.5})


def test_normalizing_a_counter_leaves_its_last_value_as_it_was() -> None:
    counter = of(transform="rate")
    fed(counter, [100.0, 130.0, 150.0])
    before = counter.snapshot()
    counter.normalize({"x": 190.0})
    assert counter.snapshot() == before


def test_an_angle_becomes_its_sine_and_cosine_so_that_north_is_one_direction() -> None:
    wind = Normalizer(features={"wind": {"transform": "circular"}}, warmup=2)
    for angle in (350.0, 10.0, 355.0, 5.0):
        answer = wind.observe({"wind": angle, "temp": 20.0}, stats=True)
    assert [*answer.values] == ["wind.sin", "wind.cos", "temp"]
    assert answer.mean["wind.sin"] == pytest.approx(0.0, abs=1e-3)
    assert answer.mean["wind.cos"] == pytest.approx(1.0, abs=0.01)
    assert wind.features == ("wind.sin", "wind.cos", "temp")


@pytest.mark.parametrize(("period", "angle"), [(360.0, 271.5), (24.0, 23.25), (2 * math.pi, 3.0)])
def test_an_angle_is_turned_back_from_both_of_its_parts(period: float, angle: float) -> None:
    wind = of(transform="circular", period=period)
    for at in range(8):
        wind.observe({"x": at * period / 8})
    values = wind.normalize({"x": angle}).values
    assert wind.denormalize(values)["x"] == pytest.approx(angle)
    with pytest.raises(CannotInvert, match=r"is half of an angle: x\.sin and x\.cos are needed"):
        wind.denormalize({"x.sin": values["x.sin"]})


def test_an_angle_in_a_list_or_a_table_is_two_columns() -> None:
    wind = Normalizer(features={"0": {"transform": "circular", "period": 4}}, warmup=2)
    block = wind.observe_block([[0.0, 5.0], [1.0, 6.0]])
    assert block.features == ("0.sin", "0.cos", "1")
    assert np.shape(block.values) == (2, 3)
    assert len(wind.observe([2.0, 5.0]).values) == 3
    assert wind.observe(np.array([2.0, 5.0])).values.shape == (3,)


def test_a_prepared_stream_goes_on_from_its_snapshot_to_the_bit() -> None:
    features = {"x": {"transform": "rate"}, "wind": {"transform": "circular"}, "lux": {"transform": "log"}}
    stream = Normalizer(features=features, warmup=2, clock=lambda: START)
    for at in range(6):
        stream.observe({"x": at * at, "wind": 40.0 * at, "lux": at}, timestamp=START + at)
    copy = Normalizer.restore(json.loads(json.dumps(stream.snapshot())), clock=lambda: START)
    following = {"x": 80.0, "wind": 3.0, "lux": 9.0}
    assert copy.observe(following, timestamp=START + 9) == stream.observe(following, timestamp=START + 9)
    assert copy.snapshot() == stream.snapshot()


def test_merged_counters_go_on_from_the_later_one() -> None:
    early, late = of(transform="rate"), of(transform="rate")
    fed(early, [10.0, 20.0])
    fed(late, [100.0, 130.0, 150.0])
    early.merge(late)
    feature = early.snapshot()["features"][0]
    assert (feature["counter"], feature["counter_time"], feature["count"]) == (150.0, START + 20.0, 3)
