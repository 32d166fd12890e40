"""A snapshot is the whole state as plain JSON; restored, a stream goes on to the same bits."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.limits import Limits
from streamnorm.engine.streams.snapshot import VERSION, export, restore_stream
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidSnapshot, LimitExceeded
from streamnorm.kernels import METHODS
from streamnorm.kernels.methods.adaptive_bank import (
    COMMON,
    KEEP,
    LAST,
    MEAN,
    MIXED,
    SLOPE,
    STRIDE,
    TREND_TRUST,
    TRUST,
    VARIANCE,
)
from tests.support.engine import LIMITS, NOW, bits, new, observe, observe_rows, varied, ybits

number = st.one_of(st.floats(-1e75, 1e75), st.floats(-3.0, 3.0), st.none())
readings = st.lists(
    st.fixed_dictionaries({"a": number}, optional={"b": number, "ir": st.lists(number, min_size=2, max_size=2)}),
    max_size=20,
)


def through_json(stream: Stream) -> Stream:
    return restore_stream(json.loads(json.dumps(export(stream), allow_nan=False)), LIMITS)


def fed(**config: Any) -> Stream:
    """Return a stream of a plain feature, a channel, and one that was always missing."""
    stream = new(**config)
    for seq, (a, b) in enumerate(varied().tolist()):
        observe(stream, {"a": a, "ir": [[a, b]], "gone": None}, seq)
    return stream


def state_of(stream: Stream) -> tuple[Any, ...]:
    """Return what a snapshot keeps: all but the answer to a repeated number."""
    return (*bits(stream)[:3], [value for place, value in enumerate(stream.state) if place != 2])


@pytest.mark.parametrize("method", sorted(METHODS))
@given(rows=readings)
def test_a_stream_comes_back_from_json_to_the_bit(method: str, rows: list[dict[str, Any]]) -> None:
    stream = new(method=method)
    for row in rows:
        observe(stream, row)
    assert bits(through_json(stream)) == bits(stream)


@given(rows=readings, times=st.lists(st.floats(0.0, NOW), min_size=20, max_size=20))
def test_a_stream_by_time_comes_back_from_json_to_the_bit(rows: list[dict[str, Any]], times: list[float]) -> None:
    stream = new(time_constant=60.0)
    for row, t in zip(rows, times, strict=False):
        observe(stream, row, timestamp=t)
    assert bits(through_json(stream)) == bits(stream)


@pytest.mark.parametrize(
    "config", [*({"method": method} for method in sorted(METHODS)), {"time_constant": 60.0, "robust": 2.0}], ids=repr
)
def test_a_restored_stream_goes_on_to_the_same_bits(config: dict[str, Any]) -> None:
    stream = fed(**config)
    copied = through_json(stream)
    for seq, (a, b) in enumerate(varied(300, seed=1).tolist(), start=100):
        values = {"a": a, "ir": [[b, a]], "gone": b}
        assert ybits(observe(copied, values, seq)) == ybits(observe(stream, values, seq))
    assert bits(copied) == bits(stream)


def test_a_blocks_stream_comes_back_too() -> None:
    stream = new(clamp=1.0)
    observe_rows(stream, varied(), first_seq=3)
    assert state_of(through_json(stream)) == state_of(stream)


def test_a_new_streams_snapshot_comes_back() -> None:
    assert bits(through_json(new())) == bits(new())


def test_a_snapshot_names_its_version_counters_and_features() -> None:
    snapshot = export(fed())
    assert (snapshot["version"], snapshot["count"], snapshot["last_seq"]) == (VERSION, 100, 99)
    assert [(feature["name"], feature["shape"]) for feature in snapshot["features"]] == [
        ("a", []),
        ("ir", [1, 2]),
        ("gone", []),
    ]


def test_a_snapshot_carries_its_configuration() -> None:
    config = {"horizon": 50.0, "clamp": 2.0, "affine": {"a": {"gamma": 2.0, "beta": 0.0}}}
    assert config.items() <= export(new(**config))["config"].items()


def test_taking_a_snapshot_changes_no_bit() -> None:
    stream = fed()
    before = bits(stream)
    export(stream)
    assert bits(stream) == before


def changed(snapshot: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return a copy with one part replaced."""
    result = copy.deepcopy(snapshot)
    place: Any = result
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return result


def without(snapshot: dict[str, Any], *path: Any) -> dict[str, Any]:
    """Return a copy with one part left out."""
    result = copy.deepcopy(snapshot)
    place: Any = result
    for part in path[:-1]:
        place = place[part]
    del place[path[-1]]
    return result


def pointers(snapshot: object, limits: Limits = LIMITS) -> list[str]:
    """Return the places an error names."""
    with pytest.raises(InvalidSnapshot) as caught:
        restore_stream(snapshot, limits)
    return [fault.pointer for fault in caught.value.faults]


@pytest.mark.parametrize("snapshot", [None, [], "{}", 1])
def test_a_snapshot_is_an_object(snapshot: object) -> None:
    assert pointers(snapshot) == [""]


@pytest.mark.parametrize("version", [0, 2, "1", None, 1.5])
def test_another_version_is_refused(version: object) -> None:
    assert pointers(changed(export(fed()), ("version",), version)) == ["/version"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("count",), -1),
        (("count",), 1.5),
        (("last_seq",), -1),
        (("last_seq",), 2**53),
        (("created",), "2026-01-01"),
        (("updated",), 1e300),
        (("updated",), math.nan),
        (("features",), {}),
        (("extra",), 1),
        (("config", "horizon"), 0),
        (("config", "method"), "magic"),
        (("config", "colour"), "red"),
        (("config", "affine"), {"a/b": {"gamma": "x"}}),
        (("config",), None),
        (("features", 1), 5),
        (("features", 1, "name"), ""),
        (("features", 1, "name"), "x" * 129),
        (("features", 1, "name"), "line\nbreak"),
        (("features", 1, "name"), 7),
        (("features", 1, "shape"), [0]),
        (("features", 1, "shape"), [-1]),
        (("features", 1, "shape"), [2**40, 2**40]),
        (("features", 1, "shape"), [1] * 33),
        (("features", 1, "variance"), -1e-9),
        (("features", 1, "fourth_moment"), -1.0),
        (("features", 1, "mean"), None),
        (("features", 1, "mean"), "20"),
        (("features", 1, "mean"), math.nan),
        (("features", 1, "mean"), 1e300),
        (("features", 1, "variance"), 1e300),
        (("features", 1, "third_moment"), -1e300),
        (("features", 1, "weight"), 1e300),
        (("features", 1, "last"), math.inf),
        (("features", 1, "count"), True),
        (("features", 1, "time"), 1e300),
        (("features", 1, "own"), [1.0]),
        (("features", 1, "own"), [None]),
        (("features", 1, "colour"), "red"),
    ],
    ids=repr,
)
def test_a_wrong_place_of_a_snapshot_is_named(path: tuple[Any, ...], value: object) -> None:
    (pointer,) = pointers(changed(export(fed()), path, value))
    at = "".join(f"/{part}" for part in path)
    assert pointer == at or pointer.startswith(f"{at}/")


@pytest.mark.parametrize("path", [("config",), ("count",), ("created",), ("features",), ("features", 0, "mean")])
def test_a_part_that_is_left_out_is_named(path: tuple[Any, ...]) -> None:
    assert pointers(without(export(fed()), *path)) == ["".join(f"/{part}" for part in path)]


def test_every_wrong_place_is_named() -> None:
    snapshot = changed(changed(export(fed()), ("count",), -1), ("features", 0, "run"), -1.0)
    assert sorted(pointers(snapshot)) == ["/count", "/features/0/run"]


def test_a_feature_named_twice_is_refused() -> None:
    assert pointers(changed(export(fed()), ("features", 1, "name"), "a")) == ["/features"]


@pytest.mark.parametrize(("count", "weight"), [(5.0, 0.0), (0.0, 5.0)])
def test_counts_and_weights_that_contradict_each_other_are_refused(count: float, weight: float) -> None:
    snapshot = changed(changed(export(fed()), ("features", 0, "count"), count), ("features", 0, "weight"), weight)
    assert pointers(snapshot) == ["/features/0"]


def test_a_method_needs_its_own_statistics() -> None:
    assert pointers(changed(export(fed(method="batch")), ("features", 2, "own"), [0.0])) == ["/features/2/own"]


@pytest.mark.parametrize(
    ("method", "place", "value"),
    [
        ("batch", 3, 1e7),
        ("batch", 3, -1.0),
        ("batch", 3, 256.0),
        ("batch", 3, 1.5),
        ("batch", 0, 257.0),
        ("batch", 2, -1.0),
        ("batch", 7, -1.0),
        ("batch-renorm", 2, -1.0),
        ("batch-renorm", 6, 1e7),
        ("streaming", 0, 1e7),
        ("streaming", 7, -1.0),
        ("online-2019", 2, -1.0),
        ("adaptive", 0, -1.0),
        ("adaptive", VARIANCE, -1.0),
        ("adaptive", -COMMON + KEEP, -1.0),
    ],
)
def test_own_statistics_that_no_readings_make_are_refused(method: str, place: int, value: float) -> None:
    snapshot = changed(export(fed(method=method)), ("features", 0, "own", place), value)
    assert pointers(snapshot) == ["/features/0/own"]


def test_adaptive_statistics_that_trust_no_horizon_are_refused() -> None:
    snapshot = export(fed(method="adaptive"))
    own = list(snapshot["features"][0]["own"])
    own[TRUST:-COMMON:STRIDE] = [0.0] * 3
    own[TREND_TRUST:-COMMON:STRIDE] = [0.0] * 2
    assert pointers(changed(snapshot, ("features", 0, "own"), own)) == ["/features/0/own"]


@pytest.mark.parametrize("place", [0, STRIDE, 2 * STRIDE])
def test_adaptive_statistics_of_more_readings_than_a_horizon_has_are_refused(place: int) -> None:
    snapshot = changed(export(fed(method="adaptive")), ("features", 0, "own", place), 1e6)
    assert pointers(snapshot) == ["/features/0/own"]


@pytest.mark.parametrize("place", [MEAN, SLOPE, -COMMON + MIXED, -COMMON + LAST])
@pytest.mark.parametrize("size", [1e100, 1e151])
def test_adaptive_statistics_beyond_what_readings_can_be_are_refused(place: int, size: float) -> None:
    snapshot = changed(export(fed(method="adaptive")), ("features", 0, "own", place), size)
    assert pointers(snapshot) == ["/features/0/own"]


@pytest.mark.parametrize("config", [{}, {"horizon": 16.0}, {"time_constant": 60.0}], ids=repr)
@given(st.lists(st.floats(-1e75, 1e75), min_size=1, max_size=40), st.integers(1, 50))
def test_whatever_adaptive_keeps_is_restored(config: dict[str, Any], xs: list[float], times: int) -> None:
    stream = new(method="adaptive", **config)
    for x in xs:
        for _ in range(times):
            observe(stream, {"a": x})
    assert restore_stream(export(stream), LIMITS).state == stream.state


def test_a_snapshot_of_the_bank_that_adaptive_kept_before_goes_on_by_mean_and_deviation() -> None:
    """It had 47 numbers: weight, mean, variance and trust of eleven horizons, the mixture's two, the last reading."""
    snapshot = export(fed(method="adaptive"))
    for feature in snapshot["features"]:
        feature["own"] = [1.0] * 47
    stream = restore_stream(snapshot, LIMITS)
    assert stream.count == 100
    for feature in snapshot["features"][:2]:
        mean, std = stream.mean_std(feature["name"])
        assert (mean, std) == (feature["mean"], math.sqrt(feature["variance"]))
    answer = observe(stream, {"a": 24.0, "ir": [[20.0, 21.0]], "gone": 5.0})
    assert answer.values[0] == pytest.approx(
        (24.0 - snapshot["features"][0]["mean"]) / math.sqrt(snapshot["features"][0]["variance"]), rel=0.1
    )


value, square = st.floats(-1e75, 1e75), st.floats(0.0, 1e150)
slots = st.lists(st.tuples(value, square), min_size=4, max_size=4)


@given(st.integers(-1, 5), st.integers(-1, 5), st.tuples(value, square), st.tuples(value, square), slots)
def test_whatever_is_restored_can_be_observed(
    batch: int, head: int, sums: tuple[float, ...], heads: tuple[float, ...], rest: list[tuple[float, float]]
) -> None:
    own = [float(batch), *sums, float(head), *heads, *(part for slot in rest for part in slot)]
    snapshot = changed(export(fed(method="batch", window=4)), ("features", 0, "own"), own)
    try:
        stream = restore_stream(snapshot, LIMITS)
    except InvalidSnapshot:
        return
    assert all(math.isfinite(float(observe(stream, {"a": x}).values[0])) for x in varied(20)[:, 0].tolist())


def test_a_snapshot_keeps_to_the_limit_of_features() -> None:
    with pytest.raises(LimitExceeded):
        restore_stream(export(fed()), Limits(max_features=2))


def test_a_snapshot_keeps_to_the_limit_of_elements() -> None:
    assert pointers(export(fed()), Limits(max_elements=1)) == ["/features/1/shape"]


def test_a_snapshot_may_leave_out_what_has_a_default() -> None:
    snapshot = without(export(new()), "last_seq")
    assert restore_stream(snapshot, LIMITS).last_seq is None
