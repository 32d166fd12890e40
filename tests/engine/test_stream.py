"""A stream learns from what it observes, reading by reading, or refuses it and stays as it was."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from streamnorm.engine.limits import LARGEST_NAME, Limits
from streamnorm.engine.reading import Reading, parse_reading
from streamnorm.errors import InvalidReading, LimitExceeded, ShapeMismatch, StaleSequence, StreamnormError
from tests.support.engine import LIMITS, NOW, bits, new, observe, plain, varied


def test_the_first_reading_gives_zero() -> None:
    assert observe(new(), {"a": 21.4, "b": -3.0}).values == [0.0, 0.0]


def test_an_array_is_answered_in_its_order() -> None:
    stream = new()
    observe(stream, [1.0, 5.0])
    assert np.sign(plain(observe(stream, [2.0, 4.0]))).tolist() == [1.0, -1.0]


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
    before = stream.mean_std("b")
    observe(stream, {"a": 2.0})
    assert stream.mean_std("b") == before


def test_new_features_take_no_memory_in_reserve() -> None:
    stream = new()
    observe(stream, {f"f{n}": 1.0 for n in range(8)})
    observe(stream, {"g": 1.0})
    assert stream.state.__sizeof__() == stream.state[:].__sizeof__()


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
    before = stream.mean_std("a")
    (y,) = observe(stream, {"a": None}).values
    assert (math.isnan(float(y)), stream.mean_std("a"), stream.count) == (True, before, 3)


def test_a_missing_value_gives_beta_where_the_mean_is_asked_for() -> None:
    stream = new(missing="mean", affine={"b": {"gamma": 5.0, "beta": 0.25}})
    assert observe(stream, {"a": None, "b": None}).values == [0.0, 0.25]


def test_answers_are_clamped_and_then_mapped() -> None:
    stream = new(clamp=1.0, affine={"b": {"gamma": 10.0, "beta": 1.0}})
    for _ in range(10):
        observe(stream, {"a": 0.0, "b": 0.0})
    assert observe(stream, {"a": 9.0, "b": 9.0}).values == [1.0, 11.0]


def test_the_finish_of_answers_does_not_change_what_is_learned() -> None:
    bare, finished = new(), new(clamp=0.5, missing="mean", affine={"a": {"gamma": 0.0, "beta": 7.0}})
    for a, b in varied():
        observe(bare, {"a": a, "b": b})
        observe(finished, {"a": a, "b": b})
    assert bare.state.tobytes() == finished.state.tobytes()


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
    stream.observe(parse_reading({"a": 2.0}, LIMITS), NOW + 10.0, LIMITS)
    assert stream.state[stream.layout.starts[0]] == pytest.approx(1.0 + math.exp(-1.0))


def test_the_input_is_not_kept() -> None:
    image, other = np.arange(6.0).reshape(2, 3), new()
    stream = new()
    observe(stream, {"ir": image}, seq=1)
    observe(other, {"ir": image.copy()}, seq=1)
    image[:] = 1e9
    assert bits(stream) == bits(other)


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
        stream.observe(parse_reading(values, LIMITS, timestamp=timestamp, seq=seq), NOW, Limits(max_features=4))
    assert bits(stream) == before


def test_the_error_of_too_many_features_names_the_limit() -> None:
    with pytest.raises(LimitExceeded, match=r"3 features, the limit \(max_features\) is 2") as caught:
        new().observe(parse_reading([1.0, 2.0, 3.0], LIMITS), NOW, Limits(max_features=2))
    assert caught.value.limit == "max_features"


def test_the_error_of_another_shape_names_the_place_and_both_shapes() -> None:
    stream = new()
    observe(stream, {"a/b": [1.0, 2.0]})
    with pytest.raises(ShapeMismatch, match=r"/values/a~1b: has the shape \[2\], not \[1, 3\]"):
        observe(stream, {"a/b": [[1.0, 2.0, 3.0]]})


@pytest.mark.parametrize("timestamp", [NOW + 86_400.0, NOW, 0.0, -1e9])
def test_a_time_within_limits_is_taken(timestamp: float) -> None:
    assert observe(new(), {"a": 1.0}, timestamp=timestamp).count == 1


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
        stream.observe(parse_reading([1.0], LIMITS), now, LIMITS)
    assert stream.state[3:5].tolist() == [NOW, NOW + 5.0]


def test_a_reading_made_by_hand_is_observed_too() -> None:
    assert new().observe(Reading(("a",), [1.0]), NOW, LIMITS).values == [0.0]
