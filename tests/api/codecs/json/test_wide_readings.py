"""Readings of many features, whose values are converted at once, are answered as those that are read one by one."""

from __future__ import annotations

import json
import math
import struct
from array import array
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.api.codecs import serialize
from streamnorm.api.codecs.json.readings import WIDE, parse_body, parse_simple_reading
from streamnorm.api.http.responses import dumps
from streamnorm.bridges.mqtt import payloads
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.limits import LARGEST_VALUE
from streamnorm.engine.reading import Answer, Reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StreamnormError
from streamnorm.events.hub import EventHub
from streamnorm.ingest import IngestService
from tests.support.conformance import Config, every_config, few
from tests.support.engine import LIMITS, NOW, bits, new
from tests.test_events import House

NUMBER: st.SearchStrategy[Any] = (
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e3, 1e3)
)
ODD: st.SearchStrategy[Any] = st.sampled_from([
    *(None, True, False, -0.0, 5e-324, LARGEST_VALUE, -LARGEST_VALUE, math.nextafter(LARGEST_VALUE, math.inf), 1e308),
    *("21.4", "nan", "", {}, [], [1.0, 2.0], [[1]], 10**20, 10**75, 10**75 + 1, -(10**76), 2**1100, math.nan),
])  # fmt: skip
WIDTHS = st.sampled_from([WIDE - 1, WIDE, WIDE + 5])
NAMES = tuple(f"f{number}" for number in range(WIDE + 5))


@st.composite
def values(draw: st.DrawFn) -> list[Any]:
    """Return the values of a reading, a few of them odd, or none."""
    found = draw(st.lists(NUMBER, min_size=WIDE - 1, max_size=WIDE - 1))
    found += [20.0] * (draw(WIDTHS) - len(found))
    for place, odd in draw(st.dictionaries(st.integers(0, len(found) - 1), ODD, max_size=2)).items():
        found[place] = odd
    return found


def told(reading: Reading) -> tuple[Any, ...]:
    """Return all there is to a reading; equal where not a bit differs."""
    kinds = [*map(type, reading.values)]
    return reading.names, kinds, repr([*reading.values]), reading.listed, reading.plain, reading.timestamp, reading.seq


def expected(body: Any) -> tuple[Any, ...] | None:
    try:
        return told(parse_body(body, LIMITS))
    except StreamnormError:
        return None


@given(values(), st.sampled_from(["object", "array", "flat"]))
def test_values_become_what_they_become_one_by_one(given: list[Any], form: str) -> None:
    body: dict[str, Any] = dict(zip(NAMES, given, strict=False))
    if form != "flat":
        body = {"values": given if form == "array" else body}
    body["seq"] = 3
    body = json.loads(json.dumps(body))  # also what orjson does not read: NaN, and integers of more than 64 bits
    reading = parse_simple_reading(body, LIMITS)
    assert (None if reading is None else told(reading)) == expected(body)


@pytest.mark.parametrize("width", [WIDE - 1, WIDE])
def test_a_name_that_comes_twice_has_its_last_value(width: int) -> None:
    pairs = [*zip(NAMES, range(width), strict=False), ("f0", 99)]
    text = ",".join(f'"{name}":{value}' for name, value in pairs)
    reading = parse_simple_reading(orjson.loads(f'{{"values":{{{text}}}}}'), LIMITS)
    assert reading is not None
    assert (reading.names, [*reading.values][:2]) == (NAMES[:width], [99.0, 1.0])


def test_only_wide_readings_are_converted_at_once() -> None:
    """Else the other tests compare nothing."""
    for width, kind in [(WIDE - 1, list), (WIDE, array)]:
        reading = parse_simple_reading({"values": [None, *range(width - 1)]}, LIMITS)
        assert reading is not None
        assert type(reading.values) is kind


def as_array(numbers: list[float]) -> array[float]:
    return array("d", numbers)


KINDS: tuple[Callable[[list[float]], Any], ...] = (list, as_array)
READINGS = st.lists(
    st.tuples(
        st.lists(st.floats(-1e3, 1e3) | st.just(math.nan), min_size=4, max_size=4),
        st.sampled_from(["whole", "whole", "backwards", "partly", "again"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


def readings(drawn: list[tuple[list[float], str, bool]]) -> list[tuple[tuple[str, ...], list[float], bool, int]]:
    """Return the names, values, form and number of each of some readings."""
    found = []
    seq = 0
    for seeds, kind, listed in drawn:
        numbers = [seed + place for place in range(WIDE // 4) for seed in seeds]
        names = tuple(map(str, range(len(numbers)))) if listed else NAMES[: len(numbers)]
        if kind == "backwards" and not listed:
            names, numbers = names[::-1], numbers[::-1]
        elif kind == "partly":
            names, numbers = names[: WIDE // 2], numbers[: WIDE // 2]
        seq += kind != "again"
        found.append((names, numbers, listed, seq))
    return found


def outcome(stream: Stream, reading: Reading, hub: EventHub) -> tuple[Any, ...]:
    """Observe a reading; return what it left behind, and how it is answered everywhere."""
    try:
        answer = stream.observe(reading, NOW, LIMITS)
    except StreamnormError as error:
        return (repr(error),)
    if not answer.replayed:
        hub.on_batch("s", ((reading, answer),), NOW)
    body = dumps(serialize.reading_to_json("s", reading, answer))
    return bits(stream), body, payloads.of_reading("s", reading, answer, NOW), hub.past("s")


@few
@given(READINGS)
@every_config
def test_arrays_are_answered_as_lists_to_the_bit(config: Config, drawn: list[tuple[list[float], str, bool]]) -> None:
    streams = [new(**config), new(**config)]
    hubs = [EventHub(lambda _: streams[0]), EventHub(lambda _: streams[1])]
    for names, numbers, listed, seq in readings(drawn):
        one, other = (
            outcome(stream, Reading(names, kind(numbers), listed, None, seq), hub)
            for stream, kind, hub in zip(streams, KINDS, hubs, strict=True)
        )
        assert one == other


@given(READINGS)
def test_arrays_become_the_columns_that_lists_become(drawn: list[tuple[list[float], str, bool]]) -> None:
    both = [ReadingColumns(LIMITS), ReadingColumns(LIMITS)]
    for columns, kind in zip(both, KINDS, strict=True):
        for names, numbers, listed, seq in readings(drawn):
            columns.append("s", Reading(names, kind(numbers), listed, None, seq))
        columns.freeze()
    assert repr([*both[0].readings()]) == repr([*both[1].readings()])


async def test_runs_of_arrays_are_answered_as_those_of_lists() -> None:
    """Those of a table's length become a block."""
    answers = []
    for kind in KINDS:
        service: IngestService = House().service
        rows = [[float(row * place % 7) for place in range(WIDE)] for row in range(40)]
        run = await service.observe_run("s", [Reading(NAMES[:WIDE], kind(row)) for row in rows])
        answers.append([_bits(answer) for answer in run.answers])
    assert answers[0] == answers[1]


def _bits(answer: Answer) -> tuple[bytes, int, bool]:
    return struct.pack(f"{len(answer.values)}d", *answer.values), answer.count, answer.ready
