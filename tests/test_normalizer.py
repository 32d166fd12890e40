"""The engine in process says what the service says, in the form it was asked."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

import streamnorm
from streamnorm import Normalizer
from streamnorm.errors import CannotMerge, InvalidConfiguration, InvalidReading, StaleSequence

ROWS = np.random.default_rng(0).normal(20, 3, (200, 3))


def observed(rows: int = 200, **config: object) -> Normalizer:
    """Build one that has seen the first rows."""
    normalizer = Normalizer(clock=lambda: 1000.0, **config)
    normalizer.observe_block(ROWS[:rows], features=["a", "b", "c"])
    return normalizer


def test_importing_the_package_imports_no_engine() -> None:
    code = "import sys, streamnorm; sys.exit('streamnorm.engine' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own code


def test_a_name_the_package_has_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Normaliser"):
        _ = streamnorm.Normaliser


def test_a_dict_is_answered_with_a_dict() -> None:
    assert Normalizer().observe({"temp": 21.4, "door": None}).values == {"temp": 0.0, "door": None}


def test_a_list_is_answered_with_a_list() -> None:
    assert Normalizer().observe([21.4, float("nan")]).values == [0.0, None]


def test_an_array_is_answered_with_an_array() -> None:
    np.testing.assert_array_equal(Normalizer().observe(np.array([21.4, np.nan])).values, [0.0, np.nan])


def test_a_series_is_answered_with_a_series() -> None:
    series = pd.Series([21.4, None], index=["temp", "door"], name="now")
    pd.testing.assert_series_equal(
        Normalizer().observe(series).values, pd.Series([0.0, None], index=["temp", "door"], name="now")
    )


def test_an_array_of_more_dimensions_is_a_channel_a_row() -> None:
    normalizer = Normalizer()
    answer = normalizer.observe(np.ones((2, 3, 3)))
    assert (normalizer.features, answer.values.shape) == (("0", "1"), (2, 3, 3))


def test_a_frame_keeps_its_index_and_columns() -> None:
    frame = pd.DataFrame(ROWS[:5], index=list("vwxyz"), columns=["a", "b", "c"])
    answer = Normalizer().observe_block(frame)
    assert (list(answer.values.index), list(answer.values.columns)) == (list("vwxyz"), ["a", "b", "c"])


def test_dicts_are_answered_with_the_keys_they_had() -> None:
    answer = Normalizer().observe_block([{"a": 1.0}, {"a": 2.0, "b": 1.0}])
    assert [list(row) for row in answer.values] == [["a"], ["a", "b"]]


@pytest.mark.parametrize("config", [{}, {"clamp": 1.0}, {"time_constant": 60.0}, {"robust": 3.0, "missing": "mean"}])
def test_a_block_gives_the_bits_of_one_by_one(config: dict[str, object]) -> None:
    one = Normalizer(clock=lambda: 1000.0, **config)
    expected = [one.observe(dict(zip("abc", row, strict=True))).values for row in ROWS.tolist()]
    block = Normalizer(clock=lambda: 1000.0, **config).observe_block(ROWS.tolist(), features=list("abc"))
    assert block.values == [list(row.values()) for row in expected]


def test_normalizing_learns_nothing() -> None:
    normalizer = observed()
    before = normalizer.snapshot()
    normalizer.normalize({"a": 1e9})
    normalizer.normalize_block(ROWS, features=["a", "b", "c"])
    assert normalizer.snapshot() == before


def test_denormalizing_undoes_normalizing() -> None:
    normalizer = observed()
    assert normalizer.denormalize(normalizer.normalize({"a": 23.5}).values) == pytest.approx({"a": 23.5})


def test_statistics_come_on_request() -> None:
    answer = Normalizer().observe({"temp": 21.4}, stats=True)
    assert (answer.mean, answer.std) == ({"temp": 21.4}, {"temp": 0.0})


def test_a_snapshot_goes_through_json_and_on_to_the_same_bits() -> None:
    normalizer = observed(100)
    other = Normalizer.restore(json.loads(json.dumps(normalizer.snapshot())), clock=lambda: 1000.0)
    rest = [each.observe_block(ROWS[100:], features=["a", "b", "c"]).values.tobytes() for each in (normalizer, other)]
    assert rest[0] == rest[1]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])  # noqa: S301 - our own
def test_copies_have_the_same_state_and_go_their_own_way(copied: object) -> None:
    normalizer = Normalizer()
    normalizer.observe_block(ROWS)
    other = copied(normalizer)  # type: ignore[operator]
    assert other.snapshot() == normalizer.snapshot()
    other.observe([1.0, 2.0, 3.0])
    assert normalizer.count == 200


def test_merging_adds_the_counts() -> None:
    normalizer = observed(100, method="cumulative")
    normalizer.merge(observed(50, method="cumulative"))
    assert normalizer.count == 150


def test_merging_another_method_is_refused_and_changes_nothing() -> None:
    normalizer = observed()
    before = normalizer.snapshot()
    with pytest.raises(CannotMerge):
        normalizer.merge(Normalizer(method="cumulative").snapshot())
    assert normalizer.snapshot() == before


def test_reset_forgets_the_statistics_and_keeps_the_configuration() -> None:
    normalizer = observed(horizon=50.0)
    normalizer.reset()
    assert (normalizer.count, normalizer.features, normalizer.config["horizon"]) == (0, (), 50.0)


def test_a_number_applied_last_is_replayed() -> None:
    normalizer = Normalizer()
    first = normalizer.observe({"a": 1.0}, seq=7)
    again = normalizer.observe({"a": 1.0}, seq=7)
    assert (again.replayed, again.values, normalizer.count) == (True, first.values, 1)


def test_a_number_applied_before_is_refused() -> None:
    normalizer = Normalizer()
    normalizer.observe({"a": 1.0}, seq=7)
    with pytest.raises(StaleSequence):
        normalizer.observe({"a": 1.0}, seq=6)


def test_a_numbered_block_is_replayed() -> None:
    normalizer = Normalizer()
    first = normalizer.observe_block(ROWS, first_seq=1)
    again = normalizer.observe_block(ROWS, first_seq=1)
    assert (again.replayed, again.values.tobytes(), normalizer.count) == (True, first.values.tobytes(), 200)


@pytest.mark.parametrize("moment", ["2030-01-01T00:00:00Z", 1893456000, datetime(2030, 1, 1, tzinfo=UTC)])
def test_simulated_time_may_run_ahead_of_the_clock(moment: object) -> None:
    normalizer = Normalizer(clock=lambda: 0.0, time_constant=1.0)
    normalizer.observe({"a": 1.0}, timestamp=moment)
    assert normalizer.snapshot()["features"][0]["time"] == 1893456000.0


@pytest.mark.parametrize("values", [{}, [], {"a": "warm"}, {"a": float("inf")}, np.float64(3.0), "warm"])
def test_what_is_no_reading_is_refused(values: object) -> None:
    with pytest.raises(InvalidReading):
        Normalizer().observe(values)


@pytest.mark.parametrize("rows", [[], [[1.0], [1.0, 2.0]], np.ones(3), np.ones((2, 2, 2)), [[float("inf")]]])
def test_what_is_no_block_is_refused(rows: object) -> None:
    with pytest.raises(InvalidReading):
        Normalizer().observe_block(rows)


def test_a_time_without_zone_is_refused_as_a_reading() -> None:
    with pytest.raises(InvalidReading, match="/timestamp"):
        Normalizer().observe({"a": 1.0}, timestamp="2026-11-22T09:00:00")


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="horzon"):
        Normalizer(horzon=3)


MASKED = np.ma.array([[20.0], [20.2], [-127.0], [20.1]], mask=[[False], [False], [True], [False]])


def test_masked_elements_are_missing_in_blocks_and_in_rows() -> None:
    block, rows, nan = (Normalizer() for _ in range(3))
    block.observe_block(MASKED)
    for row in MASKED:
        rows.observe(row)
    nan.observe_block(MASKED.filled(np.nan))
    features = nan.snapshot()["features"]
    assert block.snapshot()["features"] == rows.snapshot()["features"] == features
    assert features[0]["min"] == 20.0


@pytest.mark.parametrize(
    "rows",
    [
        [{"t": np.float64(1)}, {"t": np.int64(0)}],
        [[np.float32(1)], [False]],
        [pd.Series({"t": 1}), pd.Series({"t": 0})],
        pd.DataFrame({"t": [True, False]}),
        pd.DataFrame({"t": pd.array([1, 0], dtype="Int64")}),
        pd.Series([1.0, 0.0], name="t"),
        np.array([[True], [False]]),
    ],
    ids=repr,
)
def test_numbers_of_every_kind_go_in_alike_as_a_block(rows: object) -> None:
    block, single = Normalizer(), Normalizer()
    answer = block.observe_block(rows)
    for x in (1.0, 0.0):
        single.observe({"t": x})
    assert [feature | {"name": "t"} for feature in block.snapshot()["features"]] == single.snapshot()["features"]
    assert len(answer.values) == 2


def test_series_are_answered_with_their_names() -> None:
    answer = Normalizer().observe_block([pd.Series({"a": 1.0, "b": pd.NA}, name="first"), pd.Series({"b": 2.0})])
    first, second = answer.values
    assert (first.name, list(first.index), list(second.index)) == ("first", ["a", "b"], ["b"])
    over_time = Normalizer().observe_block(pd.Series([1.0, 2.0], index=[7, 9], name="t"))
    assert (over_time.features, over_time.values.name, list(over_time.values.index)) == (("t",), "t", [7, 9])


@pytest.mark.parametrize(
    "rows",
    [
        pd.DataFrame({"t": ["unavailable"]}),
        pd.DataFrame({"t": ["21.4"]}),
        pd.DataFrame({"t": pd.to_datetime(["2020-01-01"])}),
        pd.DataFrame({"t": [1j]}),
        [{"t": "x"}],
        [pd.Series({"t": "x"})],
    ],
    ids=repr,
)
def test_what_is_no_number_is_an_invalid_reading_in_every_form(rows: object) -> None:
    with pytest.raises(InvalidReading, match="/values"):
        Normalizer().observe_block(rows)


def test_a_series_with_pandas_na_is_a_missing_value() -> None:
    answer = Normalizer().observe(pd.Series({"a": 1.0, "b": pd.NA}, dtype=object))
    assert answer.values.isna().tolist() == [False, True]


def test_what_is_absent_from_rows_is_not_counted_as_missing() -> None:
    rows: list[dict[str, float | None]] = [{"a": 1.0}, {"a": None, "b": 2.0}, {"b": 3.0}]
    block, single = Normalizer(clock=lambda: 5.0), Normalizer(clock=lambda: 5.0)
    block.observe_block(rows)
    for row in rows:
        single.observe(row)
    assert block.snapshot() == single.snapshot()


@pytest.mark.parametrize("stamps", [np.array([1, 2]), [np.int64(1), np.float32(2)], [1, 2.0]], ids=repr)
def test_times_may_be_whole_numbers_of_numpy(stamps: Any) -> None:
    normalizer = Normalizer(time_constant=60.0)
    normalizer.observe_block([[1.0], [2.0]], timestamps=stamps)
    assert normalizer.snapshot()["features"][0]["time"] == 2.0


def test_of_ten_million_readings_of_a_level_none_is_lost_for_want_of_digits() -> None:
    normalizer, rng = Normalizer(method="cumulative"), np.random.default_rng(0)
    zeros = 0
    for _ in range(10):
        rows = 1e9 + rng.standard_normal((1_000_000, 1))
        zeros += int((normalizer.observe_block(rows).values == 0.0).sum())
    assert zeros < 10_000
