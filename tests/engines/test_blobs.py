"""A stream as a blob: however its readings are cut into calls, answers and blob are those of a service."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnorm.engine.blocks.bulk import SHORTEST_TABLE
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import LARGEST_SEQ
from streamnorm.engine.reading import Answer, Reading, parse_reading
from streamnorm.engines import Table, TableAnswer, observe_blob, observe_table
from streamnorm.engines.blobs import LIMITS
from streamnorm.errors import (
    InvalidConfiguration,
    InvalidReading,
    ShapeMismatch,
    StaleSequence,
    StoreCorrupt,
    StreamnormError,
)
from streamnorm.ingest import IngestService
from streamnorm.stores.codec import decode
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.write_behind import WriteBehindStreams
from tests.support.engine import NOW, bits, varied, ybits
from tests.support.strategies import configs, number, tables

values = st.one_of(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), number, min_size=1),
    st.fixed_dictionaries({"a": number, "b": number}),
    st.fixed_dictionaries({"a": number, "ir": st.lists(number, min_size=2, max_size=3)}),
)
stamps = st.one_of(st.none(), st.floats(NOW - 1000.0, NOW))
numbers = st.one_of(st.none(), st.integers(0, 12))


def reading(value: object, stamp: float | None, seq: int | None) -> Reading:
    """Build a reading."""
    return parse_reading(value, LIMITS, timestamp=stamp, seq=seq)


readings = st.lists(st.builds(reading, values, stamps, numbers), min_size=1, max_size=20)
cuts = st.lists(st.integers(0, 20), max_size=6)


def told(answer: Answer | StreamnormError) -> object:
    """Return all there is to an answer, or to the error in its place."""
    if isinstance(answer, StreamnormError):
        return type(answer), str(answer)
    return ybits(answer), answer.count, answer.ready, answer.gap, answer.replayed, answer.skew


def pieces(size: int, at: list[int]) -> list[slice]:
    """Cut so many readings at these places."""
    bounds = sorted({0, size, *(place for place in at if place < size)})
    return [slice(first, last) for first, last in pairwise(bounds)]


def served(given_: list[Reading], config: dict[str, Any]) -> tuple[list[object], object]:
    """Send readings to a service that believes stamps, one by one; returns its answers, and its stream."""

    async def send() -> tuple[list[object], object]:
        streams = WriteBehindStreams(MemoryStore(), plan(configuration(config, {})), durability="no")
        service = IngestService(streams, limits=LIMITS, clock=lambda: NOW)
        answers: list[object] = []
        for reading in given_:
            try:
                answers.append(told(await service.observe("s", reading)))
            except StreamnormError as error:
                answers.append((type(error), str(error)))
        left = streams.peek("s")
        return answers, left if left is None else bits(left)

    return asyncio.run(send())


@settings(max_examples=40)
@given(readings, configs, cuts)
def test_any_cut_of_readings_gives_the_bits_of_a_service(
    given_: list[Reading], config: dict[str, Any], at: list[int]
) -> None:
    answers: list[object] = []
    blob = None
    for piece in pieces(len(given_), at):
        blob, some = observe_blob(blob, given_[piece], config, NOW)
        answers += map(told, some)
    assert (answers, None if blob is None else bits(decode("s", blob))) == served(given_, config)


def rows_of(answer: TableAnswer) -> list[object]:
    """Return all there is to a table's answers, row by row; of those that were refused the errors."""
    return [
        (type(answer.errors[row]), str(answer.errors[row]))
        if row in answer.errors
        else ([y.tobytes() for y in ys], count, ready, gap, replayed, skew)
        for row, (ys, count, ready, gap, replayed, skew) in enumerate(
            zip(
                answer.values,
                answer.counts.tolist(),
                answer.ready.tolist(),
                answer.gaps.tolist(),
                answer.replayed.tolist(),
                answer.skews.tolist(),
                strict=True,
            )
        )
    ]


@settings(max_examples=40)
@given(tables, configs, cuts, st.sampled_from([np.nan, 1.0]), st.lists(st.integers(-1, 30), min_size=25, max_size=25))
def test_any_cut_of_a_table_gives_the_bits_of_a_service(
    rows: Any, config: dict[str, Any], at: list[int], stamped: float, given_: list[int]
) -> None:
    seqs = np.array(given_[: len(rows)])
    times = NOW - stamped * np.random.default_rng(0).uniform(0.0, 100.0, len(rows))
    answers: list[object] = []
    blob = None
    for piece in pieces(len(rows), at):
        blob, some = observe_table(blob, Table(("a", "b", "c"), rows[piece], times[piece], seqs[piece]), config, NOW)
        answers += rows_of(some)
    one_by_one = [
        parse_reading(
            dict(zip("abc", row, strict=True)),
            LIMITS,
            timestamp=None if np.isnan(time) else time,
            seq=None if seq < 0 else seq,
        )
        for row, time, seq in zip(rows.tolist(), times.tolist(), seqs.tolist(), strict=True)
    ]
    assert (answers, None if blob is None else bits(decode("s", blob))) == served(one_by_one, config)


def test_a_refused_reading_changes_nothing_and_the_next_one_is_observed() -> None:
    good = [parse_reading({"a": float(n)}, LIMITS, seq=n) for n in range(5)]
    wrong = [parse_reading({"a": [1.0, 2.0]}, LIMITS, seq=9), parse_reading({"a": 1.0}, LIMITS, seq=0)]
    blob, answers = observe_blob(None, [*good[:3], *wrong, *good[3:]], {}, NOW)
    assert [type(answer) for answer in answers[3:5]] == [ShapeMismatch, StaleSequence]
    assert blob == observe_blob(None, good, {}, NOW)[0]


def test_a_stream_that_took_nothing_is_not_made() -> None:
    assert observe_blob(None, [], {}, NOW) == (None, [])
    blob, answer = observe_table(None, Table(("a",), np.array([[np.inf]])), {}, NOW)
    assert blob is None
    assert str(answer.errors[0]) == "/values/a: inf is not within ±1e+75"


def test_rows_that_no_reading_can_be_are_refused_alone() -> None:
    values = varied(2 * SHORTEST_TABLE)
    values[3, 1] = -np.inf
    seqs = np.arange(len(values))
    seqs[5] = LARGEST_SEQ + 1
    blob, answer = observe_table(None, Table(("a", "b"), values, seqs=seqs), {}, NOW)
    assert sorted(answer.errors) == [3, 5]
    assert np.isnan(answer.values[[3, 5]]).all()
    keep = np.delete(np.arange(len(values)), [3, 5])
    assert blob == observe_table(None, Table(("a", "b"), values[keep], seqs=seqs[keep]), {}, NOW)[0]


def test_a_stream_goes_on_with_the_configuration_that_it_has() -> None:
    reading = parse_reading({"a": 1.0}, LIMITS)
    blob, _ = observe_blob(None, [reading], {"horizon": 50}, NOW)
    blob, _ = observe_blob(blob, [reading], {"horizon": 70}, NOW)
    assert blob is not None
    assert decode("s", blob).plan.config.horizon == 50.0


def test_stamps_are_believed_since_there_is_no_clock() -> None:
    _, (answer,) = observe_blob(None, [parse_reading({"a": 1.0}, LIMITS, timestamp=NOW + 1e7)], {}, NOW)
    assert isinstance(answer, Answer)


def test_what_is_no_blob_and_what_are_no_rules_is_told() -> None:
    reading = parse_reading({"a": 1.0}, LIMITS)
    with pytest.raises(StoreCorrupt):
        observe_blob(b"no blob", [reading], {}, NOW)
    with pytest.raises(InvalidConfiguration, match="horizon"):
        observe_blob(None, [reading], {"horizon": 0}, NOW)
    with pytest.raises(InvalidReading, match="names 1 features"):
        observe_table(None, Table(("a", "a"), varied(3)), {}, NOW)
    blob, answer = observe_table(None, Table(("a", "b"), varied(3)), {"transform": "circular"}, NOW)
    assert blob is None
    assert [type(answer.errors[row]) for row in range(3)] == [InvalidConfiguration] * 3
    assert "circular makes two values of 'a'" in str(answer.errors[0])
