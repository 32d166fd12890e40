"""Whatever a device sends, again or out of turn, every reading is applied once."""
# ruff: noqa: D102 - a rule's name is its sentence

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamnorm.engine.reading import Answer
from streamnorm.engine.state.layout import HEADER_SIZE
from streamnorm.engine.streams.lifecycle import reset
from streamnorm.errors import InvalidReading, StaleSequence
from tests.support.engine import NOW, bits, new, observe, observe_all, observe_rows, ybits

CONFIGS: list[dict[str, Any]] = [
    {},
    {"clamp": 1.0, "missing": "mean", "affine": {"a": {"gamma": -2.0, "beta": 0.5}}},
    {"time_constant": 30.0, "robust": 2.0, "warmup": 2},
]
value = st.one_of(st.none(), st.floats(-100.0, 100.0))
readings = st.fixed_dictionaries({"a": value}, optional={"b": value, "ir": st.lists(value, min_size=2, max_size=2)})
tables = st.lists(st.lists(st.floats(-100.0, 100.0), min_size=2, max_size=2), min_size=1, max_size=4)


class Device(RuleBasedStateMachine):
    """A device that numbers its readings, and the simple model: what was applied, and its last number."""

    @initialize(config=st.sampled_from(CONFIGS))
    def begin(self, config: dict[str, Any]) -> None:
        self.config = config
        self.stream = new(**config)
        self.applied: list[dict[str, Any]] = []
        self.last: int | None = None
        self.repeatable: tuple[Any, list[int], Any] | None = None

    def numbers(self, gap: int, count: int) -> list[int]:
        first = gap if self.last is None else self.last + 1 + gap
        return list(range(first, first + count))

    @rule(values=readings, gap=st.integers(0, 3))
    def a_new_number_is_applied(self, values: dict[str, Any], gap: int) -> None:
        (seq,) = self.numbers(gap, 1)
        answer = observe(self.stream, values, seq)
        assert (answer.gap, answer.replayed) == (0 if self.last is None else gap, False)
        self.applied.append(values)
        self.last, self.repeatable = seq, ("reading", [seq], (values, answer))

    @rule(values=readings)
    def an_unnumbered_reading_is_applied(self, values: dict[str, Any]) -> None:
        answer = observe(self.stream, values)
        assert (answer.gap, answer.replayed) == (0, False)
        self.applied.append(values)
        self.repeatable = None

    @rule(rows=tables, gap=st.integers(0, 3))
    def a_new_block_is_applied(self, rows: list[list[float]], gap: int) -> None:
        seqs = self.numbers(gap, len(rows))
        draft = self.stream.draft()
        answer = observe_rows(draft, rows, seqs[0])
        assert (answer.gap, answer.replayed) == (0 if self.last is None else gap, False)
        self.stream = draft
        self.applied += [dict(zip("ab", row, strict=True)) for row in rows]
        self.last, self.repeatable = seqs[-1], ("block", seqs, (rows, answer.values.tobytes()))

    @rule(several=st.lists(readings, min_size=2, max_size=4), gap=st.integers(0, 3))
    def new_readings_are_applied(self, several: list[dict[str, Any]], gap: int) -> None:
        seqs = self.numbers(gap, len(several))
        draft = self.stream.draft()
        answers = observe_all(draft, several, seqs)
        self.stream = draft
        self.applied += several
        self.last, self.repeatable = seqs[-1], ("readings", seqs, (several, [ybits(answer) for answer in answers]))

    @precondition(lambda self: self.repeatable is not None)
    @rule(times=st.integers(1, 3))
    def what_was_last_sent_is_answered_again(self, times: int) -> None:
        assert self.repeatable is not None
        kind, seqs, (sent, first) = self.repeatable
        before = bits(self.stream)
        for _ in range(times):
            if kind == "reading":
                answer: Answer = observe(self.stream, sent, seqs[0])
                assert (ybits(answer), answer.count, answer.replayed) == (ybits(first), first.count, True)
            elif kind == "block":
                again = observe_rows(self.stream.draft(), sent, seqs[0])
                assert (again.values.tobytes(), again.replayed) == (first, True)
            else:
                answers = observe_all(self.stream.draft(), sent, seqs)
                assert [ybits(answer) for answer in answers] == first
        assert bits(self.stream) == before

    @precondition(lambda self: self.last is not None)
    @rule(values=readings)
    def another_body_under_the_last_number_changes_nothing(self, values: dict[str, Any]) -> None:
        before = bits(self.stream)
        with contextlib.suppress(StaleSequence, InvalidReading):
            assert observe(self.stream, values, self.last).replayed
        assert bits(self.stream) == before

    @precondition(lambda self: self.last)
    @rule(values=readings, data=st.data())
    def a_smaller_number_is_stale(self, values: dict[str, Any], data: st.DataObject) -> None:
        assert self.last is not None
        self.stale(lambda: observe(self.stream, values, data.draw(st.integers(0, (self.last or 0) - 1))))

    @precondition(lambda self: self.last is not None)
    @rule(rows=tables, data=st.data())
    def another_block_from_an_applied_number_on_is_stale(self, rows: list[list[float]], data: st.DataObject) -> None:
        first = data.draw(st.integers(0, self.last or 0))
        numbers = list(range(first, first + len(rows)))
        if self.repeatable is None or numbers != self.repeatable[1]:
            self.stale(lambda: observe_rows(self.stream.draft(), rows, first))

    def stale(self, act: Any) -> None:
        before = bits(self.stream)
        with pytest.raises(StaleSequence) as caught:
            act()
        assert (caught.value.last_seq, bits(self.stream)) == (self.last, before)

    @rule()
    def a_reset_keeps_the_numbering(self) -> None:
        reset(self.stream, NOW)
        self.applied = []
        self.repeatable = None

    @invariant()
    def every_reading_was_applied_once(self) -> None:
        fresh = new(**self.config)
        for values in self.applied:
            observe(fresh, values)
        assert (self.stream.count, self.stream.last_seq) == (len(self.applied), self.last)
        assert self.stream.layout.names == fresh.layout.names
        assert self.stream.state[HEADER_SIZE:].tobytes() == fresh.state[HEADER_SIZE:].tobytes()


TestNumbering = Device.TestCase
TestNumbering.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
