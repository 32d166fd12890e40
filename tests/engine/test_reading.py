"""What is taken for a reading, and what is refused, with its place."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from streamnorm.engine.blocks.parse import parse_number_rows
from streamnorm.engine.limits import LARGEST_VALUE, Limits
from streamnorm.engine.reading import Channel, parse_reading
from streamnorm.errors import InvalidReading
from tests.support.engine import LIMITS, channel


def taken(value: object) -> Any:
    """Return what a reading makes of one value."""
    (made,) = parse_reading({"a": value}, LIMITS).values
    return made


def pointers(values: object, limits: Limits = LIMITS) -> list[str]:
    """Return the places an error names."""
    with pytest.raises(InvalidReading) as caught:
        parse_reading(values, limits)
    return [fault.pointer for fault in caught.value.faults]


@pytest.mark.parametrize(
    "value",
    [
        21,
        21.0,
        np.float64(21),
        np.float32(21),
        np.float16(21),
        np.int8(21),
        np.uint64(21),
        np.array(21),
        np.array(21.0, dtype=np.float32),
    ],
    ids=repr,
)
def test_a_number_of_any_kind_is_taken(value: object) -> None:
    made = taken(value)
    assert (made, type(made)) == (21.0, float)


@pytest.mark.parametrize("value", [True, np.True_, np.array(True)], ids=repr)  # noqa: FBT003
def test_true_and_false_are_one_and_nothing(value: object) -> None:
    assert taken(value) == 1.0
    assert parse_number_rows([[value, False]]).tolist() == [[1.0, 0.0]]
    assert channel([value, False]).elements.tolist() == [1.0, 0.0]


ABSENT = [None, math.nan, np.float64("nan"), np.float32("nan"), np.array(math.nan), np.ma.masked, pd.NA, pd.NaT]


@pytest.mark.parametrize("value", ABSENT, ids=repr)
def test_what_stands_for_no_value_is_missing_in_a_channel_and_a_table_too(value: Any) -> None:
    assert np.isnan(channel([1.0, value]).elements).tolist() == [False, True]
    assert np.isnan(parse_number_rows([[1.0, value]])).tolist() == [[False, True]]


def test_masked_elements_of_a_channel_are_left_out() -> None:
    found = channel(np.ma.array([20.0, -127.0, 22.0], mask=[False, True, False]))
    assert (found.mean, found.low, found.high) == (21.0, 20.0, 22.0)


@pytest.mark.parametrize("value", ABSENT, ids=repr)
def test_none_and_nan_are_missing_values(value: object) -> None:
    assert math.isnan(taken(value))


@pytest.mark.parametrize(
    "value",
    ["21", "", b"21", Decimal(21), 21j, {}, {"b": 1}, object],
    ids=repr,
)
def test_what_is_no_number_is_refused(value: object) -> None:
    assert pointers({"a": value}) == ["/values/a"]


@pytest.mark.parametrize(
    "value",
    [math.inf, -math.inf, np.float32("inf"), 1.1e75, -1.1e75, 1e308, 10**76, -(10**300), np.array(math.inf)],
    ids=repr,
)
def test_what_is_too_large_is_refused(value: object) -> None:
    assert pointers({"a": value}) == ["/values/a"]


def test_a_whole_number_too_long_to_be_spelt_is_refused() -> None:
    assert pointers({"a": 10**5000}) == ["/values/a"]


@pytest.mark.parametrize("value", [LARGEST_VALUE, -LARGEST_VALUE, 10**74])
def test_the_largest_values_are_taken(value: float) -> None:
    assert taken(value) == float(value)


def test_an_error_shows_the_value() -> None:
    with pytest.raises(InvalidReading, match=r"/values/a: must be a number, null .* not 'warm'"):
        parse_reading({"a": "warm"}, LIMITS)


def test_an_error_shows_no_more_than_the_beginning_of_a_long_value() -> None:
    with pytest.raises(InvalidReading) as caught:
        parse_reading({"a": "x" * 10_000}, LIMITS)
    assert len(str(caught.value)) < 150


def test_every_wrong_place_is_named() -> None:
    assert pointers({"a": 1.0, "b": "x", "c": math.inf}) == ["/values/b", "/values/c"]


def test_a_features_name_is_escaped_in_the_pointer() -> None:
    assert pointers({"a/b~c": "x"}) == ["/values/a~1b~0c"]


@pytest.mark.parametrize("values", [{}, [], (), np.array([])])
def test_a_reading_without_a_feature_is_refused(values: object) -> None:
    assert pointers(values) == ["/values"]


@pytest.mark.parametrize("values", [None, 21.0, "21", {1.0}, np.array(21.0)], ids=repr)
def test_values_are_an_object_or_an_array(values: object) -> None:
    assert pointers(values) == ["/values"]


@pytest.mark.parametrize("values", [[21.0, 5.0], (21.0, 5.0), np.array([21.0, 5.0]), np.array([21, 5])], ids=repr)
def test_an_arrays_features_are_numbered(values: object) -> None:
    made = parse_reading(values, LIMITS)
    assert (made.names, made.values, made.listed) == (("0", "1"), [21.0, 5.0], True)


@pytest.mark.parametrize(
    "value",
    [
        [[1.0, 2.0], [3.0, None]],
        ((1, 2), (3, math.nan)),
        np.array([[1, 2], [3, math.nan]]),
        [np.array([1.0, 2.0]), np.array([3.0, math.nan])],
        [[np.float32(1), np.int64(2)], [np.float64(3), None]],
        np.array([[1, 2], [3, None]], dtype=object),
    ],
)
def test_a_channel_of_any_kind_is_taken(value: object) -> None:
    made = channel(value)
    assert made.elements.dtype == np.float64
    np.testing.assert_array_equal(made.elements, [[1.0, 2.0], [3.0, math.nan]])


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.uint8, np.int64])
def test_an_array_of_any_number_type_is_a_channel(kind: Any) -> None:
    assert channel(np.array([1, 2], dtype=kind)).elements.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ([], "/values/a"),
        ([[], []], "/values/a"),
        ([[1.0, 2.0], [3.0]], "/values/a"),
        ([[1.0], 2.0], "/values/a"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], "/values/a"),
        ([np.zeros(2), np.zeros(3)], "/values/a"),
        ([[1.0, "x"]], "/values/a/0/1"),
        ([{}], "/values/a/0"),
        (np.array(["x"]), "/values/a/0"),
        (np.array([1j]), "/values/a/0"),
        ([1.0, math.inf], "/values/a"),
        ([1.0, -(10**300)], "/values/a"),
        (np.array([np.inf]), "/values/a"),
    ],
)
def test_a_wrong_channel_is_named_down_to_its_element(value: object, pointer: str) -> None:
    assert pointers({"a": value}) == [pointer]


def test_a_channel_of_too_many_elements_is_refused() -> None:
    assert pointers({"a": [1.0] * 5}, Limits(max_elements=4)) == ["/values/a"]


def test_a_channel_of_as_many_elements_as_the_limit_is_taken() -> None:
    assert parse_reading({"a": [1.0] * 4}, Limits(max_elements=4)).names == ("a",)


def test_a_channel_nested_too_deeply_is_refused() -> None:
    nested: Any = 1.0
    for _ in range(50):
        nested = [nested]
    assert pointers({"a": nested}) == ["/values/a"]


def test_a_channel_knows_mean_variance_and_range_of_its_elements() -> None:
    made = channel([[1.0, 2.0], [3.0, 6.0]])
    assert made[1:] == (3.0, 3.5, 1.0, 6.0)


def test_missing_elements_are_left_out_of_a_channels_sums() -> None:
    assert channel([1.0, None, 5.0])[1:] == (3.0, 4.0, 1.0, 5.0)


def test_a_channel_of_missing_elements_is_a_missing_value() -> None:
    assert math.isnan(channel([None, None]).mean)


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, -1 / 3, 1e75, 5e-324])
def test_equal_elements_have_exactly_their_value_as_mean(value: float) -> None:
    assert Channel.of(np.full((37, 11), value))[1:3] == (value, 0.0)


def test_a_mean_is_exact_on_a_large_offset() -> None:
    noise = np.random.default_rng(0).integers(-8, 9, size=1000) / 8.0
    assert Channel.of(1e9 + noise).variance == pytest.approx(noise.var(), rel=1e-12)


def test_the_callers_array_is_not_kept() -> None:
    elements = np.array([1.0, 2.0])
    made = channel(elements)
    elements[:] = 7.0
    assert made.elements.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("rows", "pointer"),
    [
        (None, "/values"),
        ([], "/values"),
        ([[]], "/values/0"),
        ([1.0], "/values/0"),
        ([[1.0], [1.0, 2.0]], "/values/1"),
        ([[1.0], ["x"]], "/values/1/0"),
        ([[1.0, [2.0]]], "/values/0/1"),
    ],
)
def test_a_wrong_row_of_a_table_is_named(rows: object, pointer: str) -> None:
    with pytest.raises(InvalidReading) as caught:
        parse_number_rows(rows)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


def test_a_whole_number_beyond_float64_is_infinite_in_a_table() -> None:
    assert parse_number_rows([[1, None], [10**400, 2]])[1].tolist() == [math.inf, 2.0]


def test_a_negative_whole_number_beyond_float64_is_infinite_in_a_table() -> None:
    assert np.isinf(parse_number_rows([[-(10**400)]])).all()
