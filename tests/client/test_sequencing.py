"""SequenceCounter against the service's sequence rules, over a network that does its worst."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm_client import Normalized, StaleSequence, StreamnormError, TransportError
from streamnorm_client._calls.sequencing import MAX_RENUMBERINGS
from streamnorm_client._procedures import StreamProcedures
from tests.support.ledger import Ledger, network, run

RETRIES = 3
PLENTY = 100

troubles = st.lists(st.sampled_from(["fine", "lost", "cut", "restart"]), max_size=40)


def observe(handle: StreamProcedures, value: float, ledger: Ledger, *events: str, **options: Any) -> Normalized:
    """Observe one reading through a handle while these things happen."""
    choices = {"stats": False, "seq": None, "numbered": True, **options}
    return run(handle.observe([value], None, **choices), network(ledger, iter(events)))


def test_the_first_reading_of_a_new_stream_is_number_one() -> None:
    assert observe(StreamProcedures("s", RETRIES), 1.0, Ledger()).seq == 1


def test_a_new_handle_continues_after_the_last_number() -> None:
    ledger = Ledger()
    for value in (1.0, 2.0):
        observe(StreamProcedures("s", RETRIES), value, ledger)
    assert ledger.last_seq == 2


def test_a_reading_whose_answer_is_cut_is_applied_once() -> None:
    ledger, handle = Ledger(), StreamProcedures("s", RETRIES)
    answer = observe(handle, 1.0, ledger, "fine", "cut")
    assert (ledger.applied, answer.replayed, answer.recomputed) == ([[1.0]], True, False)


def test_a_reading_whose_first_answer_is_forgotten_is_answered_anew_and_says_so() -> None:
    ledger, handle = Ledger(), StreamProcedures("s", RETRIES)
    answer = observe(handle, 1.0, ledger, "fine", "restart")
    assert (ledger.applied, answer.seq, answer.replayed, answer.recomputed) == ([[1.0]], 1, True, True)


def test_a_reading_that_a_crash_lost_is_applied_again() -> None:
    ledger, handle = Ledger(), StreamProcedures("s", RETRIES)
    observe(handle, 1.0, ledger)
    observe(handle, 2.0, ledger, "crash")
    assert ledger.applied == [[1.0], [2.0]]


def test_a_number_whose_fate_is_unknown_is_not_used_for_the_next_reading() -> None:
    ledger, handle = Ledger(), StreamProcedures("s", 0)
    with pytest.raises(TransportError) as lost:
        observe(handle, 1.0, ledger, "fine", "cut")
    answer = observe(handle, 2.0, ledger)
    assert (lost.value.seq, answer.seq, answer.replayed) == (1, 2, False)


def test_an_error_tells_the_number_with_which_the_reading_may_be_sent_again() -> None:
    ledger, handle = Ledger(), StreamProcedures("s", 0)
    with pytest.raises(TransportError) as lost:
        observe(handle, 1.0, ledger, "fine", "cut")
    observe(handle, 1.0, ledger, seq=lost.value.seq)
    assert ledger.applied == [[1.0]]


def test_a_reading_that_never_left_uses_no_number() -> None:
    ledger, handle = Ledger(), StreamProcedures("s", 0)
    with pytest.raises(TransportError):
        observe(handle, 1.0, ledger, "fine", "lost")
    assert observe(handle, 2.0, ledger).seq == 1


def test_an_unnumbered_reading_is_not_sent_again_once_it_may_have_arrived() -> None:
    ledger, handle = Ledger(), StreamProcedures("s", RETRIES)
    with pytest.raises(TransportError):
        observe(handle, 1.0, ledger, "cut", numbered=False)
    assert ledger.applied == [[1.0]]


def test_an_unnumbered_reading_that_never_left_is_sent_again() -> None:
    ledger, handle = Ledger(), StreamProcedures("s", RETRIES)
    observe(handle, 1.0, ledger, "lost", numbered=False)
    assert ledger.applied == [[1.0]]


def test_a_stale_number_of_the_callers_own_is_an_error() -> None:
    ledger, handle = Ledger(), StreamProcedures("s", RETRIES)
    observe(handle, 1.0, ledger, seq=7)
    with pytest.raises(StaleSequence) as stale:
        observe(handle, 2.0, ledger, seq=6)
    assert stale.value.last_seq == 7


def test_the_handle_numbers_after_the_callers_own_number() -> None:
    ledger, handle = Ledger(), StreamProcedures("s", RETRIES)
    observe(handle, 1.0, ledger, seq=7)
    assert observe(handle, 2.0, ledger).seq == 8


def test_a_doubtful_reading_that_others_overtook_is_an_error_and_the_next_one_is_not() -> None:
    ledger, ours, theirs = Ledger(), StreamProcedures("s", RETRIES), StreamProcedures("s", RETRIES)
    observe(ours, 1.0, ledger)
    send, calls = network(ledger, iter(["cut"])), []

    def overtaken(call: Any) -> Any:
        calls.append(call)
        if len(calls) == 2:
            observe(theirs, 9.0, ledger)
        return send(call)

    with pytest.raises(StaleSequence) as stale:
        run(ours.observe([2.0], None, stats=False, seq=None, numbered=True), overtaken)
    assert (stale.value.maybe_applied, observe(ours, 3.0, ledger).seq) == (True, 4)


def test_a_writer_that_always_comes_too_late_gives_up() -> None:
    ledger, ours, theirs = Ledger(), StreamProcedures("s", RETRIES), StreamProcedures("s", RETRIES)
    writes = []

    def outpaced(call: Any) -> Any:
        if call.method == "POST":
            writes.append(call)
            observe(theirs, 9.0, ledger)
        return ledger.take(call)

    with pytest.raises(StreamnormError, match="another writer"):
        run(ours.observe([1.0], None, stats=False, seq=None, numbered=True), outpaced)
    assert len(writes) == MAX_RENUMBERINGS


@given(events=troubles)
def test_whatever_the_network_does_a_patient_handle_applies_every_reading_once(events: list[str]) -> None:
    ledger, handle = Ledger(), StreamProcedures("s", PLENTY)
    send = network(ledger, iter(events))
    for value in range(10):
        run(handle.observe([value], None, stats=False, seq=None, numbered=True), send)
    assert ledger.applied == [[value] for value in range(10)]


@given(events=troubles, restarts=st.sets(st.integers(0, 9)))
def test_whatever_the_network_does_an_impatient_program_that_restarts_applies_none_twice(
    events: list[str], restarts: set[int]
) -> None:
    ledger, handle = Ledger(), StreamProcedures("s", 1)
    send = network(ledger, iter(events))
    answered = []
    for value in range(10):
        if value in restarts:
            handle = StreamProcedures("s", 1)
        with suppress(StreamnormError):
            run(handle.observe([value], None, stats=False, seq=None, numbered=True), send)
            answered.append([value])
    assert sorted(ledger.applied) == sorted({row[0]: row for row in ledger.applied}.values())
    assert all(row in ledger.applied for row in answered)


@given(turns=st.lists(st.integers(0, 2), max_size=30))
def test_several_handles_on_one_stream_apply_every_reading_once_while_answers_arrive(turns: list[int]) -> None:
    ledger, handles = Ledger(), [StreamProcedures("s", RETRIES) for _ in range(3)]
    for value, turn in enumerate(turns):
        run(handles[turn].observe([value], None, stats=False, seq=None, numbered=True), ledger.take)
    assert ledger.applied == [[value] for value in range(len(turns))]


@given(turns=st.lists(st.integers(0, 1), max_size=30), events=troubles)
def test_several_handles_over_a_bad_network_apply_no_reading_twice(turns: list[int], events: list[str]) -> None:
    ledger, handles = Ledger(), [StreamProcedures("s", RETRIES) for _ in range(2)]
    send = network(ledger, iter(events))
    for value, turn in enumerate(turns):
        with suppress(StreamnormError):
            run(handles[turn].observe([value], None, stats=False, seq=None, numbered=True), send)
    assert len({row[0] for row in ledger.applied}) == len(ledger.applied)


@given(events=troubles)
def test_whatever_the_network_does_blocks_are_applied_once_and_in_order(events: list[str]) -> None:
    ledger, handle = Ledger(), StreamProcedures("s", PLENTY)
    send = network(ledger, iter(events))
    rows = [[value] for value in range(10)]
    for part in (rows[:3], rows[3:4], rows[4:]):
        options: dict[str, Any] = {"seq": None, "numbered": True, "learn": True, "progress": None}
        run(handle.bulk(part, ["x"], None, **options), send)
    assert ledger.applied == rows
