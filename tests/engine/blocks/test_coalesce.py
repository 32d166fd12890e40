"""Readings that come close behind each other are taken in to the same bits as one by one."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.blocks.coalesce import observe_run
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Answer, Reading, parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidReading, StaleSequence, StreamnormError

NOW = 1_700_000_000.0
LIMITS = Limits(max_features=6)
CONFIGURATIONS = [
    {},
    {"warmup": 3, "robust": 2.0},
    {"time_constant": 10.0, "warmup": 3},
    {"warmup": 2, "clamp": 1.0, "missing": "mean", "affine": {"a": {"gamma": 2.0, "beta": 1.0}}},
]

number = st.one_of(st.floats(-3.0, 3.0), st.sampled_from([20.0, 1e9, None]))
values = st.one_of(
    st.fixed_dictionaries({"a": number, "b": number}),
    st.fixed_dictionaries({"a": number, "b": number}),
    st.fixed_dictionaries({"a": number, "c": number}),
    st.fixed_dictionaries({"a": number, "image": st.just([[1.0, 2.0], [3.0, 5.0]])}),
    st.lists(number, min_size=1, max_size=4),
)
steps = st.one_of(st.none(), st.just(1), st.just(1), st.sampled_from([0, -1, 4]))
times = st.one_of(st.none(), st.none(), st.floats(-30.0, 30.0), st.just(1e6))
runs = st.lists(st.tuples(values, times, steps, st.integers(1, 7)), min_size=1, max_size=8)


def readings_of(run: list[tuple[object, float | None, int | None, int]]) -> list[Reading]:
    """Make readings, each several times in a row; numbers go on by `step`."""
    found, seq = [], 10
    for content, ahead, step, times_over in run:
        for _ in range(times_over):
            seq += step or 0
            timestamp = None if ahead is None else NOW + ahead
            found.append(parse_reading(content, LIMITS, timestamp=timestamp, seq=None if step is None else seq))
    return found


def one_by_one(stream: Stream, readings: list[Reading]) -> tuple[list[Answer], StreamnormError | None]:
    answers: list[Answer] = []
    for each in readings:
        try:
            answers.append(stream.observe(each, NOW, LIMITS))
        except StreamnormError as error:
            return answers, error
    return answers, None


def bits(stream: Stream) -> tuple[object, ...]:
    return stream.layout.names, stream.state.tobytes(), stream.answered and stream.answered.tobytes(), stream.before


def plain(answers: list[Answer]) -> str:
    return repr([dataclasses.astuple(answer) for answer in answers])


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=["default", "robust", "timed", "finished"])
@given(run=runs)
def test_a_run_is_the_same_as_one_by_one(
    config: dict[str, object], run: list[tuple[object, float | None, int | None, int]]
) -> None:
    one, other = (Stream(plan(configuration(config, {}))) for _ in range(2))
    readings = readings_of(run)
    expected, wrong = one_by_one(one, readings)
    found = observe_run(other, readings, NOW, LIMITS)
    assert (plain(found.answers), repr(found.error), bits(other)) == (plain(expected), repr(wrong), bits(one))


def rows(count: int) -> list[Reading]:
    return [parse_reading({"a": float(n), "b": math.sin(n)}, LIMITS, seq=n + 1) for n in range(count)]


def test_what_comes_before_a_refused_reading_is_observed() -> None:
    stream = Stream(plan(configuration({}, {})))
    wrong = parse_reading({"a": 1.0, "b": [1.0]}, LIMITS, seq=21)
    run = observe_run(stream, [*rows(20), wrong, *rows(3)], NOW, LIMITS)
    assert (len(run.answers), stream.count, isinstance(run.error, InvalidReading)) == (20, 20, True)


def test_a_number_that_was_applied_before_ends_a_run() -> None:
    stream = Stream(plan(configuration({}, {})))
    assert isinstance(observe_run(stream, [*rows(20), *rows(3)], NOW, LIMITS).error, StaleSequence)


def test_the_last_reading_of_a_run_may_be_sent_again() -> None:
    stream = Stream(plan(configuration({}, {})))
    last = observe_run(stream, rows(20), NOW, LIMITS).answers[-1]
    (again,) = observe_run(stream, rows(20)[-1:], NOW, LIMITS).answers
    assert (again.replayed, again.values) == (True, last.values)


def test_who_listens_hears_of_every_reading_once() -> None:
    stream = Stream(plan(configuration({}, {})))
    run = observe_run(stream, [*rows(20), parse_reading({"c": 1.0}, LIMITS)], NOW, LIMITS)
    sizes = [len(batch) for batch in run.batches]
    assert (sum(sizes), max(sizes)) == (21, 19)
