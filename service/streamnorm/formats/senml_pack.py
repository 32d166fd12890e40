"""A large pack of SenML as columns, its readings and its answer made of them some at a time."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.configuration.preparation import CIRCLE
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Answer, Array, parse_reading
from streamnorm.errors import Fault, InvalidReading, LimitExceeded
from streamnorm.formats.senml import Record, Resolver, answer, feature, grouped

#: Wrong records that are told of.
MOST_FAULTS = 100


class Pack:
    """Records of a pack, which is given some records at a time; `now` is in seconds since 1970.

    >>> pack = Pack(Limits(), 0.0)
    >>> pack.extend([{"bn": "dev:", "bt": 1e9, "n": "temp", "v": 20}, {"n": "temp", "t": 60, "v": 21}])
    >>> pack.readings("boiler-7").reading(1).values
    [21.0]

    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._resolve = Resolver(now)
        self._labels: dict[tuple[str, str], int] = {}
        self._label_of, self._times, self._values = array("i"), array("d"), array("d")
        #: of the records that are no number, or have more than one: what is answered as it came
        self._rest: dict[int, Record] = {}
        self._seen = 0
        self._faults: list[Fault] = []
        #: places of the records that have a number, in the order of the readings' numbers, and their readings' first
        self._placed = np.empty(0, np.int64)
        self._firsts, self._row_of = array("q"), array("q")
        #: the features of the labels
        self._named: list[str] = []

    def extend(self, records: Sequence[object]) -> None:
        """Add records.

        Raises:
            LimitExceeded: there are more than the limits allow readings of their most features.

        """
        for given in records:
            try:
                record = self._resolve(given)
            except ValueError as error:
                if len(self._faults) < MOST_FAULTS:
                    self._faults.append(Fault(f"/{self._seen}", str(error)))
            else:
                if record is not None and not self._faults:
                    self._add(record)
            self._seen += 1

    def readings(self, stream_id: str) -> ReadingColumns:
        """Build the readings: one a time, in the order of their first records.

        Raises:
            InvalidReading: naming every wrong record.
            LimitExceeded: there are too many readings, or features.

        """
        if not self._seen:
            raise InvalidReading.at("", "a SenML pack must be an array of at least one record")
        if self._faults:
            raise InvalidReading.of(self._faults)
        has_number = [place for place, record in self._rest.items() if record.value is None]
        places = np.delete(np.arange(len(self._times)), has_number)
        features = self._named = self._features(places)
        labels = np.frombuffer(self._label_of, np.int32)[places].tolist()
        columns, placed, self._row_of = ReadingColumns(self._limits), array("q"), array("q")
        for time, group in grouped(np.frombuffer(self._times)[places], [features[label] for label in labels]):
            numbers = {features[labels[at]]: self._values[places[at]] for at in group}
            own = parse_reading(numbers, self._limits, timestamp=time, pointer="")
            columns.append(stream_id, own)
            self._firsts.append(places[group[0]])
            placed.extend(places[group].tolist())
            self._row_of.extend([len(columns) - 1] * len(group))
        self._placed = np.frombuffer(placed, np.int64) if placed else self._placed
        return columns.freeze()

    def pointer(self, row: int) -> str:
        """Return the place of a reading's first record in errors."""
        return f"/{self._firsts[row]}"

    def answered(self, values: Array, renamed: Mapping[int, Answer]) -> Iterator[dict[str, Any]]:
        """Yield the answer to each record, or to a record of an angle its sine and cosine.

        `values` are those of the readings; `renamed` has the answers to readings that became other features.
        """
        ys = np.full(len(self._times), math.nan)
        circles = dict(self._circles(renamed))
        ys[self._placed] = values
        labels = list(self._labels)
        for place, y in enumerate(array("d", ys.tobytes())):
            record = self._rest.get(place)
            if record is None:
                record = Record(*labels[self._label_of[place]], self._times[place], self._values[place])
            ends = circles.get(place)
            made = [(record, y)] if ends is None else [(replace(record, name=record.name + end), y) for end, y in ends]
            yield from filter(None, (answer(*each) for each in made))

    def _circles(self, renamed: Mapping[int, Answer]) -> Iterator[tuple[int, tuple[tuple[str, float], ...]]]:
        """Yield the places of records of angles, with the ends of their features' names and the values of those."""
        for place, row in zip(self._placed.tolist(), self._row_of, strict=True) if renamed else ():
            found = dict(zip(renamed[row].names or (), renamed[row].values, strict=True)) if row in renamed else {}
            name = self._named[self._label_of[place]]
            if found and name not in found:
                yield place, tuple((end, float(found[name + end])) for end in CIRCLE)

    def _add(self, record: Record) -> None:
        most = self._limits.max_rows * self._limits.max_features
        if len(self._times) >= most:
            raise LimitExceeded("max_rows", f"there are more than {most} records, the limit (max_rows × max_features)")
        if record.value is None or record.rest:
            self._rest[len(self._times)] = record
        label = (record.name, record.unit)
        self._label_of.append(self._labels.setdefault(label, len(self._labels)))
        self._times.append(record.time)
        self._values.append(math.nan if record.value is None else record.value)

    def _features(self, places: Sequence[int] | Any) -> list[str]:
        """Name the feature of each label; those of labels without a number do not count."""
        labels = list(self._labels)
        used = {labels[index] for index in np.unique(np.frombuffer(self._label_of, np.int32)[places]).tolist()}
        units: dict[str, set[str]] = {name: set() for name, _ in labels}
        for name, unit in used:
            units[name].add(unit)
        return [feature(name, unit, units) for name, unit in labels]
