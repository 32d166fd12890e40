"""What each column is: independent of the order of the rows, and told."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamnorm.backfill.reading.sources import begin, chunks
from streamnorm.backfill.show import described
from streamnorm.backfill.times.clock import Clock
from streamnorm.backfill.unreadable import Unreadable
from tests.backfill.recorded import ROWS, looked, run, written

TEMPS = np.random.default_rng(1).normal(20, 2, 120).round(1).tolist()


def table(head: str, form: str) -> list[str]:
    """Write rows of {n} and {x}; {h} and {d} are an hour and a day."""
    return [head, *(form.format(n=n, x=x, h=n % 24, d=1 + n // 24) for n, x in enumerate(TEMPS))]


CASES = {
    "row numbers, parts of a date and text": (
        table("No,year,month,day,hour,TEMP,wind", "{n},2026,1,{d},{h},{x},NW"), ("TEMP",), ("year", "month", "day", "hour"),
    ),
    "row numbers without a name": (table(",time,temp", "{n},2026-01-0{d} {h:02}:00,{x}"), ("temp",), ("time",)),
    "row numbers of any name": (table("line_of_log,temp", "{n},{x}"), ("temp",), ()),
    "ids": (table("time,device_id,temp,humid", "2026-01-0{d} {h:02}:00,7,{x},{x}"), ("temp", "humid"), ("time",)),
    "a date and a time of the day": (table("Date,Time,T", "2026-01-0{d},{h:02}:00:00,{x}"), ("T",), ("Date", "Time")),
    "epoch seconds": (table("ts,temp", "17000{n:05},{x}"), ("temp",), ("ts",)),
    "morning and afternoon": (table("Date,Time,AM/PM,T", "2026-01-0{d},11:{h:02}:00,PM,{x}"), ("T",), ("Date", "Time", "AM/PM")),
    "noted morning and afternoon": (table("when,half,T", "2026-01-0{d} 11:{h:02}:00 PM,PM,{x}"), ("T",), ("when",)),
    "even steps called t": (table("t,T", "{n},{x}"), ("T",), ("t",)),
    "two times": (table("start_time,end_time,x", "2026-01-0{d} {h:02}:00,2026-01-0{d} {h:02}:30,{x}"), ("x",), ("start_time",)),
    "a least value called min": (table("time,min,max", "2026-01-0{d} {h:02}:00,{h},{x}"), ("min", "max"), ("time",)),
    "digits of a date": (table("datum,x", "202601{d:02}{h:02}00,{x}"), ("x",), ("datum",)),
    "numbers with units": (table("time,T,rh,note", "2026-01-0{d} {h:02}:00,{x} °C,{x}%,{x} or so"), ("T", "rh"), ("time",)),
    "hours of the morning": (table("hour,T", "9 AM,{x}"), ("T",), ()),
    "scans": (["Scan,T", *(f"{n},{x}" for n, x in enumerate(TEMPS[:50]))], ("T",), ()),
    "cells that are text at first": ([*table("a,b", "{x},5").copy()[:1], "err,5", "err,6", *table("a,b", "{x},5.{n}")[1:]], ("a", "b"), ()),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_a_column_is_what_it_is_whatever_the_order_of_its_rows(tmp_path: Path, case: str, seed: int | None) -> None:
    lines, features, time = CASES[case]
    head, rows = lines[0], lines[1:]
    if seed is not None:
        rows = random.Random(seed).sample(rows, len(rows))
    roles = looked(written(tmp_path, "\n".join([head, *rows, ""]))).findings.roles
    assert (roles.features, roles.time) == (features, time)


@pytest.mark.parametrize("options", [[], ["--time-column", "Date", "--time-column", "Time", "--time-column", "Half"]])
def test_afternoons_are_told_by_a_column_of_their_own(tmp_path: Path, options: list[str]) -> None:
    lines = [
        "Date,Time,Half,T",
        *(f"1/18/2026,{n % 12 or 12}:00:00,{'AP'[n // 12]}M,{x}" for n, x in enumerate(TEMPS[:24])),
    ]
    ran = run(tmp_path, written(tmp_path, "\n".join(lines)), "--config", '{"time_constant": 3600}', *options)
    plain = ["time,T", *(f"2026-01-18 {n:02}:00:00,{x}" for n, x in enumerate(TEMPS[:24]))]
    file = written(tmp_path, "\n".join(plain), "plain.csv")
    same = run(tmp_path, file, "--config", '{"time_constant": 3600}', "--stream", "plain")
    found = [[line.rpartition(b",")[2] for line in out.split(b"\n")] for out in (ran.out, same.out)]
    assert (ran.status, found[0]) == (0, found[1])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_units_in_cells_are_left_out_and_told(tmp_path: Path, encoding: str) -> None:
    lines = ["Zeit;T;U", *(f'2026-01-0{1 + n // 24} {n % 24:02}:00;"{x} °C";{x} V' for n, x in enumerate(TEMPS))]
    lines[-1] = lines[-1].replace(" V", " mV")
    text = "\n".join([*lines, ""]).replace(".", ",")
    found = looked(written(tmp_path, text.encode(encoding))).findings
    assert (found.roles.features, found.notes) == (("T", "U"), ("T: numbers in °C", "U: numbers in V"))
    ran = run(tmp_path, "in.csv")
    plain = text.replace(" °C", "").replace(" V", "").replace(" mV", "?")
    bare = run(tmp_path, written(tmp_path, plain.encode(encoding), "bare.csv"), "--stream", "bare")
    assert (ran.status, ran.out) == (3, bare.out)


def test_every_column_that_is_no_sensor_is_told_with_its_reason(tmp_path: Path) -> None:
    kept = looked(written(tmp_path, "\n".join(table("No,ID,note,empty,temp", "{n},7,x,,{x}")))).findings.roles.kept
    assert kept == {"No": "row numbers", "ID": "id", "note": "text", "empty": "empty"}


def test_a_column_of_few_numbers_is_told(tmp_path: Path) -> None:
    roles = looked(written(tmp_path, "a,b\n1,5\nx,6\n")).findings.roles
    assert (roles.features, roles.notes) == (("b",), ("a: 1 of 2 cells are numbers; --columns takes it",))


def test_columns_are_taken_and_left_out_as_is_said(tmp_path: Path) -> None:
    file = written(tmp_path, "\n".join(table("No,temp_a,temp_b,hum", "{n},{x},{x},{x}")))
    assert looked(file, columns=["No,temp_*"]).findings.roles.features == ("No", "temp_a", "temp_b")
    assert looked(file, exclude=["temp_*"]).findings.roles.features == ("hum",)
    with pytest.raises(Unreadable, match=r"--columns: there is no column 'tmp'.*temp_a"):
        looked(file, columns=["tmp"])


def test_names_with_commas_are_named_in_quotes(tmp_path: Path) -> None:
    file = written(tmp_path, 'a, b,"Temp, C"\n1,2,3\n2,3,5\n')
    assert looked(file, columns=['"Temp, C",b']).findings.roles.features == ("b", "Temp, C")


@pytest.mark.parametrize("code", [-200, -999, -9999.0, 85])
def test_a_far_number_that_repeats_itself_is_suggested_as_missing(tmp_path: Path, code: float) -> None:
    lines = table("x,y", "{x},{x}")
    lines[7], lines[70] = f"{code},20", f"{code},21"
    file = written(tmp_path, "\n".join(lines))
    roles = looked(file).findings.roles
    assert [f"--missing x={code:g}" in note for note in roles.notes] == [True]
    assert looked(file, missing=[f"x={code}"]).findings.roles.notes == ()


def test_what_is_suggested_can_be_copied_into_a_shell(tmp_path: Path) -> None:
    lines = table("CO(GT)", "{x}")
    lines[7] = lines[70] = "-200"
    (note,) = looked(written(tmp_path, "\n".join(lines))).findings.roles.notes
    assert note.endswith("--missing 'CO(GT)=-200'")


def test_a_number_within_the_others_is_not_suggested(tmp_path: Path) -> None:
    lines = ["x", *(str(80 + n % 10) for n in range(100))]
    assert looked(written(tmp_path, "\n".join(lines))).findings.roles.notes == ()


def test_readings_of_several_devices_are_not_mixed_silently(tmp_path: Path) -> None:
    file = written(
        tmp_path, "time,device,temp\n" + "".join(f"2026-01-01 00:{n:02},d{n % 2},{20 + n}\n" for n in range(20))
    )
    with pytest.raises(Unreadable, match=r"--stream-column 'device'.*--stream ID"):
        looked(file)
    assert looked(file, stream="all").template == "all"
    assert looked(file, stream_column="device").template == "{device}"


def test_states_make_a_column_of_texts_a_sensor(tmp_path: Path) -> None:
    file = written(tmp_path, "time,door\n2026-01-01,ON\n2026-01-02,OFF\n2026-01-03,ON\n")
    with pytest.raises(Unreadable, match="--state ON=1"):
        looked(file)
    assert looked(file, state=["ON=1,OFF=0"]).findings.roles.features == ("door",)


def test_streams_are_named_by_the_file_but_for_its_last_ending_or_by_a_pattern(tmp_path: Path) -> None:
    text = "time,site,temp\n" + "".join(f"2026-01-01 00:{n:02},s{n % 2},{20 + n}\n" for n in range(20))
    assert looked(written(tmp_path, text, "room.v2.csv"), stream="").template == "room.v2"
    assert (
        looked(written(tmp_path, text, "x.csv"), stream="{folder}-{file}-{site}").template
        == f"{tmp_path.name}-x-{{site}}"
    )
    with pytest.raises(Unreadable, match="--stream: there is no column 'nope'"):
        looked(written(tmp_path, text), stream="{nope}")


def test_a_time_constant_needs_times(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="--time-column"):
        looked(written(tmp_path, "x\n1\n2\n"), config='{"time_constant": 60}')


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"time_unit": "years"}, "--time-unit"),
        ({"time_zone": "Nowhere"}, "--time-zone"),
        ({"time_column": ["nope"]}, "there is no column 'nope'"),
        ({"encoding": "utf-9"}, "--encoding"),
        ({"on_bad_row": "drop"}, "--on-bad-row"),
        ({"decimal": "::"}, "--decimal"),
        ({"names": "a"}, "--names"),
    ],
)
def test_an_option_that_is_wrong_is_named(tmp_path: Path, options: dict[str, object], told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        looked(written(tmp_path, "time,x\n2026-01-01,1\n2026-01-02,2\n"), **options)


def test_a_state_without_a_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--states: 'ON' is no text with its value"):
        looked(written(tmp_path, "x\n1\n2\n"), state=["ON"])


@pytest.mark.parametrize(
    ("zone", "named", "hour"), [("", None, 12), ("Europe/Berlin", None, 11), ("Asia/Tokyo", "UTC", 12)]
)
def test_times_of_parquet_are_in_the_zone_that_is_said_where_they_name_none(
    tmp_path: Path, zone: str, named: str | None, hour: int
) -> None:
    moments = pd.date_range("2026-01-01T12:00", periods=60, freq="min", tz=named)
    pq.write_table(pa.table({"at": pa.array(moments), "x": ROWS[:, 0]}), tmp_path / "in.parquet")
    found = looked(tmp_path / "in.parquet", time_zone=zone)
    [chunk] = chunks(found.file, found.findings, begin(found.findings))
    times = Clock(found.findings.roles.time_form).column(chunk.column("at"))
    assert times[0] == datetime(2026, 1, 1, hour, tzinfo=UTC).timestamp()
    assert any("no zone is named" in line for line in described(found)) == (not named and not zone)
