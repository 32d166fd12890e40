"""Files that loggers and services write, each told by its first lines and read as it is meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from streamnorm.backfill.unreadable import Unreadable
from tests.backfill.recorded import column, looked, run, written

VALUES = np.random.default_rng(3).normal(20, 2, 30).round(2)


def rows(form: str) -> str:
    """Write a row a value: {n}, {x}, {h} the hour, {m} the minute."""
    return "".join(
        form.format(n=n, x=x, c=str(x).replace(".", ","), h=n // 60, m=n % 60) for n, x in enumerate(VALUES.tolist())
    )


HOBO = '"Plot Title: roof"\n"#","Date Time, GMT-05:00","Temp, °C (LGR S/N: 1)","Host Connected (LGR S/N: 1)"\n'
TOA5 = '"TOA5","roof","CR1000","1","x","y","1","t"\n"TIMESTAMP","RECORD","Ta"\n"TS","RN","C"\n"","","Smp"\n'
LVM = "LabVIEW Measurement\t\nSeparator\tTab\nDecimal_Separator\t,\n***End_of_Header***\t\n\t\nChannels\t1\n***End_of_Header***\t\nX_Value\tVolt\tComment\n"
RDB = "# USGS\n#\nagency_cd\tsite_no\tdatetime\ttz_cd\t1_00060\t1_00060_cd\n5s\t15s\t20d\t6s\t14n\t10s\n"
FLUX = "#group,false,false,false,false,true,true\n#datatype,string,long,dateTime:RFC3339,double,string,string\n#default,_result,,,,,\n,result,table,_time,_value,_field,_measurement\n"
CASES = {
    "Onset HOBO": (HOBO + rows('{n},"04/08/26 {h:02}:{m:02}:00 PM",{x},\n'), "Temp, °C (LGR S/N: 1)", ",", "."),
    "Campbell TOA5": (TOA5 + rows('"2026-01-01 0{h}:{m:02}:00",{n},{x}\n'), "Ta", ",", "."),
    "LabVIEW LVM": (LVM + rows("{n},5\t{c}\n"), "Volt", "\t", ","),
    "USGS RDB": (RDB + rows("USGS\t0123\t2026-01-01 0{h}:{m:02}\tEST\t{x}\tA\n"), "1_00060", "\t", "."),
    "DWD": (
        "STATIONS_ID;MESS_DATUM;QN_9;TT_TU;eor\n"
        + rows("   44;20260101{m:02};3;  {x};eor\n").replace(";20260101", ";202601010"),
        "TT_TU",
        ";",
        ".",
    ),
    "phyphox": ('"Time (s)";"Acceleration x (m/s^2)"\n' + rows("{n},5;{c}\n"), "Acceleration x (m/s^2)", ";", ","),
    "Torque": (
        "GPS Time, Device Time, Longitude,Speed(km/h)\n" + rows("-,23-Feb-2026 06:{m:02}:00.403,-,{x}\n"),
        "Speed(km/h)",
        ",",
        ".",
    ),
    "Home Assistant history": (
        "entity_id,state,last_changed\n" + rows("sensor.a,{x},2026-01-01T0{h}:{m:02}:00.000Z\n"),
        "state",
        ",",
        ".",
    ),
    "Home Assistant statistics": (
        "statistic_id,start,mean,min,max\n" + rows("sensor.a,2026-01-01T0{h}:{m:02}:00Z,{x},1,2\n"),
        "mean",
        ",",
        ".",
    ),
    "InfluxDB annotated CSV": (FLUX + rows(",,0,2026-01-01T0{h}:{m:02}:00Z,{x},usage,cpu\n"), "_value", ",", "."),
    "Grafana series": (
        '"Series";"Time";"Value"\n' + rows('"Probe";"2026-01-01T0{h}:{m:02}:00+02:00";{x}\n'),
        "Value",
        ";",
        ".",
    ),
}


@pytest.mark.parametrize("title", CASES)
def test_a_preset_is_recognized_and_its_values_are_those_of_pandas(tmp_path: Path, title: str) -> None:
    text, name, delimiter, decimal = CASES[title]
    file = written(tmp_path, text, "in.csv")
    findings = looked(file).findings
    assert (findings.preset and findings.preset.title, bool(findings.roles.time)) == (title, True)
    ran = run(tmp_path, file)
    assert ran.status == 0, ran.told
    moving = pd.Series(VALUES).ewm(alpha=1 / 1000)
    expected = ((VALUES - moving.mean()) / moving.std(bias=True)).fillna(0.0)
    lines = ran.out.decode().splitlines()
    assert lines[: findings.table.data] == text.splitlines()[: findings.table.data]
    table = [line.split(delimiter) for line in lines[findings.table.data :]]
    place = findings.names.index(name)
    found = [float(row[place].strip('"').replace(decimal, ".")) for row in table]
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("title", CASES)
def test_nothing_else_of_a_preset_is_a_sensor(tmp_path: Path, title: str) -> None:
    text, name, *_ = CASES[title]
    numbered = looked(written(tmp_path, text)).findings.roles.numbered
    assert set(numbered) - {"min", "max"} == {name}


def test_states_of_home_assistant_are_numbers_or_missing(tmp_path: Path) -> None:
    text = "entity_id,state,last_changed\n" + "".join(
        f"{who},{state},2026-01-01T00:0{n}:00Z\n"
        for n, (who, state) in enumerate(
            [("sensor.a", "20"), ("door", "on"), ("sensor.a", "unavailable"), ("door", "off"), ("sensor.a", "22")]
        )
    )
    ran = run(tmp_path, written(tmp_path, text))
    states = [line.split(",")[1] for line in ran.out.decode().splitlines()[1:]]
    assert (ran.status, states[2], states[0], states[1]) == (0, "unavailable", "0.0", "0.0")
    assert [round(float(states[n]), 3) for n in (3, 4)] == [-0.999, 0.999]
    assert "2 streams" in ran.told


def test_annotated_csv_names_its_streams_as_line_protocol_does(tmp_path: Path) -> None:
    text = (
        "#group,false,false,false,false,true,true,true\n,result,table,_time,_value,_field,_measurement,host\n"
        + "".join(f",,0,2026-01-01T00:00:0{n}Z,{n},use,cpu,a\n" for n in range(5))
    )
    found = looked(written(tmp_path, "#datatype,string,long,dateTime:RFC3339,double,string,string,string\n" + text))
    assert found.template == "{_measurement},host={host}"


def test_tables_of_annotated_csv_that_come_again_are_read_as_one(tmp_path: Path) -> None:
    half = rows(",,0,2026-01-01T0{h}:{m:02}:00Z,{x},usage,cpu\n").splitlines(keepends=True)
    text = FLUX + "".join(half[:15]) + "\n" + FLUX + "".join(half[15:])
    ran = run(tmp_path, written(tmp_path, text))
    assert (ran.status, ran.out.count(b"#group")) == (0, 2)


def test_infinity_of_torque_is_missing(tmp_path: Path) -> None:
    text = "GPS Time,Device Time,Fuel\n-,23-Feb-2026 06:34:00,5\n-,23-Feb-2026 06:34:01,∞\n-,23-Feb-2026 06:34:02,6\nGPS Time,Device Time,Fuel\n-,23-Feb-2026 06:34:03,7\n"
    ran = run(tmp_path, written(tmp_path, text))
    assert (ran.status, ran.out.decode().splitlines()[2].split(",")[2]) == (0, "∞")
    assert np.isfinite(column(ran.out, "Fuel")).sum() == 3


def test_a_preset_can_be_asked_for_and_refused(tmp_path: Path) -> None:
    file = written(tmp_path, CASES["Grafana series"][0])
    with pytest.raises(Unreadable, match="--preset hobo"):
        looked(file, preset="hobo")
    with pytest.raises(Unreadable, match="none of hobo"):
        looked(file, preset="nope")
    assert looked(file, preset="none", stream="s").findings.preset is None
