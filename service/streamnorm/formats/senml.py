"""SenML (RFC 8428): packs of records, resolved into readings, and the normalized answer as a pack.

A pack's records are resolved as the RFC says: base names go before names, base times and times add up, times before
2²⁸ are relative to now. Records of one time make one reading. A feature is named by its record's resolved name; where a
pack has one name in several units, as the RFC's example of a moving sensor does, the unit follows in brackets. Booleans
are 0 and 1; strings, data and sums are no sensor's readings, and are answered as they came.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Array, Reading, is_absent, parse_reading
from streamnorm.errors import Fault, InvalidReading

JSON = "application/senml+json"
CBOR = "application/senml+cbor"

#: the labels of CBOR, RFC 8428 table 6
LABELS = {
    -6: "bs",
    -5: "bv",
    -4: "bu",
    -3: "bt",
    -2: "bn",
    -1: "bver",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}
NUMBERS = {label: number for number, label in LABELS.items()}
VERSION = 10
#: RFC 8428, section 4.5.3: what is below is relative to now
ABSOLUTE = float(2**28)
#: with the slash in front that the names of LwM2M have
NAME = re.compile(r"/?[A-Za-z0-9][A-Za-z0-9:./_-]*")
KINDS: dict[str, tuple[type, ...]] = (
    dict.fromkeys(("bn", "bu", "n", "u", "vs"), (str,))
    | dict.fromkeys(("bt", "bv", "bs", "bver", "t", "v", "s", "ut"), (int, float, Decimal))
    | {"vb": (bool,), "vd": (str, bytes)}
)
VALUES = ("v", "vs", "vb", "vd", "s")


@dataclass(frozen=True, slots=True)
class Record:
    """One resolved record; `value` is None where it has no number, `rest` what is answered as it came."""

    name: str
    unit: str
    time: float
    value: float | None
    rest: dict[str, Any] = field(default_factory=dict)


class Timed(NamedTuple):
    """A reading, and which records of the pack it is made of."""

    reading: Reading
    records: list[int]


class Resolver:
    """Resolves a pack's records, one after the other; `now` is in seconds since 1970."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._base: dict[str, Any] = {}

    def __call__(self, given: object) -> Record | None:
        """Resolve the next record; None where it only tells what is common to those behind it.

        So does a record whose value is of a kind that is not known here, such as the links (`vlo`) of LwM2M.

        Raises:
            ValueError: it is none.

        """
        (record, unknown), base = _labelled(given), self._base
        base |= {label: record.pop(label) for label in ("bn", "bt", "bu", "bv", "bs", "bver") if label in record}
        if not base.keys() & {"bv", "bs"} and not (record.keys() & {*VALUES} if unknown else record):
            return None
        return _record(record, base, self._now)


def resolved(pack: object, now: float) -> list[Record]:
    """Resolve a pack, given as lists and dicts with the labels of JSON, or the numbers of CBOR.

    >>> resolved([{"bn": "dev:", "bt": 1e9, "n": "temp", "v": 20}, {"n": "temp", "t": 60, "v": 21}], 0)[1]
    Record(name='dev:temp', unit='', time=1000000060.0, value=21.0, rest={})

    Raises:
        InvalidReading: naming every wrong record, or a version that this does not know.

    """
    if not isinstance(pack, (list, tuple)) or not pack:
        raise InvalidReading.at("", "a SenML pack must be an array of at least one record")
    resolve = Resolver(now)
    found: list[Record] = []
    faults: list[Fault] = []
    for place, given in enumerate(pack):
        try:
            record = resolve(given)
        except ValueError as error:
            faults.append(Fault(f"/{place}", str(error)))
        else:
            found += () if record is None else (record,)
    if faults:
        raise InvalidReading.of(faults)
    return found


def readings(records: Sequence[Record], limits: Limits) -> list[Timed]:
    """Build readings of resolved records: one a time, in the order of their first records.

    A name that comes twice at one time begins another reading.
    """
    units: dict[str, set[str]] = {}
    places = [place for place, record in enumerate(records) if record.value is not None]
    for place in places:
        units.setdefault(records[place].name, set()).add(records[place].unit)
    features = [feature(records[place].name, records[place].unit, units) for place in places]
    return [
        Timed(
            parse_reading(
                {features[at]: records[places[at]].value for at in group}, limits, timestamp=time, pointer=""
            ),
            [places[at] for at in group],
        )
        for time, group in grouped([records[place].time for place in places], features)
    ]


def feature(name: str, unit: str, units: Mapping[str, Collection[str]]) -> str:
    """Name the feature of a record called `name` in a `unit`; `units` are those that each name has in the pack."""
    return f"{name}[{unit}]" if len(units[name]) > 1 else name


def grouped(times: Sequence[float] | Array, features: Sequence[Hashable]) -> Iterator[tuple[float, list[int]]]:
    """Group records into readings by their times and features; returns the time, and the records' places, of each."""
    order = np.argsort(times, kind="stable")
    seen: set[Hashable] = set()
    before: float | None = None
    starts: list[int] = []
    for at, place in enumerate(order.tolist()):
        time = times[place]
        if time != before or features[place] in seen:
            starts.append(at)
            seen.clear()
        before = time
        seen.add(features[place])
    bounds = np.array([*starts, len(order)])
    for one in np.argsort(order[bounds[:-1]]):
        group = order[bounds[one] : bounds[one + 1]].tolist()
        yield float(times[group[0]]), group


def answered(records: Sequence[Record], ys: Mapping[int, float]) -> list[dict[str, Any]]:
    """Build the pack of the answer: resolved records, each number replaced by `ys` of its place, without a unit.

    A number for which there is nothing to say (NaN) is left out.
    """
    pack = []
    for place, record in enumerate(records):
        entry = answer(record, ys.get(place, math.nan))
        if entry is not None:
            pack.append(entry)
    return pack


def answer(record: Record, y: float) -> dict[str, Any] | None:
    """Build the answer to a record; None where there is nothing to say."""
    entry: dict[str, Any] = {"n": record.name, "t": record.time}
    if record.value is not None:
        entry |= {} if math.isnan(y) else {"v": y}
    elif record.unit:
        entry["u"] = record.unit
    entry |= record.rest
    return entry if entry.keys() & VALUES else None


def numbered(pack: Iterable[Mapping[str, Any]]) -> list[dict[int, Any]]:
    """Return a pack the labels that CBOR has."""
    return [{NUMBERS[label]: value for label, value in record.items()} for record in pack]


def _labelled(given: object) -> tuple[dict[str, Any], bool]:
    """Return a record's members by their labels, and whether it has others, too."""
    if not isinstance(given, Mapping):
        message = "must be an object"
        raise ValueError(message)  # noqa: TRY004 - collected as a fault
    record: dict[str, Any] = {}
    for key, value in given.items():
        label = LABELS.get(key, str(key)) if isinstance(key, int) else str(key)
        kinds = KINDS.get(label)
        if kinds is None:
            if label.endswith("_"):
                message = f"{label!r} must be understood, and is not known here"
                raise ValueError(message)
            continue
        if label == "v" and is_absent(value):
            record[label] = math.nan
            continue
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            message = f"{label!r} cannot be {value!r:.40}"
            raise ValueError(message)
        record[label] = value
    return record, len(record) < len(given)


def _record(record: dict[str, Any], base: Mapping[str, Any], now: float) -> Record:
    if base.get("bver", VERSION) > VERSION:
        message = f"has SenML version {base['bver']}, this knows {VERSION}"
        raise ValueError(message)
    name = base.get("bn", "") + record.get("n", "")
    if not NAME.fullmatch(name):
        message = f"the resolved name {name!r:.140} must be letters, digits and - : . / _, the first a letter or digit"
        raise ValueError(message)
    values = [label for label in VALUES[:-1] if label in record]
    if len(values) > 1:
        message = f"has more than one value: {', '.join(values)}"
        raise ValueError(message)
    time = float(base.get("bt", 0.0)) + float(record.get("t", 0.0))
    unit = record.get("u", base.get("bu", ""))
    rest: dict[str, Any] = {label: record[label] for label in ("vs", "vd", "ut") if label in record}
    if "s" in record or "bs" in base:
        rest["s"] = float(base.get("bs", 0.0)) + float(record.get("s", 0.0))
    value: float | None = None
    if "vb" in record:
        value = float(record["vb"])
    elif "v" in record or ("bv" in base and not values and "s" not in record):
        value = float(base.get("bv", 0.0)) + float(record.get("v", 0.0))
    if value is None and not rest.keys() & VALUES:
        message = "has neither a value nor a sum"
        raise ValueError(message)
    return Record(name, unit, time if time >= ABSOLUTE else now + time, value, rest)
