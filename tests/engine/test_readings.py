"""Readings taken together, as a whole or not at all, can be repeated as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given

from streamnorm.errors import InvalidReading, ShapeMismatch, StaleSequence
from tests.support.engine import bits, new, observe, observe_all, varied, ybits
from tests.support.strategies import configs, tables

Array = npt.NDArray[np.float64]


@given(tables, configs)
def test_readings_taken_together_give_the_bits_of_one_by_one(values: Array, config: dict[str, Any]) -> None:
    together, single = new(**config), new(**config)
    rows = [{"a": a, "ir": [b, c]} for a, b, c in values.tolist()]
    answers = observe_all(together, rows)
    assert [ybits(answer) for answer in answers] == [ybits(observe(single, row)) for row in rows]
    assert bits(together) == bits(single)


def test_readings_may_begin_with_a_gap_and_have_gaps_between() -> None:
    stream = new()
    observe(stream, [1.0], seq=0)
    answers = observe_all(stream, [[1.0], [2.0], [3.0], [4.0]], [3, None, 4, 9])
    assert [answer.gap for answer in answers] == [2, 0, 0, 4]


def test_repeated_readings_are_answered_with_the_first_answers_bits() -> None:
    stream = new(clamp=1.0)
    rows = [{"a": a, "ir": [b, 2.0]} for a, b in varied(9)]
    seqs: list[int | None] = [3, 4, None, 6, 7, 8, 9, 10, 12]
    first = observe_all(stream, rows, seqs)
    before = bits(stream)
    again = observe_all(stream.draft(), rows, seqs)
    assert [ybits(answer) for answer in again] == [ybits(answer) for answer in first]
    assert [(a.count, a.gap, a.replayed) for a in again] == [(a.count, a.gap, True) for a in first]
    assert bits(stream) == before


def test_the_last_of_several_readings_can_be_repeated_alone() -> None:
    stream = new()
    answers = observe_all(stream, varied(5), [0, 1, 2, 3, 4])
    again = observe(stream, varied(5)[-1], seq=4)
    assert (ybits(again), again.replayed, stream.count) == (ybits(answers[-1]), True, 5)


@pytest.mark.parametrize("seqs", [[1, 2], [0, 1, 2], [2, 3], [1, 2, 3, 4], [2, None]], ids=repr)
def test_readings_that_begin_at_an_applied_number_are_stale_unless_they_are_the_last_ones(
    seqs: list[int | None],
) -> None:
    stream = new()
    observe_all(stream, varied(4), [None, 0, 1, 2])
    before = bits(stream)
    with pytest.raises(StaleSequence):
        observe_all(stream, varied(len(seqs)), seqs)
    assert bits(stream) == before


@pytest.mark.parametrize("seqs", [[5, 5], [5, 4], [5, None, 3]], ids=repr)
def test_numbers_that_do_not_rise_are_refused_with_their_place(seqs: list[int | None]) -> None:
    stream = new()
    with pytest.raises(InvalidReading) as caught:
        observe_all(stream.draft(), varied(len(seqs)), seqs)
    assert caught.value.faults[0].pointer == f"/readings/{len(seqs) - 1}/seq"


def test_a_wrong_reading_among_several_is_named() -> None:
    with pytest.raises(ShapeMismatch) as caught:
        observe_all(new(), [{"a": 1.0}, {"a": 2.0}, {"a": [3.0]}])
    assert caught.value.faults[0].pointer == "/readings/2/values/a"
