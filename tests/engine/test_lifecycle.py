"""Reset and reconfigured, a stream keeps what it can and says what it cannot."""

from __future__ import annotations

import math
from typing import Any

import pytest

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import Plan, plan
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.state.layout import HEADER_SIZE
from streamnorm.engine.streams.lifecycle import reconfigure, reset
from streamnorm.errors import StaleSequence
from tests.support.engine import LIMITS, NOW, bits, fed, new, observe, varied

LATER = NOW + 3600.0


def planned(**config: Any) -> Plan:
    return plan(configuration(config, {}))


def test_after_a_reset_a_stream_answers_like_a_new_one() -> None:
    stream, fresh = fed(new()), new()
    reset(stream, LATER)
    for row in varied(20):
        assert observe(stream, row).values == observe(fresh, row).values


def test_a_reset_keeps_configuration_number_and_birth() -> None:
    stream = fed(new(horizon=50.0))
    reset(stream, LATER)
    assert (stream.plan, stream.last_seq, stream.count, stream.layout.names) == (planned(horizon=50.0), 99, 0, ())
    assert stream.state.tolist()[3:5] == [NOW, LATER]


def test_after_a_reset_a_repeated_number_is_stale() -> None:
    stream = fed(new())
    reset(stream, LATER)
    with pytest.raises(StaleSequence):
        observe(stream, {"a": 1.0}, 99)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"horizon": 50.0}),
        ({}, {"method": "cumulative"}),
        ({"method": "cumulative"}, {}),
        ({}, {"time_constant": 60.0}),
        ({"time_constant": 60.0}, {}),
        ({"time_constant": 60.0}, {"time_constant": 600.0}),
        ({}, {"clamp": 1.0, "robust": 3.0, "missing": "mean", "warmup": 5, "affine": {"a": {"gamma": 2.0}}}),
        ({"method": "batch"}, {"method": "online"}),
        ({"method": "adaptive"}, {"method": "cumulative"}),
        ({"method": "adaptive"}, {"method": "adaptive", "clamp": 1.0}),
        ({"method": "batch-renorm"}, {"method": "batch-renorm", "r_max": 2.0}),
        ({"method": "online-2019"}, {"method": "online-2019", "alpha_fwd": 0.99}),
    ],
    ids=repr,
)
def test_statistics_are_kept_where_they_can_be(before: dict[str, Any], after: dict[str, Any]) -> None:
    stream = fed(new(**before))
    base = [stream.state[at : at + 12].tolist() for at in stream.layout.starts]
    for block in base:
        block[0] = min(block[0], after.get("horizon", math.inf))
    assert reconfigure(stream, planned(**after), LATER) is None
    assert [stream.state[at : at + 12].tolist() for at in stream.layout.starts] == base
    assert (stream.count, stream.last_seq, stream.plan) == (100, 99, planned(**after))
    assert len(stream.state) == stream.layout.size


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({}, {"method": "batch"}, "the method batch keeps other statistics than online"),
        ({"method": "batch"}, {"method": "adaptive"}, "the method adaptive keeps other statistics than batch"),
        ({"method": "batch"}, {"method": "batch", "window": 9}, "another window needs other statistics"),
        ({"method": "adaptive"}, {"method": "adaptive", "horizon": 50.0}, "another horizon needs other statistics"),
    ],
    ids=repr,
)
def test_statistics_restart_where_they_must_and_why_is_told(
    before: dict[str, Any], after: dict[str, Any], reason: str
) -> None:
    stream = fed(new(**before))
    assert reconfigure(stream, planned(**after), LATER) == reason
    assert (stream.count, stream.last_seq, stream.layout.names) == (0, 99, ())


@pytest.mark.parametrize("after", [{"horizon": 50.0}, {"time_constant": 60.0}, {"method": "batch"}], ids=repr)
def test_a_reconfigured_stream_goes_on_observing(after: dict[str, Any]) -> None:
    stream = fed(new())
    reconfigure(stream, planned(**after), LATER)
    assert math.isfinite(float(observe(stream, {"a": 20.0, "ir": [1.0, 2.0]}, 100).values[0]))


def test_another_horizon_holds_from_the_next_reading_on() -> None:
    stream = fed(new())
    weight = stream.state[HEADER_SIZE]
    reconfigure(stream, planned(horizon=200.0), LATER)
    observe(stream, {"a": 20.0})
    assert stream.state[HEADER_SIZE] == (1.0 - 1.0 / 200.0) * weight + 1.0


@pytest.mark.parametrize("before", [{}, {"method": "cumulative"}, {"time_constant": 60.0}], ids=repr)
def test_a_shorter_horizon_leaves_no_more_weight_than_it_has(before: dict[str, Any]) -> None:
    stream = fed(new(**before))
    spreads = [stream.mean_std(name) for name in stream.layout.names]
    reconfigure(stream, planned(horizon=20.0), LATER)
    assert [stream.state[at] for at in stream.layout.starts] == [20.0, 20.0]
    assert [stream.mean_std(name) for name in stream.layout.names] == spreads


def test_statistics_that_had_no_time_are_of_the_last_change() -> None:
    stream = fed(new())
    weight = stream.state[HEADER_SIZE]
    reconfigure(stream, planned(time_constant=60.0), LATER)
    stream.observe(parse_reading({"a": 20.0}, LIMITS), NOW + 60.0, LIMITS)
    assert stream.state[HEADER_SIZE] == pytest.approx(weight * math.exp(-1.0) + 1.0)


def test_features_keep_their_own_times_through_another_time_constant() -> None:
    stream = new(time_constant=60.0)
    observe(stream, {"a": 1.0, "b": 1.0}, timestamp=0.0)
    observe(stream, {"b": 2.0}, timestamp=100.0)
    reconfigure(stream, planned(time_constant=10.0), LATER)
    assert [stream.state[end - 1] for end in stream.layout.ends] == [0.0, 100.0]


def test_a_reconfigured_draft_leaves_its_stream_alone() -> None:
    stream = fed(new())
    before = bits(stream)
    reconfigure(stream.draft(), planned(time_constant=60.0), LATER)
    assert bits(stream) == before
