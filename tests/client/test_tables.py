"""Rows and values, as JSON and back as what they were."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm_client._blocks.tables import cut, table_of
from streamnorm_client._calls.json_values import instant, plain


def sent(rows: Any, **sizes: int) -> list[list[Any]]:
    """Return the rows of each block as the service would read them."""
    return [[json.loads(row) for row in block.rows] for block in cut(table_of(rows), None, **sizes)]


def echoed(rows: Any) -> Any:
    """Send rows to a service that answers what it was sent."""
    table = table_of(rows)
    blocks = [[json.loads(row) for row in block.rows] for block in cut(table, None, max_rows=2)]
    return table.joined(blocks, table.features or [])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"ir": np.array([[1.0, np.nan]])}, {"ir": [[1.0, None]]}),
        (np.array([1.0, 2.0]), [1.0, 2.0]),
        ({"temp": np.float32(0.5), "door": np.True_}, {"temp": 0.5, "door": 1}),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Series({"temp": 21.5, "door": np.nan}), {"temp": 21.5, "door": None}),
    ],
)
def test_numpy_and_pandas_values_become_plain_ones(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_what_is_no_number_is_refused_with_its_place() -> None:
    with pytest.raises(TypeError, match="/values/temp: 'warm' is not a number"):
        plain({"temp": "warm"})


@pytest.mark.parametrize("timestamp", [np.datetime64("2026-11-22"), None])
def test_a_timestamp_of_another_type_is_refused(timestamp: Any) -> None:
    with pytest.raises(TypeError, match="is not a datetime"):
        instant(timestamp)


def test_lists_come_back_as_lists() -> None:
    assert echoed([[1.0, None], (2, 3.0), [4, 5]]) == [[1.0, None], [2, 3.0], [4, 5]]


def test_dicts_come_back_as_dicts_with_their_own_features() -> None:
    rows = [{"temp": 21.4}, {"door": 1}, {"door": 0, "temp": 21.5}]
    assert echoed(rows) == rows


@pytest.mark.parametrize("rows", [[[0.0], [float("inf")]]])
def test_infinity_is_refused_with_its_place(rows: Any) -> None:
    with pytest.raises(ValueError, match="/values/1/0: inf"):
        sent(rows)


def test_timestamps_must_fit_the_rows() -> None:
    with pytest.raises(ValueError, match="2 timestamps do not match 1 rows"):
        list(cut(table_of([[1.0]]), [1.0, 2.0]))


def test_timestamps_go_with_their_rows() -> None:
    times = [datetime(2026, 11, 22, 9, minute, tzinfo=UTC) for minute in range(3)]
    blocks = list(cut(table_of([[1.0], [2.0], [3.0]]), times, max_rows=2))
    assert [len(block.timestamps or ()) for block in blocks] == [2, 1]


@given(
    rows=st.lists(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=4), max_size=30),
    max_rows=st.integers(1, 7),
    max_bytes=st.integers(1, 100),
)
def test_blocks_hold_all_rows_in_order_within_their_limits(
    rows: list[list[float]], max_rows: int, max_bytes: int
) -> None:
    blocks = list(cut(table_of(rows), None, max_rows, max_bytes))
    assert [json.loads(row) for block in blocks for row in block.rows] == rows
    for block in blocks:
        assert len(block.rows) == 1 or (len(block.rows) <= max_rows and sum(map(len, block.rows)) <= max_bytes)
