"""Readings of many streams that arrive together are taken in to the same bits as one by one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.blocks import interleaved
from streamnorm.engine.blocks.answers import AnswerColumns
from streamnorm.engine.blocks.bulk import Work
from streamnorm.engine.blocks.columns import ReadingColumns
from streamnorm.engine.configuration.plan import of_configuration
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Reading, parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StreamnormError

NOW = 1_700_000_000.0
LIMITS = Limits()
#: streams by the configurations that they have; others have none
CONFIGURATIONS: dict[str, dict[str, object]] = {
    "robust": {"warmup": 3, "robust": 2.0},
    "timed": {"time_constant": 10.0, "warmup": 3},
    "finished": {"warmup": 2, "clamp": 1.0, "missing": "mean"},
    "adaptive": {"method": "adaptive", "warmup": 3},
    "mixed": {"features": {"a": {"transform": "log"}}},
}
STREAMS = [*CONFIGURATIONS, "usual", "other", "many"]

number = st.one_of(st.floats(0.5, 3.0), st.sampled_from([20.0, 1e9, None]))
rows = st.lists(
    st.tuples(
        st.sampled_from(STREAMS),
        st.tuples(number, number),
        st.one_of(st.none(), st.none(), st.floats(-30.0, 30.0)),
        st.one_of(st.none(), st.integers(1, 3)),
    ),
    min_size=1,
    max_size=60,
)
Rows = list[tuple[str, tuple[float | None, float | None], float | None, int | None]]


def new_streams() -> dict[str, Stream]:
    """Return streams that have seen a reading."""
    streams = {name: Stream(of_configuration(CONFIGURATIONS.get(name, {}))) for name in STREAMS}
    for name, stream in streams.items():
        names = ("a", "b", "c") if name == "other" else ("a", "b")
        stream.observe(Reading(names, [1.0] * len(names), seq=5), NOW - 60.0, LIMITS)
    return streams


def readings_of(rows: Rows, *, stamped: bool) -> list[tuple[str, Reading]]:
    """Return a reading of each row; the numbers of a stream rise."""
    seqs = dict.fromkeys(STREAMS, 5)
    found = []
    for name, (a, b), ahead, step in rows:
        seqs[name] += step or 0
        values = {"a": a, "b": b} | ({"c": 1.0} if name == "other" else {})
        time, seq = NOW + (ahead or 0.0) if stamped else None, None if step is None else seqs[name]
        found.append((name, parse_reading(values, LIMITS, timestamp=time, seq=seq)))
    return found


def bits(streams: dict[str, Stream]) -> list[object]:
    return [
        (name, stream.state.tobytes(), stream.answered and stream.answered.tobytes(), stream.before)
        for name, stream in streams.items()
    ]


def together(streams: dict[str, Stream], columns: ReadingColumns) -> AnswerColumns:
    answers = AnswerColumns(columns)
    groups = [(streams[name], rows) for name, rows in columns.groups()]
    assert all(interleaved.all_fit(stream, columns, rows, NOW, LIMITS) for stream, rows in groups)
    interleaved.observe_interleaved(groups, Work(columns, answers, NOW, LIMITS))
    return answers


@pytest.mark.parametrize("stamped", [False, True])
@given(rows=rows)
def test_readings_of_many_streams_are_the_same_as_one_by_one(rows: Rows, *, stamped: bool) -> None:
    one, other = new_streams(), new_streams()
    readings = readings_of(rows, stamped=stamped)
    before = {name: stream.state[:] for name, stream in one.items()}
    expected = [one[name].observe(reading, NOW, LIMITS) for name, reading in readings]
    columns = ReadingColumns.of(readings, LIMITS)
    answers = together(other, columns)
    found = [answers.answer(row) for row in range(len(columns))]
    assert [repr(each) for each in found] == [repr(each) for each in answers.all()]
    assert [repr(dataclasses.astuple(each)) for each in found] == [repr(dataclasses.astuple(each)) for each in expected]
    for name, some in columns.groups():  # what a retry of them all is computed from
        if len(some) > 1 and (columns.seqs[some] >= 0).any():
            one[name].before = before[name]
    assert bits(other) == bits(one)


def test_many_rows_of_one_stream_are_a_table_beside_the_others() -> None:
    one, other = new_streams(), new_streams()
    values = np.random.default_rng(0).normal(size=(1300, 2)).tolist()
    readings = [("many" if n % 3 else "usual", Reading(("a", "b"), row)) for n, row in enumerate(values)]
    expected = [one[name].observe(reading, NOW, LIMITS) for name, reading in readings]
    answers = together(other, ReadingColumns.of(readings, LIMITS))
    assert [*map(repr, answers.all())] == [*map(repr, expected)]
    assert bits(other) == bits(one)


@pytest.mark.parametrize(
    "wrong",
    [
        Reading(("a",), [1.0]),
        Reading(("b", "a"), [1.0, 2.0]),
        Reading(("a", "b"), [1.0, 2.0], seq=5),
        Reading(("a", "b"), [1.0, 2.0], timestamp=NOW + 1e9),
        parse_reading({"a": 1.0, "b": [1.0, 2.0]}, LIMITS),
    ],
    ids=["fewer features", "another order", "a number again", "far ahead", "a channel"],
)
def test_what_is_unusual_does_not_fit(wrong: Reading) -> None:
    stream, usual = new_streams()["usual"], Reading(("a", "b"), [1.0, 2.0])
    for readings, fits in (([usual] * 4, True), ([usual, usual, wrong], False), ([wrong], False)):
        columns = ReadingColumns.of([("usual", reading) for reading in readings], LIMITS)
        assert interleaved.all_fit(stream, columns, np.arange(len(columns)), NOW, LIMITS) is fits


def test_a_refusal_that_was_not_foreseen_is_raised() -> None:
    stream = new_streams()["mixed"]
    columns = ReadingColumns.of([("mixed", Reading(("a", "b"), [1.0, 2.0], seq=4))], LIMITS)
    with pytest.raises(StreamnormError):
        interleaved.observe_interleaved([(stream, np.arange(1))], Work(columns, AnswerColumns(columns), NOW, LIMITS))
