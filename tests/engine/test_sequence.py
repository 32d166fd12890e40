"""A repeated number is answered again and applied once."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from streamnorm.engine.limits import LARGEST_SEQ
from streamnorm.errors import InvalidReading, StaleSequence
from tests.support.engine import CONFIGS, bits, new, observe, ybits

configs = pytest.mark.parametrize("config", CONFIGS, ids=["default", "cumulative", "by time", "everything"])


def test_the_first_number_has_no_gap() -> None:
    assert observe(new(), {"a": 1.0}, seq=1000).gap == 0


def test_a_gap_is_applied_and_told() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=5)
    answer = observe(stream, {"a": 2.0}, seq=9)
    assert (answer.gap, answer.replayed, answer.count, stream.last_seq) == (3, False, 2, 9)


def test_unnumbered_readings_leave_the_number() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=5)
    observe(stream, {"a": 2.0})
    assert (stream.last_seq, observe(stream, {"a": 3.0}, seq=6).gap) == (5, 0)


def test_a_stream_without_numbers_has_no_last_one() -> None:
    stream = new()
    observe(stream, {"a": 1.0})
    assert stream.last_seq is None


@configs
def test_a_repeated_number_is_answered_with_the_first_answers_bits(config: dict[str, Any]) -> None:
    stream = new(**config)
    values = {"a": 1.5, "b": None, "ir": [[1.0, 2.0], [None, 7.0]]}
    for seq in range(5):
        observe(stream, {"a": float(seq), "b": 2.0, "ir": [[seq, 2.0], [3.0, 4.0]]}, seq=seq)
    first = observe(stream, values, seq=7)
    again = observe(stream, values, seq=7)
    assert ybits(again) == ybits(first)
    assert (again.count, again.ready, again.gap, again.replayed) == (first.count, first.ready, 2, True)


@configs
@pytest.mark.parametrize("others", [[], ["z"]], ids=["all features", "a part of them"])
def test_a_repeated_number_is_answered_by_names_whatever_their_order(config: dict[str, Any], others: list[str]) -> None:
    stream = new(**config)
    values = {"a": 1.5, "ir": [[1.0, 2.0], [None, 7.0]], "b": None, "wide": [3.0, 9.0]}
    for seq in range(5):
        reading = {"a": float(seq), "b": 2.0 + seq, "ir": [[seq, 2.0], [3.0, 4.0]], "wide": [seq, 2.0]}
        observe(stream, reading | dict.fromkeys(others, 1.0), seq=seq)
    first = dict(zip(values, ybits(observe(stream, values, seq=7)), strict=True))
    for names in permutations(values):
        again = observe(stream, {name: values[name] for name in names}, seq=7)
        assert dict(zip(names, ybits(again), strict=True)) == first


def test_a_repeated_number_of_plain_values_is_answered_by_names() -> None:
    stream = new()
    observe(stream, {"a": 1.0, "b": 2.0}, seq=1)
    first = observe(stream, {"a": 5.0, "b": 3.0}, seq=2).values
    assert observe(stream, {"b": 3.0, "a": 5.0}, seq=2).values == first[::-1]
    first = observe(stream, {"b": 9.0, "a": 0.0}, seq=3).values
    assert observe(stream, {"a": 0.0, "b": 9.0}, seq=3).values == first[::-1]


def test_what_is_kept_for_a_retry_takes_a_number_a_feature() -> None:
    stream = new()
    observe(stream, {"a": 1.0, "b": 2.0, "c": 3.0}, seq=1)
    for seq, names in enumerate(["abc", "cab", "c"], 2):
        observe(stream, dict.fromkeys(names, 1.0), seq=seq)
        assert len(stream.answered or ()) == 3


@configs
def test_a_repeated_number_is_applied_once(config: dict[str, Any]) -> None:
    stream = new(**config)
    observe(stream, {"a": 1.0}, seq=0)
    observe(stream, {"a": 2.0}, seq=1)
    before = bits(stream)
    for _ in range(3):
        observe(stream, {"a": 2.0}, seq=1)
    assert bits(stream) == before


@pytest.mark.parametrize(
    "values",
    [{"a": 99.0, "b": 1.0}, {"a": 99.0}, {"a": 1.0, "b": 1.0, "c": 3.0}, {"c": 1.0, "d": 2.0}, {"a": [1.0], "b": None}],
    ids=repr,
)
def test_another_body_under_the_same_number_changes_nothing(values: dict[str, Any]) -> None:
    stream = new()
    observe(stream, {"a": 1.0, "b": 2.0}, seq=3)
    before = bits(stream)
    try:
        answer = observe(stream, values, seq=3)
    except InvalidReading:
        pass
    else:
        assert answer.replayed
    assert bits(stream) == before


def test_a_smaller_number_is_stale() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=5)
    before = bits(stream)
    with pytest.raises(StaleSequence) as caught:
        observe(stream, {"a": 1.0}, seq=4)
    assert (caught.value.last_seq, bits(stream)) == (5, before)


def test_a_number_is_stale_once_something_else_was_learned() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=5)
    observe(stream, {"a": 2.0})
    with pytest.raises(StaleSequence):
        observe(stream, {"a": 1.0}, seq=5)


@pytest.mark.parametrize("seq", [-1, -5, LARGEST_SEQ + 1, 2**64])
def test_a_number_out_of_range_is_refused(seq: int) -> None:
    with pytest.raises(InvalidReading, match=r"/seq: .* is not within 0 and"):
        observe(new(), {"a": 1.0}, seq=seq)


def test_the_largest_number_is_exact() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=LARGEST_SEQ - 1)
    assert (observe(stream, {"a": 1.0}, seq=LARGEST_SEQ).gap, stream.last_seq) == (0, LARGEST_SEQ)
