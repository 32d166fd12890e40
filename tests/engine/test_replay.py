"""What is kept to answer retries is kept no longer than it can be used, and names what was applied."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streamnorm.engine.blocks.coalesce import observe_run
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.state.layout import UPDATED
from streamnorm.engine.streams.lifecycle import reconfigure
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StaleSequence
from tests.support.engine import LIMITS, NOW, new, observe, observe_all, observe_rows, varied

LATER = NOW + 3600.0


def run_of(stream: Stream) -> None:
    readings = [parse_reading({"a": a, "b": b}, LIMITS) for a, b in varied(10).tolist()]
    assert observe_run(stream, readings, LATER, LIMITS).error is None


def one(stream: Stream) -> None:
    observe(stream, {"a": 1.0, "b": 2.0})


def reconfigured(stream: Stream) -> None:
    assert reconfigure(stream, new(clamp=1.0).plan, LATER) is None


@pytest.mark.parametrize("change", [run_of, one, reconfigured])
def test_what_a_block_is_repeated_from_goes_with_the_next_change(change: Callable[[Stream], None]) -> None:
    stream = new()
    observe_rows(stream, varied(10), first_seq=0)
    assert stream.before is not None
    change(stream)
    assert stream.before is None


def test_the_answer_to_a_repeated_reading_goes_with_another_configuration() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=5)
    assert stream.answered is not None
    reconfigured(stream)
    assert stream.answered is None


def test_readings_that_come_close_behind_each_other_are_the_last_change() -> None:
    stream = new()
    one(stream)
    assert stream.state[UPDATED] == NOW
    run_of(stream)
    assert stream.state[UPDATED] == LATER


def test_a_bulk_that_begins_before_the_last_one_is_told_the_last_number_applied() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=9)
    observe_all(stream, [{"a": float(n)} for n in range(3)], [10, 11, 12])
    with pytest.raises(StaleSequence) as caught:
        observe_all(stream, [{"a": float(n)} for n in range(3)], [9, 11, 12])
    assert (caught.value.seq, caught.value.last_seq) == (9, 12)
