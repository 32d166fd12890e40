"""Cells that are numbers, those that mean no value, and those that cannot be understood."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.backfill.cells.numbers import Numerals, Reader


@given(st.lists(st.floats(-1e70, 1e70) | st.integers(-(10**9), 10**9)))
def test_a_column_of_numbers_is_read_to_the_bit(values: list[float]) -> None:
    found, bad = Reader(Numerals()).column([repr(value) for value in values])
    assert (found.tolist(), bad) == ([float(value) for value in values], [])


@given(
    st.lists(
        st.sampled_from(
            ["1", " 2.5 ", '"3"', "1e1", "NA", "", "-", "warm", "1_000", "inf", "nan", "\u22121", "021.50", "1e99"]
        )
    )
)
def test_cells_read_at_once_are_those_read_one_by_one(cells: list[str]) -> None:
    numerals = Numerals()
    found, bad = Reader(numerals).column(cells)
    single = [numerals.number(cell) for cell in cells]
    np.testing.assert_array_equal(found, [math.nan if value is None else value for value in single])
    assert bad == [place for place, value in enumerate(single) if value is None]


@pytest.mark.parametrize(
    "cell", ["1_000", "inf", "-Infinity", "\u221e", "0x10", "1,5", "1e400", "1e80", "12:30", "20.5 C", "1 2"]
)
def test_what_is_no_number_is_never_taken_for_one(cell: str) -> None:
    for neighbours in (["1"], ["1", "x"], ['"1"']):
        found, bad = Reader(Numerals()).column([*neighbours, cell])
        assert np.isnan(found[-1])
        assert bad[-1] == len(neighbours)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1,5", 1.5),
        ("1.234,5", 1234.5),
        ("-0,25", -0.25),
        ('"2,5"', 2.5),
        ("12.345.678", 12345678.0),
        ("1.5", None),
        ("1.23,4", None),
    ],
)
def test_decimal_commas_and_points_between_thousands_are_read(cell: str, value: float | None) -> None:
    assert Numerals(decimal=",", thousands=".").number(cell) == value


def test_a_point_is_no_decimal_sign_where_a_comma_is() -> None:
    assert Reader(Numerals(decimal=",")).column(["1,5", "1.5"])[1] == [1]


def test_codes_of_all_columns_and_of_one_mean_no_value() -> None:
    numerals = Numerals(codes=frozenset({-200.0}), own={"t": frozenset({85.0})})
    assert np.isnan(Reader(numerals.of("t")).column(["-200", "85.0", "21"])[0]).tolist() == [True, True, False]
    assert np.isnan(Reader(numerals.of("h")).column(["-200", "85.0", "x"])[0]).tolist() == [True, False, True]


def test_states_are_what_they_are_said_to_be() -> None:
    found, bad = Reader(Numerals(states={"ON": 1.0, "off": 0.0})).column(["ON", "off", "OFF", "maybe"])
    assert (found[:3].tolist(), bad) == ([1.0, 0.0, 0.0], [3])


def test_values_of_json_are_read_as_they_are() -> None:
    found, bad = Reader(Numerals()).column([1, 2.5, None, True, "3", "x"])
    np.testing.assert_array_equal(found, [1, 2.5, np.nan, 1, 3, np.nan])
    assert bad == [5]
