"""Merged statistics are those of all readings together, or nothing is merged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamnorm.engine.limits import Limits
from streamnorm.engine.state.layout import HEADER_SIZE
from streamnorm.engine.streams.lifecycle import merge
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import CannotMerge, LimitExceeded, ShapeMismatch, StaleSequence
from streamnorm.kernels import METHODS
from tests.support.engine import LIMITS, NOW, bits, fed, new, observe, observe_rows, varied

LATER = NOW + 3600.0


def together(*streams: Stream) -> Stream:
    """Merge streams into a draft of the first one."""
    draft = streams[0].draft()
    for other in streams[1:]:
        merge(draft, other, LATER, LIMITS)
    return draft


def test_merged_statistics_are_those_of_all_readings_together() -> None:
    config = {"method": "cumulative"}
    whole, parts = new(**config), [new(**config) for _ in range(3)]
    observe_rows(whole, varied(90))
    for part, rows in zip(parts, np.split(varied(90), [50, 51]), strict=True):
        observe_rows(part, rows)
    merged = together(*parts)
    for name in "ab":
        assert merged.mean_std(name) == pytest.approx(whole.mean_std(name), rel=1e-12)
    assert merged.count == 90


@pytest.mark.parametrize("swap", [False, True])
def test_statistics_by_time_merge_as_if_their_readings_had_been_observed_together(swap: bool) -> None:  # noqa: FBT001
    config = {"time_constant": 300.0}
    whole, early, late = new(**config), new(**config), new(**config)
    for place, x in enumerate(varied(40)[:, 0].tolist()):
        t = 10.0 * place
        observe(whole, [x], timestamp=t)
        observe(early if place < 25 else late, [x], timestamp=t)
    merged = together(late, early) if swap else together(early, late)
    block, expected = (
        merged.state[HEADER_SIZE : HEADER_SIZE + 5].tolist(),
        whole.state[HEADER_SIZE : HEADER_SIZE + 5].tolist(),
    )
    assert block == pytest.approx(expected, rel=1e-9)
    assert merged.state[-1] == 390.0


def test_merging_adds_features_that_only_the_other_has() -> None:
    one, other = new(), new()
    observe(one, {"a": 1.0})
    observe(other, {"b": 5.0, "ir": [[1.0, 2.0]]})
    merged = together(one, other)
    assert (merged.layout.names, merged.layout.shapes) == (("a", "b", "ir"), ((), (), (1, 2)))
    assert merged.mean_std("ir") == other.mean_std("ir")


def test_merging_into_an_empty_stream_copies_the_statistics() -> None:
    other = fed(new(time_constant=60.0))
    merged = together(new(time_constant=60.0), other)
    assert merged.state[HEADER_SIZE:] == other.state[HEADER_SIZE:]


def test_merging_keeps_the_numbering_and_forgets_the_last_answer() -> None:
    one, other = fed(new()), fed(new(), 150, seed=1)
    merged = together(one, other)
    assert merged.last_seq == 99
    with pytest.raises(StaleSequence):
        observe(merged, {"a": 1.0, "ir": [1.0, 2.0]}, 99)


@pytest.mark.parametrize(
    "config",
    [{}, {"time_constant": 60.0}, {"method": "adaptive"}, {"method": "adaptive", "time_constant": 60.0}],
    ids=repr,
)
def test_merging_changes_no_bit_of_the_other(config: dict[str, Any]) -> None:
    one, other = fed(new(**config)), new(**config)
    observe(other, {"a": 3.0}, timestamp=NOW - 1000.0)
    before = bits(other)
    together(one, other)
    assert bits(other) == before


def test_other_finishes_merge() -> None:
    assert together(fed(new()), fed(new(clamp=1.0, robust=3.0))).count == 200


def test_however_many_are_merged_no_more_weight_is_left_than_a_horizon_has() -> None:
    stream = new(horizon=50.0)
    for seed in range(10):
        stream = together(stream, fed(new(horizon=50.0), seed=seed))
    assert [stream.state[at] for at in stream.layout.starts] == [50.0, 50.0]
    answer = observe(stream, {"a": 1e6})
    assert abs(float(answer.values[0])) <= 7.0


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({}, {"method": "cumulative"}),
        ({"horizon": 10.0}, {"horizon": 1e6}),
        ({"time_constant": 60.0}, {"time_constant": 61.0}),
        ({"method": "adaptive", "horizon": 64.0}, {"method": "adaptive"}),
        ({}, {"time_constant": 60.0}),
        ({"time_constant": 60.0}, {}),
        ({"method": "adaptive"}, {}),
        ({"method": "adaptive"}, {"method": "adaptive", "horizon": 50.0}),
        ({"method": "batch", "window": 8}, {"method": "batch", "window": 9}),
        *(({"method": method}, {"method": method}) for method in sorted(METHODS) if METHODS[method].merge is None),
    ],
    ids=repr,
)
def test_what_does_not_fit_together_does_not_merge(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    stream = fed(new(**mine))
    before = bits(stream)
    with pytest.raises(CannotMerge):
        merge(stream, fed(new(**theirs)), LATER, LIMITS)
    assert bits(stream) == before


def test_other_shapes_do_not_merge() -> None:
    stream, other = fed(new()), new()
    observe(other, {"ir": [1.0, 2.0, 3.0]})
    before = bits(stream)
    with pytest.raises(ShapeMismatch):
        merge(stream, other, LATER, LIMITS)
    assert bits(stream) == before


def test_merging_keeps_to_the_limit_of_features() -> None:
    other = new()
    observe(other, {"b": 1.0})
    with pytest.raises(LimitExceeded):
        merge(fed(new()), other, LATER, Limits(max_features=2))


def test_what_adaptive_learned_fades_until_the_younger_statistics_before_it_is_merged() -> None:
    old, young = (new(method="adaptive", time_constant=60.0) for _ in range(2))
    for n in range(50):
        observe(old, {"a": 10.0 + n % 2}, timestamp=NOW - 10_000.0 + n)
        observe(young, {"a": 20.0 + n % 2}, timestamp=NOW - 50.0 + n)
    mean, _ = together(old, young).mean_std("a")
    assert mean == pytest.approx(20.5, abs=0.5)
