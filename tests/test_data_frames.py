"""Data frames in `Normalizer` and the adapters: datetimes are the time and never a sensor, text is refused by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from streamnorm import Normalizer
from streamnorm.adapters.river import StreamNormalizer as RiverNormalizer
from streamnorm.adapters.sklearn import StreamNormalizer
from streamnorm.errors import InvalidReading

MOMENTS = [datetime(2026, 11, 22, 9, tzinfo=UTC) + timedelta(minutes=minute) for minute in (0, 1, 5, 30)]
TEMP, DOOR = [20.0, 21.0, None, 23.0], [False, False, True, True]
EPOCHS = [moment.timestamp() for moment in MOMENTS]

MAKERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "arrow batch": pa.RecordBatch.from_pydict,
}
every_kind = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
Make = Callable[[dict[str, Any]], Any]


def expected() -> np.ndarray[Any, np.dtype[np.float64]]:
    rows = np.array([[20, 0], [21, 0], [np.nan, 1], [23, 1]], dtype=float)
    timed = Normalizer(time_constant=600.0)
    return np.asarray(timed.observe_block(rows, features=("temp", "door"), timestamps=EPOCHS).values)


@every_kind
@pytest.mark.parametrize("zone", [UTC, None], ids=["zoned", "naive"])
def test_a_column_of_datetimes_is_the_time_and_comes_back_as_it_was(make: Make, zone: Any) -> None:
    moments = [moment.replace(tzinfo=zone) for moment in MOMENTS]
    normalizer = Normalizer(time_constant=600.0)
    answer = normalizer.observe_block(make({"temp": TEMP, "when": moments, "door": DOOR}))
    assert (answer.features, normalizer.features) == (("temp", "door"), ("temp", "door"))
    table = answer.values if isinstance(answer.values, pd.DataFrame) else pl.DataFrame(answer.values)
    assert list(table.columns) == ["temp", "when", "door"]
    assert [moment.replace(tzinfo=zone) for moment in table["when"]] == moments
    np.testing.assert_array_equal(np.column_stack([table["temp"], table["door"]]).astype(float), expected())


@every_kind
def test_numbers_of_any_size_and_kind_are_taken(make: Make) -> None:
    columns = {"total": [2**60, 1, 2**60 + 4096, 3], "price": [Decimal("1.5"), Decimal(2), None, Decimal(3)]}
    answer = Normalizer().observe_block(make(columns))
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    rows = [[None if value is None else float(value) for value in row] for row in rows]
    table = answer.values if isinstance(answer.values, pd.DataFrame) else pl.DataFrame(answer.values)
    found = np.column_stack([table[name] for name in columns]).astype(float)
    np.testing.assert_array_equal(found, np.array(Normalizer().observe_block(rows).values, dtype=float))


def test_an_index_of_datetimes_is_the_time() -> None:
    index = pd.DatetimeIndex(MOMENTS).tz_convert("Europe/Berlin")
    answer = Normalizer(time_constant=600.0).observe_block(pd.DataFrame({"temp": TEMP, "door": DOOR}, index=index))
    np.testing.assert_array_equal(answer.values.to_numpy(), expected())
    assert answer.values.index.equals(index)


@every_kind
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sent": MOMENTS, "temp": TEMP, "received": MOMENTS}, "'sent', 'received' are times"),
        ({"room": list("abcd"), "temp": TEMP}, "'room' is not numeric"),
        ({"when": MOMENTS}, "no column of numbers"),
        ({"when": [MOMENTS[0], None, *MOMENTS[2:]], "temp": TEMP}, "/timestamps/1: is not a time"),
    ],
    ids=["several times", "text", "nothing else", "a time is missing"],
)
def test_what_is_no_table_of_sensors_is_refused_by_name(make: Make, columns: dict[str, Any], message: str) -> None:
    normalizer = Normalizer()
    with pytest.raises(InvalidReading, match=message):
        normalizer.observe_block(make(columns))
    assert normalizer.count == 0


@every_kind
def test_times_in_the_frame_and_beside_it_are_refused(make: Make) -> None:
    with pytest.raises(InvalidReading, match="leave out one"):
        Normalizer().observe_block(make({"when": MOMENTS, "temp": TEMP}), timestamps=EPOCHS)


def test_a_lazy_frame_is_refused() -> None:
    with pytest.raises(InvalidReading, match="collect"):
        Normalizer().observe_block(pl.LazyFrame({"temp": TEMP}))


def test_without_narwhals_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "narwhals.stable.v1", None)
    with pytest.raises(InvalidReading, match=r"streamnorm\[arrow\]"):
        Normalizer().observe_block(pl.DataFrame({"temp": TEMP}))


def test_a_river_scaler_takes_the_column_of_datetimes_for_the_time() -> None:
    frame = pd.DataFrame({"when": MOMENTS, "temp": TEMP})
    scaler, plain = RiverNormalizer({"time_constant": 600.0}), Normalizer(time_constant=600.0)
    scaler.learn_many(frame)
    plain.observe_block(frame[["temp"]], timestamps=EPOCHS)
    after = scaler.transform_many(frame.assign(new=1.0))
    assert after["when"].tolist() == frame["when"].tolist()
    np.testing.assert_array_equal(after["temp"], plain.normalize_block(frame[["temp"]]).values["temp"])
    assert after["new"].tolist() == [0.0] * 4


def test_a_scikit_learn_transformer_refuses_a_column_of_datetimes_by_name() -> None:
    with pytest.raises(InvalidReading, match="'when' holds times"):
        StreamNormalizer().fit(pd.DataFrame({"when": MOMENTS, "temp": TEMP}))
    with pytest.raises(InvalidReading, match="'room' is not numeric"):
        StreamNormalizer().fit(pd.DataFrame({"room": list("abcd"), "temp": TEMP}))


@every_kind
def test_an_angle_in_a_frame_becomes_two_columns_with_the_bits_of_single_readings(make: Make) -> None:
    rule = {"wind": {"transform": "circular"}}
    angles, temps = [0.0, 90.0, 200.0, 270.0], [20.0, 21.0, 22.0, 20.0]
    answer = Normalizer(features=rule).observe_block(make({"wind": angles, "when": MOMENTS, "temp": temps}))
    one_by_one = Normalizer(features=rule)
    rows = [one_by_one.observe({"wind": angle, "temp": temp}).values for angle, temp in zip(angles, temps, strict=True)]
    table = pl.DataFrame(answer.values)
    assert answer.features == ("wind.sin", "wind.cos", "temp")
    assert table.select(answer.features).rows() == [tuple(row[name] for name in answer.features) for row in rows]
    assert table["when"].to_list() == MOMENTS
