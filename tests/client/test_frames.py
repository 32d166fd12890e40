"""Frames of pandas, polars and Arrow: their numbers are features, their datetimes the time, their text an error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from streamnorm import Normalizer
from streamnorm_client import Client, InvalidArgument, MissingDependency
from streamnorm_client._blocks.npy import packed
from tests.support.processes import Service

MOMENTS = [datetime(2026, 11, 22, 9, minute, tzinfo=UTC) for minute in range(4)]
TEMP, DOOR = [20.0, 21.0, None, 23.0], [False, False, True, True]
EPOCHS = [moment.timestamp() for moment in MOMENTS]

MAKERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "arrow batch": pa.RecordBatch.from_pydict,
}
every_kind = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@every_kind
def test_numbers_are_features_and_booleans_are_one_and_zero(make: Callable[[dict[str, Any]], Any]) -> None:
    parts = packed(make({"temp": TEMP, "door": DOOR}), None, None)
    assert parts is not None
    assert (parts.features, parts.times) == (["temp", "door"], None)
    np.testing.assert_array_equal(parts.array, [[20, 0], [21, 0], [np.nan, 1], [23, 1]])


@every_kind
def test_whole_numbers_of_any_size_are_taken(make: Callable[[dict[str, Any]], Any]) -> None:
    parts = packed(make({"total": [2**60, 1, 2**60 + 4096]}), None, None)
    assert parts is not None
    np.testing.assert_array_equal(parts.array, [[2.0**60], [1.0], [2.0**60 + 4096]])


@every_kind
def test_a_column_of_datetimes_is_the_time_and_no_feature(make: Callable[[dict[str, Any]], Any]) -> None:
    parts = packed(make({"temp": TEMP, "when": MOMENTS, "door": DOOR}), None, None)
    assert parts is not None
    assert (parts.features, parts.times.tolist()) == (["temp", "door"], EPOCHS)


@every_kind
def test_datetimes_without_a_zone_are_utc(make: Callable[[dict[str, Any]], Any]) -> None:
    parts = packed(make({"when": [moment.replace(tzinfo=None) for moment in MOMENTS], "temp": TEMP}), None, None)
    assert parts is not None
    assert parts.times.tolist() == EPOCHS


@every_kind
def test_several_columns_of_datetimes_are_refused_by_name(make: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(InvalidArgument, match="'sent', 'received' are times"):
        packed(make({"sent": MOMENTS, "temp": TEMP, "received": MOMENTS}), None, None)


@every_kind
def test_columns_of_text_are_refused_by_name(make: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(InvalidArgument, match="'room', 'note' are not numeric"):
        packed(make({"room": list("abcd"), "temp": TEMP, "note": ["1", "2", "3", "4"]}), None, None)


@every_kind
def test_times_in_the_frame_and_beside_it_are_refused(make: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(InvalidArgument, match="leave out one"):
        packed(make({"when": MOMENTS, "temp": TEMP}), None, EPOCHS)


@every_kind
def test_a_missing_time_is_refused_with_its_place(make: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(InvalidArgument, match="/timestamps/1"):
        packed(make({"when": [MOMENTS[0], None, *MOMENTS[2:]], "temp": TEMP}), None, None)


@every_kind
def test_a_frame_comes_back_as_it_was_but_for_its_features(make: Callable[[dict[str, Any]], Any]) -> None:
    frame = make({"temp": TEMP, "when": MOMENTS, "door": DOOR})
    parts = packed(frame, None, None)
    assert parts is not None
    values = np.arange(8.0).reshape(4, 2)
    back = parts.joined([values[:3], values[3:]], ["temp", "door"])
    expected = make({"temp": values[:, 0].tolist(), "when": MOMENTS, "door": values[:, 1].tolist()})
    expected = pa.Table.from_batches([expected]) if isinstance(expected, pa.RecordBatch) else expected
    assert type(back) is type(expected)
    assert back.equals(expected)


def test_an_index_of_datetimes_is_the_time() -> None:
    index = pd.date_range("2026-11-22T10:00", periods=4, freq="min", tz="Europe/Berlin")
    parts = packed(pd.DataFrame({"temp": TEMP}, index=index), None, None)
    assert parts is not None
    assert parts.times.tolist() == EPOCHS
    assert parts.joined([np.zeros((4, 1))], ["temp"]).index.equals(index)


def test_an_index_and_a_column_of_datetimes_are_refused() -> None:
    frame = pd.DataFrame({"temp": TEMP, "when": MOMENTS}, index=pd.DatetimeIndex(MOMENTS))
    with pytest.raises(InvalidArgument, match="'when', 'the index' are times"):
        packed(frame, None, None)


@pytest.mark.parametrize(
    "given",
    [
        MOMENTS,
        [moment.isoformat() for moment in MOMENTS],
        [moment.isoformat().replace("+00:00", "Z") for moment in MOMENTS],
        EPOCHS,
        np.array(EPOCHS),
        np.array([moment.replace(tzinfo=None) for moment in MOMENTS], dtype="datetime64[ms]"),
        pd.DatetimeIndex(MOMENTS),
        pd.Series(MOMENTS),
        pd.Series(MOMENTS).dt.tz_convert("Europe/Berlin"),
    ],
    ids=["datetimes", "texts", "zulu", "numbers", "array", "datetime64", "index", "series", "berlin"],
)
def test_times_beside_an_array_may_be_in_whatever_holds_them(given: Any) -> None:
    parts = packed(np.zeros((4, 1)), None, given)
    assert parts is not None
    assert parts.times.tolist() == EPOCHS


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (EPOCHS[:3], "3 timestamps do not match 4 rows"),
        ([*EPOCHS[:3], np.nan], "/timestamps/3"),
        ([datetime(2026, 1, 1)] * 4, "no time zone"),  # noqa: DTZ001
        (["yesterday"] * 4, "not RFC 3339"),
        ([None] * 4, "is not a datetime"),
    ],
)
def test_times_that_are_none_are_refused(given: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        packed(np.zeros((4, 1)), None, given)


@pytest.mark.parametrize("kind", ["f8", "f4", "i4"])
def test_what_an_array_masks_is_missing(kind: str) -> None:
    parts = packed(np.ma.masked_array(np.array([[1, 2], [3, 4]], kind), [[False, True], [False, False]]), None, None)
    assert parts is not None
    assert (parts.array[0, 1] != parts.array[0, 1], type(parts.array)) == (True, np.ndarray)


def test_an_array_that_is_no_table_is_refused() -> None:
    for array in (np.zeros(3), np.array([["a"]]), np.array([[np.inf]])):
        with pytest.raises(InvalidArgument):
            packed(array, None, None)


def test_a_lazy_frame_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="collect"):
        packed(pl.LazyFrame({"temp": TEMP}), None, None)


def test_without_narwhals_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "narwhals"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "narwhals.stable.v1", None)
    with pytest.raises(MissingDependency, match=r"streamnorm-client\[arrow\]"):
        packed(pl.DataFrame({"temp": TEMP}), None, None)


@pytest.mark.parametrize("make", MAKERS.values(), ids=[f"sent-{name.replace(' ', '-')}" for name in MAKERS])
def test_every_kind_of_frame_is_normalized_by_its_times(
    service: Service, request: pytest.FixtureRequest, make: Callable[[dict[str, Any]], Any]
) -> None:
    temps = np.random.default_rng(0).normal(20, 3, 50)
    moments = [MOMENTS[0] + timedelta(seconds=n * n) for n in range(50)]
    name = request.node.callspec.id
    with Client(service.url) as client:
        for stream in (name, f"{name}-one-by-one"):
            client.stream(stream).configure(time_constant=60.0)
        block = client.stream(name).bulk(make({"when": moments, "temp": temps.tolist()}))
        one = client.stream(f"{name}-one-by-one")
        expected = [one.observe({"temp": x}, timestamp=t).values["temp"] for x, t in zip(temps, moments, strict=True)]
    assert np.array(block.values["temp"]).tolist() == expected
    assert (block.features, block.last_seq, block.count) == (["temp"], 50, 50)


def test_names_that_no_query_can_hold_are_sent_whole(service: Service) -> None:
    frame = pd.DataFrame({"a,b": [1.0, 2.0, 4.0], "c": [1.0, 2.0, 3.0]})
    with Client(service.url) as client:
        stream = client.stream("commas")
        block = stream.bulk(frame)
        again = stream.bulk(frame, learn=False)
        plain = client.stream("no-commas").bulk(frame.rename(columns={"a,b": "ab"}))
    assert (block.features, list(again.values.columns)) == (["a,b", "c"], ["a,b", "c"])
    assert block.values.to_numpy().tolist() == plain.values.to_numpy().tolist()


@pytest.mark.parametrize("times", [None, EPOCHS], ids=["npy", "npz"])
def test_an_angle_comes_back_as_sine_and_cosine(service: Service, times: list[float] | None) -> None:
    with Client(service.url) as client:
        stream = client.stream(f"mast-{'npy' if times is None else 'npz'}")
        stream.configure(features={"wind": {"transform": "circular"}})
        rows = np.array([[0.0, 20.0], [90.0, 21.0], [180.0, 20.0], [270.0, 21.0]])
        block = stream.bulk(rows, features=["wind", "temp"], timestamps=times)
    assert block.features == ["wind.sin", "wind.cos", "temp"]
    assert block.values.shape == (4, 3)


@every_kind
def test_an_angle_in_a_frame_comes_back_as_two_columns(service: Service, make: Callable[[dict[str, Any]], Any]) -> None:
    angles, rule = [0.0, 90.0, None, 270.0], {"wind": {"transform": "circular"}}
    with Client(service.url) as client:
        stream = client.stream("vane")
        stream.configure(features=rule)
        frame = stream.bulk(make({"wind": angles, "when": MOMENTS, "temp": [20.0, 21.0, 22.0, 20.0]})).values
        stream.reset()
        rows = [
            {"temp": temp} | ({} if angle is None else {"wind": angle})
            for angle, temp in zip(angles, (20, 21, 22, 20), strict=True)
        ]
        dicts = stream.bulk(rows, timestamps=EPOCHS).values
        stream.delete()
    expected = Normalizer(features=rule).observe_block(
        np.array([[20, 0], [21, 90], [22, np.nan], [20, 270]], dtype=float), features=("temp", "wind")
    )
    table = pl.DataFrame(frame)
    assert sorted(table.columns) == ["temp", "when", "wind.cos", "wind.sin"]
    for name, ys in zip(expected.features, expected.values.T.tolist(), strict=True):
        np.testing.assert_array_equal(table[name].cast(pl.Float64).fill_null(np.nan).to_numpy(), ys)
        assert [row[name] for row in dicts if name in row] == [y for y in ys if y == y]  # noqa: PLR0124 - NaN
