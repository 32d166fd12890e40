"""A stream learns from what it observes, and from nothing else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.limits import LARGEST_NAME, LARGEST_SEQ, Limits
from streamnorm.engine.reading import Reading, reading
from streamnorm.errors import CannotInvert, InvalidReading, LimitExceeded, ShapeMismatch, StaleSequence, StreamnormError
from tests.engine.building import LIMITS, NOW, bits, denormalize, new, normalize, observe, varied, ybits

EVERYTHING: dict[str, Any] = {
    "clamp": 2.0,
    "missing": "mean",
    "robust": 3.0,
    "warmup": 4,
    "affine": {"a": {"gamma": -2.0, "beta": 0.5}, "b": {"gamma": 3.0}},
}
configs = pytest.mark.parametrize(
    "config",
    [{}, {"method": "cumulative"}, {"time_constant": 60.0}, EVERYTHING],
    ids=["default", "cumulative", "by time", "everything"],
)


# Features


def test_the_first_reading_gives_zero() -> None:
    assert observe(new(), {"a": 21.4, "b": -3.0}).values == [0.0, 0.0]


def test_an_array_is_answered_in_its_order() -> None:
    stream = new()
    observe(stream, [1.0, 5.0])
    assert np.sign(observe(stream, [2.0, 4.0]).values).tolist() == [1.0, -1.0]


def test_an_arrays_features_are_the_named_ones_0_1_and_so_on() -> None:
    stream = new()
    observe(stream, [1.0, 5.0])
    observe(stream, {"1": 5.0, "0": 1.0})
    assert stream.layout.names == ("0", "1")


def test_a_feature_that_appears_later_starts_its_own_statistics() -> None:
    stream, alone = new(), new()
    rows = varied()
    for row in rows[:50]:
        observe(stream, {"a": row[0]})
    both = [observe(stream, {"a": a, "b": b}).values[1] for a, b in rows[50:]]
    assert both == [observe(alone, {"b": b}).values[0] for _, b in rows[50:]]


def test_a_feature_that_is_left_out_keeps_its_statistics() -> None:
    stream = new()
    observe(stream, {"a": 1.0, "b": 5.0})
    before = stream.spread("b")
    observe(stream, {"a": 2.0})
    assert stream.spread("b") == before


def test_the_order_of_features_does_not_matter() -> None:
    one, other = new(), new()
    for a, b in varied():
        ab, ba = observe(one, {"a": a, "b": b}), observe(other, {"b": b, "a": a})
        assert ab.values == ba.values[::-1]


def test_a_stream_is_ready_when_every_feature_had_its_warmup() -> None:
    stream = new(warmup=3)
    assert [observe(stream, {"a": x}).ready for x in (1.0, 2.0, 3.0, 4.0)] == [False, False, True, True]


def test_a_feature_that_appears_later_has_a_warmup_of_its_own() -> None:
    stream = new(warmup=2)
    for _ in range(5):
        observe(stream, {"a": 1.0})
    assert [observe(stream, {"a": 1.0, "b": 2.0}).ready for _ in range(3)] == [False, True, True]


def test_only_the_features_of_the_reading_need_be_ready() -> None:
    stream = new(warmup=2)
    observe(stream, {"a": 1.0, "b": 2.0})
    assert observe(stream, {"a": 1.0}).ready


def test_missing_values_warm_nothing_up() -> None:
    stream = new(warmup=2)
    assert not [observe(stream, {"a": x}).ready for x in (1.0, None, None)][-1]


def test_without_a_warmup_a_stream_is_ready_at_once() -> None:
    assert observe(new(warmup=0), {"a": 1.0}).ready


def test_a_missing_value_gives_nothing_and_teaches_nothing() -> None:
    stream = new()
    observe(stream, {"a": 1.0})
    observe(stream, {"a": 3.0})
    before = stream.spread("a")
    (y,) = observe(stream, {"a": None}).values
    assert (math.isnan(float(y)), stream.spread("a"), stream.count) == (True, before, 3)


def test_a_missing_value_gives_beta_where_the_mean_is_asked_for() -> None:
    stream = new(missing="mean", affine={"b": {"gamma": 5.0, "beta": 0.25}})
    assert observe(stream, {"a": None, "b": None}).values == [0.0, 0.25]


def test_answers_are_clamped_and_then_mapped() -> None:
    stream = new(clamp=1.0, affine={"b": {"gamma": 10.0, "beta": 1.0}})
    for _ in range(10):
        observe(stream, {"a": 0.0, "b": 0.0})
    assert observe(stream, {"a": 9.0, "b": 9.0}).values == [1.0, 11.0]


def test_the_finish_of_answers_does_not_change_what_is_learned() -> None:
    plain, finished = new(), new(clamp=0.5, missing="mean", affine={"a": {"gamma": 0.0, "beta": 7.0}})
    for a, b in varied():
        observe(plain, {"a": a, "b": b})
        observe(finished, {"a": a, "b": b})
    assert plain.state.tobytes() == finished.state.tobytes()


def test_features_are_forgotten_by_their_own_times() -> None:
    stream = new(time_constant=10.0)
    for t, x in ((0.0, 1.0), (10.0, 2.0)):
        observe(stream, {"a": x}, timestamp=t)
    observe(stream, {"b": 5.0}, timestamp=1000.0)
    observe(stream, {"a": 3.0}, timestamp=20.0)
    assert stream.state[stream.layout.starts[0]] == pytest.approx(1.0 + math.exp(-1.0) + math.exp(-2.0))


def test_a_reading_without_a_timestamp_is_of_now() -> None:
    stream = new(time_constant=10.0)
    observe(stream, {"a": 1.0})
    stream.observe(reading({"a": 2.0}, LIMITS), NOW + 10.0, LIMITS)
    assert stream.state[stream.layout.starts[0]] == pytest.approx(1.0 + math.exp(-1.0))


def test_the_input_is_not_kept() -> None:
    image, other = np.arange(6.0).reshape(2, 3), new()
    stream = new()
    observe(stream, {"ir": image}, seq=1)
    observe(other, {"ir": image.copy()}, seq=1)
    image[:] = 1e9
    assert bits(stream) == bits(other)


# Sequence numbers


def test_the_first_number_has_no_gap() -> None:
    assert observe(new(), {"a": 1.0}, seq=1000).gap == 0


def test_a_gap_is_applied_and_told() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=5)
    answer = observe(stream, {"a": 2.0}, seq=9)
    assert (answer.gap, answer.replayed, answer.count, stream.last_seq) == (3, False, 2, 9)


def test_unnumbered_readings_leave_the_number() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=5)
    observe(stream, {"a": 2.0})
    assert (stream.last_seq, observe(stream, {"a": 3.0}, seq=6).gap) == (5, 0)


def test_a_stream_without_numbers_has_no_last_one() -> None:
    stream = new()
    observe(stream, {"a": 1.0})
    assert stream.last_seq is None


@configs
def test_a_repeated_number_is_answered_with_the_first_answers_bits(config: dict[str, Any]) -> None:
    stream = new(**config)
    values = {"a": 1.5, "b": None, "ir": [[1.0, 2.0], [None, 7.0]]}
    for seq in range(5):
        observe(stream, {"a": float(seq), "b": 2.0, "ir": [[seq, 2.0], [3.0, 4.0]]}, seq=seq)
    first = observe(stream, values, seq=7)
    again = observe(stream, values, seq=7)
    assert ybits(again) == ybits(first)
    assert (again.count, again.ready, again.gap, again.replayed) == (first.count, first.ready, 2, True)


@configs
def test_a_repeated_number_is_applied_once(config: dict[str, Any]) -> None:
    stream = new(**config)
    observe(stream, {"a": 1.0}, seq=0)
    observe(stream, {"a": 2.0}, seq=1)
    before = bits(stream)
    for _ in range(3):
        observe(stream, {"a": 2.0}, seq=1)
    assert bits(stream) == before


@pytest.mark.parametrize(
    "values",
    [{"a": 99.0, "b": 1.0}, {"a": 99.0}, {"a": 1.0, "b": 1.0, "c": 3.0}, {"c": 1.0, "d": 2.0}, {"a": [1.0], "b": None}],
    ids=repr,
)
def test_another_body_under_the_same_number_changes_nothing(values: dict[str, Any]) -> None:
    stream = new()
    observe(stream, {"a": 1.0, "b": 2.0}, seq=3)
    before = bits(stream)
    try:
        answer = observe(stream, values, seq=3)
    except InvalidReading:
        pass
    else:
        assert answer.replayed
    assert bits(stream) == before


def test_a_smaller_number_is_stale() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=5)
    before = bits(stream)
    with pytest.raises(StaleSequence) as caught:
        observe(stream, {"a": 1.0}, seq=4)
    assert (caught.value.last_seq, bits(stream)) == (5, before)


def test_a_number_is_stale_once_something_else_was_learned() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=5)
    observe(stream, {"a": 2.0})
    with pytest.raises(StaleSequence):
        observe(stream, {"a": 1.0}, seq=5)


@pytest.mark.parametrize("seq", [-1, -5, LARGEST_SEQ + 1, 2**64])
def test_a_number_out_of_range_is_refused(seq: int) -> None:
    with pytest.raises(InvalidReading, match="/seq: .* is not within 0 and"):
        observe(new(), {"a": 1.0}, seq=seq)


def test_the_largest_number_is_exact() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=LARGEST_SEQ - 1)
    assert (observe(stream, {"a": 1.0}, seq=LARGEST_SEQ).gap, stream.last_seq) == (0, LARGEST_SEQ)


# Refusals


@pytest.mark.parametrize(
    ("values", "timestamp", "seq", "error"),
    [
        ({"a": 1.0, "new": [1.0], "ir": [1.0, 2.0, 3.0]}, None, None, ShapeMismatch),
        ({"a": [1.0, 2.0], "new": 1.0}, None, 12, ShapeMismatch),
        ({"ir": 1.0}, None, None, ShapeMismatch),
        ({"a": 1.0}, NOW + 86_401.0, 12, InvalidReading),
        ({"a": 1.0}, math.nan, 12, InvalidReading),
        ({"a": 1.0}, -1e12, None, InvalidReading),
        ({"a": 1.0, "new": 1.0, "": 1.0}, None, 12, InvalidReading),
        ({"a": 1.0, "new": 1.0, "x" * (LARGEST_NAME + 1): 1.0}, None, 12, InvalidReading),
        ({"a": 1.0, "line\nbreak": 1.0}, None, 12, InvalidReading),
        ({"a": 1.0, 7: 1.0}, None, 12, InvalidReading),
        ({"a": 1.0, "c": 1.0, "d": 1.0, "e": 1.0}, None, 12, LimitExceeded),
        ({"a": 1.0}, None, 9, StaleSequence),
        ({"a": 1.0}, None, -1, InvalidReading),
    ],
)
def test_a_refused_reading_changes_no_bit(
    values: dict[Any, Any], timestamp: float | None, seq: int | None, error: type[StreamnormError]
) -> None:
    stream = new(time_constant=60.0)
    for number in range(11):
        observe(stream, {"a": 1.0 + number, "ir": [1.0, 2.0 * number]}, seq=number)
    before = bits(stream)
    with pytest.raises(error):
        stream.observe(reading(values, LIMITS, timestamp=timestamp, seq=seq), NOW, Limits(max_features=4))
    assert bits(stream) == before


def test_the_error_of_too_many_features_names_the_limit() -> None:
    with pytest.raises(LimitExceeded, match=r"3 features, the limit \(max_features\) is 2") as caught:
        new().observe(reading([1.0, 2.0, 3.0], LIMITS), NOW, Limits(max_features=2))
    assert caught.value.limit == "max_features"


def test_the_error_of_another_shape_names_the_place_and_both_shapes() -> None:
    stream = new()
    observe(stream, {"a/b": [1.0, 2.0]})
    with pytest.raises(ShapeMismatch, match=r"/values/a~1b: has the shape \[2\], not \[1, 3\]"):
        observe(stream, {"a/b": [[1.0, 2.0, 3.0]]})


@pytest.mark.parametrize("timestamp", [NOW + 86_400.0, NOW, 0.0, -1e9])
def test_a_time_within_limits_is_taken(timestamp: float) -> None:
    assert observe(new(), {"a": 1.0}, timestamp=timestamp).count == 1


# Normalizing and back


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
    mean, std = stream.spread("a")
    assert normalize(stream, {"a": 25.0}).values == [pytest.approx((25.0 - mean) / std, rel=1e-12)]


def test_normalizing_what_was_just_observed_gives_the_same() -> None:
    stream = new()
    for row in varied():
        answer = observe(stream, row)
    np.testing.assert_allclose(normalize(stream, row).values, answer.values, rtol=1e-9)


def test_normalizing_a_feature_never_seen_gives_nothing() -> None:
    stream = new(warmup=0)
    observe(stream, {"a": 1.0})
    answer = normalize(stream, {"a": 1.0, "b": 1.0})
    assert (np.isnan(answer.values).tolist(), answer.ready) == ([False, True], False)


def test_normalizing_a_feature_seen_only_missing_gives_nothing() -> None:
    stream = new()
    observe(stream, {"a": None})
    assert np.isnan(normalize(stream, {"a": 1.0}).values).all()


def test_normalizing_by_a_constant_gives_zero() -> None:
    stream = new()
    for _ in range(10):
        observe(stream, {"a": 0.1})
    assert normalize(stream, {"a": 0.1}).values == [0.0]


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


@given(st.floats(-1e6, 1e6), st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
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
    (ys,) = normalize(stream, {"ir": [[17.0], [29.0]]}).values
    (xs,) = denormalize(stream, {"ir": ys})
    np.testing.assert_allclose(xs, [[17.0], [29.0]], rtol=1e-12)


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
    with pytest.raises(CannotInvert) as caught:
        denormalize(stream, {"a": 1.0, "b": 1.0, "c/d": 1.0})
    assert caught.value.faults == (("/values/a", "gamma is 0"), ("/values/c~1d", "unknown feature"))


# Drafts and times


def test_a_draft_does_not_change_its_stream() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=1)
    before = bits(stream)
    draft = stream.draft()
    observe(draft, {"a": 2.0, "b": 3.0, "ir": [1.0]}, seq=2)
    assert bits(stream) == before


def test_a_draft_answers_a_repeated_number_as_its_stream() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=1)
    assert observe(stream.draft(), {"a": 1.0}, seq=1).replayed


def test_a_stream_knows_when_it_was_made_and_changed() -> None:
    stream = new()
    for now in (NOW, NOW + 1.0, NOW + 5.0):
        stream.observe(reading([1.0], LIMITS), now, LIMITS)
    assert stream.state[3:5].tolist() == [NOW, NOW + 5.0]


def test_a_reading_made_by_hand_is_observed_too() -> None:
    assert new().observe(Reading(("a",), [1.0]), NOW, LIMITS).values == [0.0]
