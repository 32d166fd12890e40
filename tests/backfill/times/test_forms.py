"""Times as loggers write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.backfill.times.clock import Clock, TimeForm
from streamnorm.backfill.times.dates import is_clock, is_date
from streamnorm.backfill.times.forms import by_size, recognized
from streamnorm.backfill.unreadable import Unreadable

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2060, 1, 1)).map(lambda each: each.replace(microsecond=0))  # noqa: DTZ001


def seconds(*texts: str, **options: str) -> list[float]:
    """Recognize times, and read them."""
    found: list[float] = Clock(recognized(texts, zone=options.get("zone", ""))).column(texts).tolist()
    return found


def at(text: str) -> float:
    """Return the seconds of a time in the standard form."""
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026-01-31 09:05:00", "2026-01-31T09:05:00Z"),
        ("2026-01-31T09:05:00.25Z", "2026-01-31T09:05:00.25Z"),
        ("2026-01-31T09:05:00+02:00", "2026-01-31T07:05:00Z"),
        ("2026-01-31 09:05:00 -0500", "2026-01-31T14:05:00Z"),
        ("2026/1/31 9:05", "2026-01-31T09:05:00Z"),
        ("31/01/2026 09:05:00", "2026-01-31T09:05:00Z"),
        ("31.1.26 9.05", "2026-01-31T09:05:00Z"),
        ("01/31/26 09:05:00 PM", "2026-01-31T21:05:00Z"),
        ("01/31/2026 12:05:00 AM", "2026-01-31T00:05:00Z"),
        ("31-Jan-2026 09:05:00.403", "2026-01-31T09:05:00.403Z"),
        ("31-Mai-2026 09:05:00", "2026-05-31T09:05:00Z"),
        ("Sat Jan 31 09:05:00 GMT 2026", "2026-01-31T09:05:00Z"),
        ("Jan 31, 2026 09:05:00", "2026-01-31T09:05:00Z"),
        ("202601310905", "2026-01-31T09:05:00Z"),
        ("20260131T090500Z", "2026-01-31T09:05:00Z"),
        ("2026-01-31 09:05:00 EST", "2026-01-31T14:05:00Z"),
        ("2026-01-31 24:00", "2026-02-01T00:00:00Z"),
    ],
)
def test_forms_are_understood(text: str, means: str) -> None:
    assert seconds(text)[0] == pytest.approx(at(means), abs=1e-6)


@given(st.lists(MOMENTS, min_size=1, max_size=20))
def test_iso_times_are_those_of_the_standard_library(moments: list[datetime]) -> None:
    texts = [moment.isoformat(sep=" ") for moment in moments]
    assert seconds(*texts) == [moment.replace(tzinfo=UTC).timestamp() for moment in moments]


@pytest.mark.parametrize("pattern", ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"])
def test_day_and_month_are_told_apart_by_the_whole_column(pattern: str) -> None:
    moments = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=7 * n) for n in range(60)]
    texts = [moment.strftime(pattern) for moment in moments]
    assert seconds(*texts) == [moment.timestamp() for moment in moments]


@pytest.mark.parametrize("pattern", ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"])
def test_day_and_month_are_told_apart_by_the_order_of_the_rows(pattern: str) -> None:
    moments = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=7 * n) for n in range(30)]
    texts = [moment.strftime(pattern) for moment in moments]
    assert seconds(*texts) == [moment.timestamp() for moment in moments]


def test_day_and_month_that_cannot_be_told_apart_are_asked() -> None:
    with pytest.raises(Unreadable, match="--time-format dmy or --time-format mdy"):
        recognized(["03/04/2026 10:00", "03/04/2026 11:00"])
    assert recognized(["03/04/2026 10:00"], day_first=True).order == "dmy"


def test_a_column_of_both_is_refused() -> None:
    with pytest.raises(Unreadable, match="--time-format"):
        recognized(["31/01/2026", "01/31/2026"])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_the_hour_that_comes_twice_is_told_apart_by_the_order(zone: str) -> None:
    here = ZoneInfo(zone)
    month = 4 if zone.startswith("Aus") else 10
    moments = [datetime(2025, month, 1, tzinfo=UTC) + timedelta(minutes=10 * n) for n in range(6_500)]
    texts = [moment.astimezone(here).strftime("%Y-%m-%d %H:%M:%S") for moment in moments]
    form = recognized(texts, zone=zone)
    clock = Clock(form)
    found = np.concatenate([clock.column(texts[n : n + 97]) for n in range(0, len(texts), 97)])
    np.testing.assert_array_equal(found, [moment.timestamp() for moment in moments])


def test_hourly_times_in_the_hour_that_comes_twice_are_an_hour_apart() -> None:
    clock = Clock(TimeForm("ymd", zone="Europe/Berlin", naive=True))
    found = clock.column(["2025-10-26 01:00", "2025-10-26 02:00", "2025-10-26 02:00", "2025-10-26 03:00"])
    assert np.diff(found).tolist() == [3600.0] * 3


@pytest.mark.parametrize(
    ("values", "name", "unit"),
    [
        ([1.7e9, 1.7e9 + 1], "time", "s"),
        ([1.7e12], "time", "ms"),
        ([1.7e15], "time", "us"),
        ([1.7e18], "time", "ns"),
        ([0.0, 0.1], "Time (s)", "s"),
        ([0.0, 100.0], "elapsed_ms", "ms"),
        ([0.0, 100.0], "time [min]", "min"),
        ([45_000.25, 45_000.5], "Zeit", "excel"),
        ([45_000.0, 45_001.0], "Date", "excel"),
        ([40_000.0, 40_001.0], "seconds", "s"),
    ],
)
def test_units_are_told_by_size_or_name(values: list[float], name: str, unit: str) -> None:
    assert by_size(np.array(values), name) == unit


def test_excels_days_are_dates() -> None:
    found = Clock(TimeForm(unit="excel", naive=True)).column(["46053.375"])
    assert found.tolist() == [at("2026-01-31T09:00:00Z")]


def test_a_pattern_that_is_said_is_used() -> None:
    clock = Clock(TimeForm(pattern="%H.%M on %d %b %y", naive=True))
    assert clock.column(["09.05 on 31 Jan 26", "soon"]).tolist()[0] == at("2026-01-31T09:05:00Z")


def test_what_is_no_time_is_nan() -> None:
    assert np.isnan(Clock(TimeForm("ymd")).column(["2026-02-30", "", "today", "now", "12", None])).all()


def test_unknown_zones_are_refused() -> None:
    with pytest.raises(Unreadable, match="--time-zone"):
        recognized(["2026-01-01"], zone="Middle/Earth")


def test_numbers_are_no_dates_and_dates_no_clocks() -> None:
    assert not any(map(is_date, ("1.5", "20_24", "-1", "12:30", "1,5", "warm")))
    assert [is_clock(text) for text in ("12:30", "18.00.00", "1.5", "25:00", "9:05:01.5 PM")] == [
        True,
        True,
        False,
        False,
        True,
    ]
