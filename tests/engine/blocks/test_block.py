"""A block of readings is the same as its readings one after the other, and can be repeated as a whole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.blocks.block import normalize_block, observe_block
from streamnorm.engine.limits import LARGEST_SEQ, Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidReading, LimitExceeded, StaleSequence, StreamnormError
from tests.support.engine import LIMITS, NOW, bits, block_of, new, normalize, observe, observe_rows, varied
from tests.support.strategies import configs, tables

Array = npt.NDArray[np.float64]


def one_by_one(stream: Stream, values: Array, times: Array) -> Array:
    """Observe a table's rows as single readings; returns their answers as a table."""
    answers = [
        observe(stream, dict(zip("abc", row.tolist(), strict=True)), timestamp=t)
        for row, t in zip(values, times.tolist(), strict=True)
    ]
    return np.array([answer.values for answer in answers])


def times_for(rows: int) -> Array:
    """Return times with gaps, some of them late."""
    return NOW - 10_000.0 + np.random.default_rng(0).normal(10.0, 20.0, size=rows).cumsum()


@given(tables, configs)
def test_a_block_gives_the_bits_of_one_by_one(values: Array, config: dict[str, Any]) -> None:
    block, single = new(**config), new(**config)
    times = times_for(len(values))
    ys = observe_block(block, block_of(values, times=times), NOW, LIMITS).values
    assert ys.tobytes() == one_by_one(single, values, times).tobytes()
    assert block.state.tobytes() == single.state.tobytes()


def test_cutting_a_block_in_two_changes_no_bit() -> None:
    whole, cut = new(), new()
    values = varied()
    ys = observe_rows(whole, values).values
    parts = [observe_rows(cut, part).values for part in np.split(values, [37])]
    assert np.concatenate(parts).tobytes() == ys.tobytes()
    assert cut.state.tobytes() == whole.state.tobytes()


def test_a_block_counts_its_rows_and_tells_when_its_features_are_ready() -> None:
    stream = new(warmup=30)
    first, second = observe_rows(stream, varied(20)), observe_rows(stream, varied(20))
    assert (first.count, first.ready, second.count, second.ready) == (20, False, 40, True)


def test_a_block_may_bring_features_in_another_order() -> None:
    one, other = new(), new()
    values = varied()
    for stream in (one, other):
        observe_rows(stream, values)
    ab = observe_block(one, block_of(values, ("a", "b")), NOW, LIMITS).values
    ba = observe_block(other, block_of(values[:, ::-1], ("b", "a")), NOW, LIMITS).values
    assert (ab == ba[:, ::-1]).all()


def test_a_block_leaves_the_stream_alone_that_its_draft_came_from() -> None:
    stream = new()
    observe_rows(stream, varied(), first_seq=0)
    before = bits(stream)
    observe_rows(stream.draft(), varied(), first_seq=100)
    assert bits(stream) == before


def test_a_blocks_array_is_neither_changed_nor_kept() -> None:
    stream, values = new(clamp=0.5), varied()
    observe_rows(stream, values, first_seq=0)
    assert (values == varied()).all()
    before = bits(stream)
    values[:] = 1e9
    assert bits(stream) == before


def test_a_blocks_rows_are_numbered_on() -> None:
    stream = new()
    observe_rows(stream, varied(10), first_seq=5)
    assert (stream.last_seq, observe(stream, {"a": 1.0}, seq=15).gap) == (14, 0)


def test_a_gap_before_a_block_is_told() -> None:
    stream = new()
    observe(stream, {"a": 1.0}, seq=4)
    assert observe_rows(stream, varied(3), first_seq=10).gap == 5


@pytest.mark.parametrize(
    "config", [{}, {"clamp": 0.5, "affine": {"b": {"beta": 3.0}}}, {"time_constant": 60.0}], ids=repr
)
def test_a_repeated_block_is_answered_with_the_first_answers_bits(config: dict[str, Any]) -> None:
    stream = new(**config)
    observe_rows(stream, varied(50), first_seq=0)
    block = block_of(varied(9, 3, seed=1), first_seq=55)  # a new feature, and a gap
    first = observe_block(stream, block, NOW + 1.0, LIMITS)
    before = bits(stream)
    again = observe_block(stream.draft(), block, NOW + 500.0, LIMITS)
    assert again.values.tobytes() == first.values.tobytes()
    assert (again.count, again.ready, again.gap, again.replayed) == (first.count, first.ready, 5, True)
    assert bits(stream) == before


def test_a_streams_first_block_can_be_repeated() -> None:
    stream = new()
    first = observe_rows(stream, varied(9), first_seq=3)
    again = observe_rows(stream, varied(9), first_seq=3)
    assert (again.values.tobytes(), again.replayed, stream.count) == (first.values.tobytes(), True, 9)


def test_repeating_a_block_applies_nothing_even_without_a_draft() -> None:
    stream = new()
    observe_rows(stream, varied(9), first_seq=3)
    before = bits(stream)
    observe_rows(stream, varied(9), first_seq=3)
    assert bits(stream) == before


@pytest.mark.parametrize(
    ("first_seq", "rows"), [(10, 9), (10, 11), (9, 11), (11, 9), (15, 5), (19, 1), (0, 5), (5, 30), (10, 1)]
)
def test_any_other_block_that_begins_at_an_applied_number_is_stale(first_seq: int, rows: int) -> None:
    stream = new()
    observe_rows(stream, varied(10), first_seq=0)
    observe_rows(stream, varied(10), first_seq=10)
    before = bits(stream)
    with pytest.raises(StaleSequence) as caught:
        observe_rows(stream, varied(rows), first_seq=first_seq)
    assert (caught.value.last_seq, bits(stream)) == (19, before)


@pytest.mark.parametrize(("first_seq", "rows"), [(11, 9), (15, 5), (19, 1)])
def test_the_end_of_a_streams_first_block_is_stale(first_seq: int, rows: int) -> None:
    stream = new()
    observe_rows(stream, varied(10), first_seq=10)
    with pytest.raises(StaleSequence):
        observe_rows(stream, varied(rows), first_seq=first_seq)


def test_a_block_is_stale_once_something_else_was_learned() -> None:
    stream = new()
    observe_rows(stream, varied(10), first_seq=0)
    observe(stream, {"a": 1.0})
    with pytest.raises(StaleSequence):
        observe_rows(stream, varied(10), first_seq=0)


@pytest.mark.parametrize("first_seq", [-1, -20, LARGEST_SEQ - 1, LARGEST_SEQ + 1])
def test_numbers_out_of_range_are_refused(first_seq: int) -> None:
    with pytest.raises(InvalidReading, match="/first_seq: "):
        observe_rows(new(), varied(3), first_seq=first_seq)


@given(tables, configs)
def test_normalizing_a_block_is_normalizing_its_rows(values: Array, config: dict[str, Any]) -> None:
    stream = new(**config)
    observe_block(stream, block_of(varied(40, 3)), NOW, LIMITS)
    ys = normalize_block(stream, block_of(values), NOW, LIMITS).values
    rows = [normalize(stream, dict(zip("abc", row.tolist(), strict=True))).values for row in values]
    assert ys.tobytes() == np.array(rows).tobytes()


def test_normalizing_a_block_learns_nothing() -> None:
    stream = new()
    observe_rows(stream, varied(), first_seq=0)
    before = bits(stream)
    answer = normalize_block(stream, block_of(varied(9, 3)), NOW, LIMITS)
    assert (bits(stream), answer.count, answer.ready) == (before, 100, False)


def test_normalizing_a_block_of_a_feature_never_seen_gives_nothing() -> None:
    stream = new()
    observe_rows(stream, varied())
    ys = normalize_block(stream, block_of(varied(9, 3)), NOW, LIMITS).values
    assert np.isnan(ys).all(axis=0).tolist() == [False, False, True]


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_normalized_block_is_finished_whatever_its_order_in_memory(order: Any) -> None:
    stream = new(clamp=0.5)
    observe_rows(stream, varied())
    values = np.array(varied(30, seed=1), order=order)
    assert np.abs(normalize_block(stream, block_of(values), NOW, LIMITS).values).max() == 0.5


@pytest.mark.parametrize(
    ("values", "names", "times", "pointer"),
    [
        (np.empty((0, 2)), (), None, "/values"),
        (np.empty((3, 0)), (), None, "/values"),
        (np.ones((2, 2)), ("a", "b", "c"), None, "/features"),
        (np.ones((2, 2)), ("a", "a"), None, "/features"),
        (np.ones((2, 2)), ("a", ""), None, "/values"),
        (np.array([[1.0, 2.0], [3.0, math.inf]]), (), None, "/values/1/1"),
        (np.array([[1.0, -1e76], [math.inf, 1.0]]), (), None, "/values/0/1"),
        (np.ones((2, 2)), (), [NOW], "/timestamps"),
        (np.ones((2, 2)), (), [NOW, NOW + 90_000.0], "/timestamps/1"),
        (np.ones((3, 2)), (), [NOW, math.nan, NOW], "/timestamps/1"),
        (np.ones((2, 2)), (), [-1e12, NOW], "/timestamps/0"),
        (np.ones((2, 2)), ("a", "ir"), None, "/values/ir"),
    ],
)
def test_a_wrong_block_is_named_and_changes_no_bit(
    values: Array, names: tuple[str, ...], times: Any, pointer: str
) -> None:
    stream = new()
    observe(stream, {"a": 1.0, "ir": [1.0, 2.0]})
    before = bits(stream)
    with pytest.raises(InvalidReading) as caught:
        observe_block(stream, block_of(values, names, times), NOW, LIMITS)
    assert ([fault.pointer for fault in caught.value.faults], bits(stream)) == ([pointer], before)


@pytest.mark.parametrize("limits", [Limits(max_features=2), Limits(max_rows=4)], ids=["max_features", "max_rows"])
def test_a_block_beyond_a_limit_is_refused_with_the_limits_name(limits: Limits, request: pytest.FixtureRequest) -> None:
    stream = new()
    before = bits(stream)
    with pytest.raises(LimitExceeded) as caught:
        observe_block(stream, block_of(varied(5, 3)), NOW, limits)
    assert (caught.value.limit, bits(stream)) == (request.node.callspec.id, before)


def test_a_block_as_large_as_the_limits_is_taken() -> None:
    assert observe_block(new(), block_of(varied(5, 3)), NOW, Limits(max_features=3, max_rows=5)).count == 5


@given(st.lists(st.sampled_from([1.0, 2.0, None, "x", math.inf, [1.0]]), min_size=1, max_size=8))
def test_a_refused_reading_never_changes_a_bit(values: list[Any]) -> None:
    stream = new()
    observe(stream, [1.0, 2.0, [1.0, 2.0]], seq=1)
    before = bits(stream)
    try:
        stream.observe(parse_reading(values, LIMITS, seq=2), NOW, LIMITS)
    except StreamnormError:
        assert bits(stream) == before
    else:
        assert stream.last_seq == 2
