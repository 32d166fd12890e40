"""What is known of files that no sniffer understands by itself: a preset each, told by the file's first lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

ON_OFF = {
    "on": 1.0,
    "off": 0.0,
    "open": 1.0,
    "closed": 0.0,
    "home": 1.0,
    "not_home": 0.0,
    "locked": 0.0,
    "unlocked": 1.0,
}


@dataclass(frozen=True)
class Preset:
    """What a preset says of a file; None and empty where the file itself tells.

    `header` and `data` are the numbers, from 0, of the line with the names and of the first row. `time` names columns
    in the order of preference. `stream` is a template of columns' names.
    """

    title: str
    header: int | None = None
    data: int | None = None
    delimiter: str = ""
    comment: str = ""
    decimal: str = ""
    time: tuple[str, ...] = ()
    zone: str = ""
    order: str = ""
    stream: str = ""
    feature_column: str = ""
    value_column: str = ""
    missing: tuple[str, ...] = ()
    codes: tuple[float, ...] = ()
    states: Mapping[str, float] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()


Find = Callable[[Sequence[str]], Preset | None]


def recognized(lines: Sequence[str]) -> Preset | None:
    """Find the preset that a file's first lines call for."""
    return next((found for find in PRESETS.values() if lines and (found := find(lines)) is not None), None)


def hobo(lines: Sequence[str]) -> Preset | None:
    """Onset HOBOware: a title, then names such as `Date Time, GMT-05:00`."""
    at = next((n for n, line in enumerate(lines[:3]) if re.search(r"Date Time, GMT|Date Time \(GMT", line)), None)
    if at is None:
        return None
    zone = re.search(r"GMT\s*([+\-\u2212]\d\d:?\d\d)", lines[at])
    exclude = (r"(?:Host Conn|Coupler|Stopped|End Of File|Button|Bad Battery|Detached|Attached).*",)
    return Preset("Onset HOBO", at, at + 1, zone=zone[1] if zone else "", order="mdy", exclude=exclude)


def toa5(lines: Sequence[str]) -> Preset | None:
    """Campbell Scientific's TOA5: station, names, units, kinds of processing."""
    if not re.match(r'"?TOA5"?,', lines[0]):
        return None
    return Preset("Campbell TOA5", 1, 4, ",", time=("TIMESTAMP",), exclude=("RECORD", "RN"), codes=(-7999.0, 7999.0))


def lvm(lines: Sequence[str]) -> Preset | None:
    """LabVIEW's measurement file: headers of keys and values, each ended by a line."""
    if not lines[0].startswith("LabVIEW Measurement"):
        return None
    ends = [n for n, line in enumerate(lines) if line.startswith("***End_of_Header***")]
    if not ends:
        return None
    at = ends[-1] + 1
    while at < len(lines) and not lines[at].strip():
        at += 1
    said = dict(line.split(None, 1) for line in lines[: ends[-1]] if len(line.split(None, 1)) == 2)  # noqa: PLR2004
    delimiter = "," if said.get("Separator", "Tab").strip().startswith("Comma") else "\t"
    decimal = "," if said.get("Decimal_Separator", ".").strip().startswith(",") else "."
    return Preset(
        "LabVIEW LVM", at, at + 1, delimiter, decimal=decimal, time=("X_Value",), exclude=("X_Value.*", "Comment.*")
    )


def rdb(lines: Sequence[str]) -> Preset | None:
    """USGS RDB: comments, names, then the columns' widths and kinds (`15s`, `14n`)."""
    at = next((n for n, line in enumerate(lines) if not line.startswith("#")), None)
    if at is None or at + 1 >= len(lines) or not re.fullmatch(r"\d+[sdn](?:\t\d+[sdn])*", lines[at + 1].strip()):
        return None
    remarks = ("ice", "eqp", "ssn", "bkw", "dis", "mnt", "pr", "rat", "zfl", "fld", "tst", "dry", "***", "--", "_ice")
    exclude = (r"agency_cd", r"site_no", r"tz_cd", r".*_cd")
    return Preset("USGS RDB", at, at + 2, "\t", "#", time=("datetime",), missing=remarks, exclude=exclude)


def flux(lines: Sequence[str]) -> Preset | None:
    """InfluxDB's annotated CSV: `#group`, `#datatype`, `#default`, then the names."""
    if not re.match(r"#(?:group|datatype|default)\b", lines[0]):
        return None
    at = next((n for n, line in enumerate(lines) if not line.startswith("#")), None)
    if at is None:
        return None
    names = [name.strip() for name in lines[at].split(",")]
    own = ("", "result", "table", "_start", "_stop", "_time", "_value", "_field", "_measurement")
    groups = next((line.split(",") for line in lines[:at] if line.startswith("#group")), None)
    tags = [
        name
        for place, name in enumerate(names)
        if name not in own and "_field" in names and (groups is None or groups[place : place + 1] == ["true"])
    ]
    measurement = ["{_measurement}"] if "_measurement" in names else []
    stream = ",".join(measurement + [f"{tag}={{{tag}}}" for tag in sorted(tags)])
    long = "_field" in names and "_value" in names
    return Preset(
        "InfluxDB annotated CSV", at, at + 1, ",", "#", time=("_time",), stream=stream,
        feature_column="_field" if long else "", value_column="_value" if long else "",
        exclude=("result", "table", "_start", "_stop"),
    )  # fmt: skip


def home_assistant(lines: Sequence[str]) -> Preset | None:
    """Home Assistant's history: a state an entity and time."""
    names = _names(lines[0])
    if not {"entity_id", "state"} <= set(names):
        return None
    return Preset(
        "Home Assistant history", 0, 1, time=("last_changed", "last_updated"), stream="{entity_id}",
        missing=("unavailable", "unknown"), states=ON_OFF, exclude=(r"(?!state$).*",),
    )  # fmt: skip


def statistics(lines: Sequence[str]) -> Preset | None:
    """Home Assistant's statistics: mean, min and max, or state and sum, by the hour."""
    names = set(_names(lines[0]))
    key = next((name for name in ("statistic_id", "metadata_id") if name in names), None)
    if key is None or not names & {"start", "start_ts"} or not names & {"mean", "state", "sum"}:
        return None
    exclude = (r"(?!(?:mean|min|max|state|sum)$).*",)
    return Preset("Home Assistant statistics", 0, 1, time=("start_ts", "start"), stream=f"{{{key}}}", exclude=exclude)


def dwd(lines: Sequence[str]) -> Preset | None:
    """Find observations of the German weather service: station, time as digits, quality levels, values, `eor`."""
    if not {"STATIONS_ID", "MESS_DATUM"} <= set(_names(lines[0], ";")):
        return None
    exclude = (r"STATIONS_ID", r"QN.*", r"QUALITAETS.*", r"eor")
    return Preset(
        "DWD", 0, 1, ";", time=("MESS_DATUM",), zone="UTC", stream="{STATIONS_ID}", codes=(-999.0,), exclude=exclude
    )  # fmt: skip


def phyphox(lines: Sequence[str]) -> Preset | None:
    """Phyphox: `Time (s)`, then names with units; decimal points or commas."""
    found = re.match(r'\ufeff?"?Time \(s\)"?([,;\t])"?[^"]+ \([^)]+\)', lines[0])
    return Preset("phyphox", 0, 1, found[1], time=("Time (s)",)) if found else None


def torque(lines: Sequence[str]) -> Preset | None:
    """Torque: `GPS Time`, `Device Time`, and a dash for what the car does not tell; the header comes again."""
    if not {"GPS Time", "Device Time"} <= set(_names(lines[0])):
        return None
    infinite = ("\u221e", "-\u221e", "\u00e2\u02c6\u017e", "\u00e2\x88\x9e", "-\u00e2\x88\x9e", "infinity", "-infinity")
    return Preset("Torque", 0, 1, ",", time=("Device Time", "GPS Time"), missing=infinite)


def grafana(lines: Sequence[str]) -> Preset | None:
    """Grafana's series as rows: `Series`, `Time`, `Value`."""
    names = re.split(r"[;,\t]", lines[0])
    if [name.strip().strip('"\ufeff\u00ef\u00bb\u00bf') for name in names] != ["Series", "Time", "Value"]:
        return None
    return Preset("Grafana series", 0, 1, time=("Time",), feature_column="Series", value_column="Value")


def _names(line: str, delimiter: str = "") -> list[str]:
    cut = delimiter or max(",;\t", key=line.count)
    return [name.strip().strip('"').strip() for name in line.split(cut)]


PRESETS: dict[str, Find] = {
    "hobo": hobo,
    "toa5": toa5,
    "lvm": lvm,
    "rdb": rdb,
    "influxdb": flux,
    "home-assistant": home_assistant,
    "home-assistant-statistics": statistics,
    "dwd": dwd,
    "phyphox": phyphox,
    "torque": torque,
    "grafana": grafana,
}
