"""A stack of blocks gives the bits that its blocks would have given one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from streamnorm.engine.blocks import many
from streamnorm.engine.blocks.block import Block, BlockAnswer, observe_block
from streamnorm.engine.blocks.convert import table_rows
from streamnorm.engine.blocks.many import observe_blocks
from streamnorm.engine.blocks.stack import KEPT, AnswerStack, BlockStack
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import Plan, plan
from streamnorm.engine.limits import LARGEST_SEQ, Limits
from streamnorm.engine.reading import ordinal_names
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidReading, LimitExceeded, StaleSequence, StreamnormError

NOW = 1e9
LIMITS = Limits()
AFFINE = {"affine": {"2": {"gamma": 2.0, "beta": 1.0}}, "missing": "mean", "clamp": 2.0}


class Case(NamedTuple):
    """How streams are configured, and a stack's shape and type."""

    config: Mapping[str, Any]
    streams: int = 5
    rows: int = 70
    columns: int = 10
    kind: str = "f8"


CASES = {
    "a group of columns and a rest": Case({}),
    "one column": Case({}, columns=1, rows=600),
    "more columns than a tile": Case({}, columns=70),
    "few values": Case({}, rows=3, columns=2),
    "a rest that is worth copying": Case({}, streams=2, rows=2000, columns=5),
    "many streams": Case({}, streams=40, rows=600, columns=3),
    "float32": Case({}, kind="f4"),
    "float32 of few values": Case({}, rows=3, kind="f4"),
    "a short horizon": Case({"horizon": 7.0}),
    "for ever": Case({"method": "cumulative"}),
    "robust": Case({"robust": 3.0}),
    "finished": Case(AFFINE),
    "finished float32": Case(AFFINE, kind="f4"),
    "another method": Case({"method": "adaptive"}),
    "a method that compensates": Case({"method": "online-2019"}),
    "by time": Case({"time_constant": 60.0, "horizon": None}),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=[*CASES])


def plan_of(case: Case) -> Plan:
    return plan(configuration(case.config, {}))


def tables(case: Case, seed: int = 0) -> np.ndarray[Any, Any]:
    """Return values of which some are missing in the last stream."""
    found = np.random.default_rng(seed).normal(20.0, 3.0, (case.streams, case.rows, case.columns))
    found[-1, ::3, 0] = np.nan
    return found.astype(case.kind)


def stack_of(case: Case, *, seed: int = 0, in_place: bool = False, **others: Any) -> BlockStack:
    values = tables(case, seed)
    out = values if in_place else np.empty_like(values)
    places = {f"s-{place}": place for place in range(case.streams)}
    given: dict[str, Any] = {"times": None, "first_seqs": None, **others}
    return BlockStack(places, ordinal_names(case.columns), values, out=out, **given)


def streams_of(case: Case) -> dict[str, Stream]:
    return {f"s-{place}": Stream(plan_of(case)) for place in range(case.streams)}


def bits(stream: Stream) -> tuple[Any, ...]:
    before = None if stream.before is None else stream.before.tobytes()
    return stream.layout.names, stream.state.tobytes(), before, stream.answered


def observe_one_by_one(streams: Mapping[str, Stream], stack: BlockStack) -> dict[str, BlockAnswer]:
    return {
        stream_id: observe_block(streams[stream_id], replace(block, values=block.values.copy(), out=None), NOW, LIMITS)
        for stream_id, block in stack.items()
    }


def rows_of(block: Block, answer: BlockAnswer) -> list[Any]:
    return [(one.count, one.ready, one.gap) for _, one in table_rows(block, answer)]


def assert_same(case: Case, *, in_place: bool = False, streams: tuple[Any, Any] | None = None, **others: Any) -> None:
    """Observe two stacks, one after the other, at once and one by one."""
    here, there = streams or (streams_of(case), streams_of(case))
    for number in range(2):
        stack = stack_of(case, seed=number, in_place=in_place, **others)
        expected = observe_one_by_one(there, stack)
        found = observe_blocks(here, stack, NOW, LIMITS)
        for stream_id, answer in found.items():
            other = expected[stream_id]
            assert answer.values.tobytes() == other.values.tobytes(), stream_id
            counted = answer.count, answer.ready, answer.gap, answer.replayed, answer.names
            assert counted == (other.count, other.ready, other.gap, other.replayed, other.names)
            block = stack_of(case, seed=number, **others)[stream_id]
            assert rows_of(block, answer) == rows_of(block, other)
            assert bits(here[stream_id]) == bits(there[stream_id])
        if others.get("first_seqs") is not None:
            others["first_seqs"] = np.where(others["first_seqs"] < 0, -1, others["first_seqs"] + case.rows + number)


@cases
def test_blocks_give_the_same_bits_at_once_and_one_by_one(case: Case) -> None:
    assert_same(case)


@cases
def test_answers_may_take_the_place_of_the_values(case: Case) -> None:
    assert_same(case, in_place=True)


@cases
def test_rows_may_be_numbered_in_some_streams(case: Case) -> None:
    assert_same(case, first_seqs=np.arange(case.streams) - 1)


def test_rows_may_have_times() -> None:
    case = CASES["a group of columns and a rest"]
    assert_same(case, times=NOW - 100.0 + np.arange(float(case.rows)))
    assert_same(case, times=NOW - 100.0 + np.zeros((case.streams, case.rows)))


def test_streams_may_differ_in_what_they_know() -> None:
    case = CASES["a group of columns and a rest"]
    both = streams_of(case), streams_of(case)
    for streams in both:
        wider = Block(("other", *reversed(ordinal_names(10))), np.ones((4, 11)))
        observe_block(streams["s-1"], wider, NOW, LIMITS)
        observe_block(streams["s-3"], Block(ordinal_names(2), np.ones((4, 2))), NOW, LIMITS)
        streams["s-4"].plan = plan_of(CASES["a short horizon"])
        streams["s-2"].plan = plan_of(CASES["finished"])
    assert_same(case, streams=both)
    assert_same(case, streams=both, in_place=True)


def test_a_stream_may_have_a_feature_as_an_array() -> None:
    case = CASES["a group of columns and a rest"]
    both = streams_of(case), streams_of(case)
    for streams in both:
        streams["s-2"].ensure_features(("spectrum",), [(3,)], [False], LIMITS)
    assert_same(case, streams=both)


def test_alike_blocks_are_observed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["a group of columns and a rest"]
    monkeypatch.setattr(many, "observe_block", None)
    streams, stack = streams_of(case), stack_of(case, in_place=True)
    found = observe_blocks(streams, stack, NOW, LIMITS)
    assert isinstance(found, AnswerStack)
    assert found.table is stack.table


def test_a_repeated_stack_is_answered_as_before() -> None:
    case = CASES["a group of columns and a rest"]
    streams, seqs = streams_of(case), np.arange(case.streams)
    first = observe_blocks(streams, stack_of(case, first_seqs=seqs), NOW, LIMITS)
    state = [bits(stream) for stream in streams.values()]
    again = observe_blocks(streams, stack_of(case, first_seqs=seqs), NOW, LIMITS)
    assert all(answer.replayed for answer in again.values())
    for stream_id, answer in again.items():
        assert answer.values.tobytes() == first[stream_id].values.tobytes()
    assert [bits(stream) for stream in streams.values()] == state


def refusal(stack: BlockStack, streams: Mapping[str, Stream], limits: Limits = LIMITS) -> StreamnormError:
    """Return why a stack is refused, which is why its blocks would be."""
    with pytest.raises(StreamnormError) as at_once:
        observe_blocks(streams, stack, NOW, limits)
    with pytest.raises(StreamnormError) as alone:
        observe_blocks(streams, dict(stack), NOW, limits)
    assert (type(at_once.value), str(at_once.value)) == (type(alone.value), str(alone.value))
    return at_once.value


@cases
@pytest.mark.parametrize("in_place", [False, True])
def test_a_value_out_of_range_is_named_with_its_stream(case: Case, *, in_place: bool) -> None:
    stack = stack_of(case, in_place=in_place)
    stack.table[1, 2, 0] = np.inf
    error = refusal(stack, streams_of(case))
    assert isinstance(error, InvalidReading)
    assert [fault.pointer for fault in error.faults] == ["/s-1/values/2/0"]


def test_too_many_features_are_refused_by_the_stream() -> None:
    case = CASES["a group of columns and a rest"]
    streams = streams_of(case)
    observe_block(streams["s-2"], Block(("other",), np.ones((1, 1))), NOW, LIMITS)
    assert isinstance(refusal(stack_of(case), streams, Limits(max_features=10)), LimitExceeded)
    assert isinstance(refusal(stack_of(case), streams, Limits(max_rows=69)), LimitExceeded)


@pytest.mark.parametrize("names", [("a", "b"), ("a",) * 10, ("", *ordinal_names(9))])
def test_names_are_checked(names: tuple[str, ...]) -> None:
    case = CASES["a group of columns and a rest"]
    refusal(replace(stack_of(case), names=names), streams_of(case))


def test_numbers_are_checked() -> None:
    case = CASES["a group of columns and a rest"]
    streams = streams_of(case)
    observe_block(streams["s-1"], Block(("0",), np.ones((3, 1)), first_seq=5), NOW, LIMITS)
    error = refusal(stack_of(case, first_seqs=np.array([0, 6, 0, 0, 0])), streams)
    assert isinstance(error, StaleSequence)
    late = np.full(case.streams, LARGEST_SEQ + 2 - case.rows, np.uint64)
    refusal(stack_of(case, first_seqs=late), streams)
    assert_same(case, first_seqs=np.full(case.streams, LARGEST_SEQ - 3 * case.rows))


def test_last_rows_are_kept_of_values_that_are_overwritten() -> None:
    stack = stack_of(CASES["a group of columns and a rest"], in_place=True)
    assert stack.with_last_rows(3)["s-1"].last_rows.tolist() == stack.table[1, -3:].tolist()  # type: ignore[union-attr]
    assert len(stack.with_last_rows(512)["s-1"].last_rows) == 70  # type: ignore[arg-type]
    many_streams = replace(stack, table=np.broadcast_to(np.ones(()), (KEPT // 100, 70, 10)))
    kept = many_streams.with_last_rows(512).last_rows
    assert kept is not None
    assert kept.size <= KEPT
