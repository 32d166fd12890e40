"""Rows of tables: what they hold, what they are answered, and what is refused in place."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from streamnorm.engines.blobs import observe_blob
from streamnorm.engines.rows import Fields, observe_rows
from streamnorm.errors import InvalidReading
from tests.support.engine import NOW


def test_features_may_be_fields_or_a_map_in_one() -> None:
    wide = [{"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 1.0}]
    blob, rows = observe_rows(None, wide, Fields(("a", "b")), {}, NOW)
    nested_blob, nested = observe_rows(None, [{"v": row} for row in wide], Fields("v"), {}, NOW)
    assert blob == nested_blob
    assert [{name: row[name] for name in "ab"} for row in rows] == [row["v"] for row in nested]


def test_an_array_is_answered_as_an_array_and_a_channel_as_one() -> None:
    _, rows = observe_rows(None, [{"v": [1.0, 2.0]}, {"v": [3.0, 2.0]}], Fields("v"), {}, NOW)
    assert rows[0]["v"] == [0.0, 0.0]
    _, (row,) = observe_rows(None, [{"ir": [1.0, 3.0]}], Fields(("ir",)), {}, NOW)
    assert row["ir"] == pytest.approx([-1.0, 1.0])


def test_rows_keep_their_other_fields_and_are_told_what_a_service_tells() -> None:
    given = [{"id": n, "x": float(n), "seq": seq} for n, seq in enumerate([3, 3, 2, 7])]
    _, rows = observe_rows(None, given, Fields(("x",), seq="seq"), {"warmup": 1}, NOW)
    assert [row["id"] for row in rows] == [0, 1, 2, 3]
    assert [row["count"] for row in rows] == [1, 1, None, 2]
    assert [row["replayed"] for row in rows] == [False, True, None, False]
    assert rows[2]["error"] == "seq 2 is not after the last applied seq 3"
    assert rows[3]["gap"] == 3


@pytest.mark.parametrize(
    "stamp",
    [86400.0, 86400, "1970-01-02T00:00:00Z", datetime(1970, 1, 2), datetime(1970, 1, 2, tzinfo=UTC)],  # noqa: DTZ001
    ids=repr,
)
def test_times_may_be_numbers_texts_and_datetimes(stamp: object) -> None:
    assert Fields(("x",), "at").reading({"x": 1.0, "at": stamp}).timestamp == 86400.0


@pytest.mark.parametrize(("seq", "number"), [(3, 3), (3.0, 3), (None, None), (math.nan, None)], ids=repr)
def test_numbers_may_be_missing_and_floats(seq: object, number: int | None) -> None:
    assert Fields(("x",), seq="n").reading({"x": 1.0, "n": seq}).seq == number


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"x": "warm"}, "/values/x: must be a number"),
        ({"x": 1.0, "at": "noon"}, "/timestamp: must be an epoch in s, ms, µs or ns, or RFC 3339"),
        ({"x": 1.0, "n": 1.5}, "/seq: must be a whole number, not 1.5"),
        ({"x": 1.0, "n": -1}, "/seq: -1 is not within 0"),
    ],
    ids=str,
)
def test_a_wrong_row_is_answered_why_and_the_others_are_observed(row: dict[str, Any], why: str) -> None:
    fields = Fields(("x",), "at", "n")
    good = [{"x": float(n), "at": None, "n": None} for n in range(2)]
    blob, rows = observe_rows(None, [good[0], {"at": None, "n": None, **row}, good[1]], fields, {}, NOW)
    assert rows[1]["error"].startswith(why)
    assert rows[1]["count"] is None
    assert blob == observe_blob(None, [fields.reading(each) for each in good], {}, NOW)[0]


def test_refused_maps_and_arrays_are_empty() -> None:
    _, rows = observe_rows(None, [{"v": {"a": math.inf}}, {"v": [math.inf]}], Fields("v"), {}, NOW)
    assert [row["v"] for row in rows] == [{}, []]


def test_fields_that_are_not_there_or_are_taken_are_told() -> None:
    with pytest.raises(InvalidReading, match="there is no field 'temp'; the rows have sensor, x"):
        Fields(("temp",)).check(["sensor", "x"])
    with pytest.raises(InvalidReading, match="have a field 'count', which is added"):
        Fields(("x",)).check(["count", "x"])


def test_a_field_of_its_own_has_no_room_for_sine_and_cosine() -> None:
    blob, (row,) = observe_rows(None, [{"x": 1.0}], Fields(("x",)), {"transform": "circular"}, NOW)
    assert blob is None
    assert (row["x"], row["count"]) == (None, None)
    assert "put features into a map" in row["error"]
    _, (row,) = observe_rows(None, [{"v": {"x": 1.0}}], Fields("v"), {"transform": "circular"}, NOW)
    assert row["v"].keys() == {"x.sin", "x.cos"}
