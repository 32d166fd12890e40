"""Streams whose features differ: every way in gives the bits that streams of one plan each would give."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from streamnorm.engine.blocks.block import Block, BlockAnswer, normalize_block, observe_block
from streamnorm.engine.blocks.bulk import observe_readings
from streamnorm.engine.blocks.coalesce import observe_run
from streamnorm.engine.blocks.convert import table_rows
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import Plan, of_layers, plan
from streamnorm.engine.configuration.rules import Layer
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Answer, Array, Reading, parse_reading
from streamnorm.engine.streams import lifecycle, snapshot
from streamnorm.engine.streams.feature_profile import profile
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import CannotMerge, InvalidReading, ShapeMismatch, StaleSequence
from streamnorm.stores import codec

LIMITS = Limits()
NOW = 1_700_100_000.0
START = 1_700_000_000.0
NAMES = ("temp", "door_1", "slow", "door_2", "window", "load")
COMMON = {"horizon": 50.0, "warmup": 8}
LAYERS = (
    Layer("door*", {"horizon": 2000.0, "affine": {"door_1": {"gamma": 2.0, "beta": 1.0}}}),
    Layer("slow", {"method": "adaptive", "time_constant": "1h"}),
    Layer("window", {"method": "batch", "window": 16, "clamp": 1.0, "missing": "mean"}),
    Layer("load", {"time_constant": 600.0, "robust": 3.0, "warmup": 20}),
)


def planned(*layers: Layer) -> Plan:
    return of_layers([Layer("*", COMMON), *layers], None)


def rows(count: int = 60, columns: int = len(NAMES), seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    values = np.array(rng.normal(20.0, 5.0, (count, columns)), dtype=np.float64)
    values[rng.random(values.shape) < 0.04] = np.nan
    return values


def stamps(count: int = 60) -> Array:
    """Return times of which some are late."""
    times = START + 60.0 * np.arange(count, dtype=np.float64)
    times[5::7] -= 90.0
    return np.asarray(times, dtype=np.float64)


def readings(values: Array, names: tuple[str, ...] = NAMES, *, seqs: bool = True) -> list[Reading]:
    times = stamps(len(values)).tolist()
    return [
        parse_reading(dict(zip(names, row, strict=True)), LIMITS, timestamp=t, seq=seq if seqs else None)
        for seq, (row, t) in enumerate(zip(values.tolist(), times, strict=True))
    ]


def one_by_one(stream: Stream, given: list[Reading]) -> list[Answer]:
    return [stream.observe(reading, NOW, LIMITS) for reading in given]


def same(mine: Any, theirs: Any) -> bool:
    return bool(np.array_equal(np.array(mine, float), np.array(theirs, float), equal_nan=True))


@pytest.mark.parametrize("place", range(len(NAMES)))
def test_a_feature_is_answered_as_by_a_stream_of_its_plan_alone(place: int) -> None:
    values, name = rows(), NAMES[place]
    whole = planned(*LAYERS)
    together = one_by_one(Stream(whole), readings(values))
    alone = one_by_one(Stream(whole.of(name).plan), readings(values[:, [place]], (name,)))
    assert same([answer.values[place] for answer in together], [answer.values[0] for answer in alone])


def test_a_block_a_run_and_a_bulk_give_the_bits_of_one_by_one() -> None:
    values, given = rows(), readings(rows())
    streams = [Stream(planned(*LAYERS)) for _ in range(4)]
    singly = one_by_one(streams[0], given)
    run = observe_run(streams[1], given, NOW, LIMITS).answers
    bulk = observe_readings(streams[2], given, NOW, LIMITS, [str(row) for row in range(len(given))])
    block = observe_block(streams[3], Block(NAMES, values, stamps(), 0), NOW, LIMITS)
    each = [[answer for _, answer in table_rows(Block(NAMES, values, stamps(), 0), block)], run, bulk]
    for other in each:
        assert same([answer.values for answer in other], [answer.values for answer in singly])
        assert [answer.ready for answer in other] == [answer.ready for answer in singly]
        assert [answer.count for answer in other] == [answer.count for answer in singly]
    for stream in streams[1:]:
        assert stream.state.tobytes() == streams[0].state.tobytes()


def test_readings_of_some_features_in_any_order_give_the_same_statistics() -> None:
    values, whole, parts = rows(20), Stream(planned(*LAYERS)), Stream(planned(*LAYERS))
    one_by_one(whole, readings(values, seqs=False))
    for reading in readings(values, seqs=False):
        turned = dict(zip(reversed(reading.names), reversed(reading.values), strict=True))
        for names in (("load", "temp"), ("window", "door_2", "slow", "door_1")):
            some = Reading(names, [turned[name] for name in names], timestamp=reading.timestamp)
            parts.observe(some, NOW, LIMITS)
    for name in ("temp", "door_1", "door_2", "window"):  # of the others, whose weights fade by time, late ones differ
        assert parts.mean_std(name) == whole.mean_std(name)


def test_a_feature_that_appears_later_moves_the_others_and_changes_none() -> None:
    stream, apart = Stream(planned(*LAYERS)), Stream(planned(*LAYERS))
    early = readings(rows(20)[:, :3], NAMES[:3])
    for each in (stream, apart):
        one_by_one(each, early)
    late = parse_reading({"door_2": 1.0, "temp": 20.0, "door_1": 3.0}, LIMITS)
    plain = parse_reading({"temp": 20.0, "door_1": 3.0}, LIMITS)
    assert stream.observe(late, NOW, LIMITS).values[1:] == apart.observe(plain, NOW, LIMITS).values
    assert stream.layout.names == ("temp", "door_1", "slow", "door_2")


def test_features_that_are_all_alike_are_laid_out_as_without_rules() -> None:
    stream = Stream(planned(*LAYERS))
    one_by_one(stream, readings(rows(5)[:, :2], ("temp", "humidity")))
    assert not stream.layout.mixed
    assert stream.layout.plain


def test_interpreted_loops_give_the_bits_of_compiled_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Stream(planned(*LAYERS))
    one_by_one(expected, readings(rows()))
    for name in NAMES:
        monkeypatch.setattr(expected.plan.of(name).plan.kernel, "fast", None)
    stream = Stream(planned(*LAYERS))
    one_by_one(stream, readings(rows()))
    assert stream.state.tobytes() == expected.state.tobytes()


def test_a_retry_is_answered_as_the_first_time_and_applied_once() -> None:
    stream, given = Stream(planned(*LAYERS)), readings(rows(20))
    answers = one_by_one(stream, given)
    before = stream.state.tobytes()
    again = stream.observe(given[-1], NOW, LIMITS)
    assert again.replayed
    assert same(again.values, answers[-1].values)
    assert stream.state.tobytes() == before
    with pytest.raises(StaleSequence):
        stream.observe(given[3], NOW, LIMITS)


def test_a_block_that_comes_again_is_answered_from_where_it_began() -> None:
    stream, values = Stream(planned(*LAYERS)), rows(20)
    one_by_one(stream, readings(rows(10)[:, :4], NAMES[:4]))
    block = Block(NAMES, values, None, 10)
    first, again = (observe_block(stream, block, NOW, LIMITS) for _ in range(2))
    assert again.replayed
    assert same(again.values, first.values)


def test_normalizing_learns_nothing_one_by_one_and_as_a_block() -> None:
    stream, values = Stream(planned(*LAYERS)), rows()
    one_by_one(stream, readings(values))
    before = stream.state.tobytes()
    singly = [stream.normalize(reading, NOW).values for reading in readings(values)]
    block: BlockAnswer = normalize_block(stream, Block(NAMES, values, stamps()), NOW, LIMITS)
    assert same(singly, block.values)
    assert stream.state.tobytes() == before


def test_a_stream_survives_a_blob_and_a_snapshot_to_the_bit() -> None:
    stream = Stream(planned(*LAYERS))
    one_by_one(stream, readings(rows()))
    data = json.loads(json.dumps(snapshot.export(stream)))
    for other in (codec.decode("s", codec.encode(stream)), snapshot.restore_stream(data, LIMITS)):
        assert other.state.tobytes() == stream.state.tobytes()
        assert other.plan is stream.plan
        assert other.layout.names == stream.layout.names


def test_only_features_whose_plan_changed_restart_and_that_is_said() -> None:
    stream = Stream(planned(*LAYERS))
    one_by_one(stream, readings(rows()))
    before = profile(stream)
    reason = lifecycle.reconfigure(stream, planned(*LAYERS, Layer("window", {"window": 32})), NOW)
    after = profile(stream)
    assert reason == "window: another window needs other statistics"
    assert (after["window"].count, stream.count) == (0, 60)
    assert all(after[name] == before[name] for name in NAMES if name != "window")


def test_a_change_that_restarts_nothing_goes_on_from_the_same_statistics() -> None:
    stream = Stream(planned(*LAYERS))
    one_by_one(stream, readings(rows()))
    before = {name: stream.mean_std(name) for name in NAMES}
    changed = planned(*LAYERS, Layer("temp", {"horizon": 9.0}), Layer("door*", {"valid": [-90, 90], "unit": "°"}))
    assert lifecycle.reconfigure(stream, changed, NOW) is None
    assert {name: stream.mean_std(name) for name in NAMES} == before
    answer = stream.observe(parse_reading({"temp": 20.0, "door_1": 99.0}, LIMITS), NOW, LIMITS)
    assert [bool(np.isnan(y)) for y in answer.values] == [False, True]


def test_features_that_become_alike_are_one_plan_again() -> None:
    stream = Stream(planned(LAYERS[0]))
    one_by_one(stream, readings(rows()))
    assert stream.layout.mixed
    assert lifecycle.reconfigure(stream, plan(configuration({"horizon": 50.0}, {})), NOW) is None
    assert not stream.layout.mixed
    assert stream.count == 60


def test_a_reset_forgets_all_features() -> None:
    stream = Stream(planned(*LAYERS))
    one_by_one(stream, readings(rows()))
    lifecycle.reset(stream, NOW)
    assert (stream.count, stream.layout.names) == (0, ())
    assert one_by_one(stream, readings(rows(), seqs=False))[0].values[0] == 0.0


def test_snapshots_merge_feature_by_feature_unless_one_was_kept_otherwise() -> None:
    layers = (LAYERS[0], LAYERS[3])
    left, right, other = Stream(planned(*layers)), Stream(planned(*layers)), Stream(planned(LAYERS[0]))
    one_by_one(left, readings(rows(seed=1)))
    one_by_one(right, readings(rows(seed=2)))
    one_by_one(other, readings(rows(seed=2)))
    lifecycle.merge(left, right, NOW, LIMITS)
    assert left.count == 120
    both = np.vstack([rows(seed=1), rows(seed=2)])[:, 1]
    assert left.mean_std("door_1")[0] == pytest.approx(np.nanmean(both), rel=0.01)
    with pytest.raises(CannotMerge, match=r"\(load\)"):
        lifecycle.merge(left, other, NOW, LIMITS)


def test_arrays_and_numbers_may_have_plans_of_their_own() -> None:
    stream = Stream(planned(Layer("image", {"horizon": 5.0}), Layer("light", {"transform": "log"})))
    alone = Stream(plan(configuration({"horizon": 5.0, "warmup": 8}, {})))
    for seed in range(5):
        image = rows(3, 3, seed)
        answer = stream.observe(
            parse_reading({"temp": 20.0, "image": image, "light": image + 60.0}, LIMITS), NOW, LIMITS
        )
        expected = alone.observe(parse_reading({"image": image}, LIMITS), NOW, LIMITS)
        assert same(answer.values[1], expected.values[0])
        assert np.shape(answer.values[2]) == (3, 3)


@pytest.mark.parametrize("transform", ["rate", "circular"])
def test_a_transform_of_numbers_refuses_an_array_and_changes_nothing(transform: str) -> None:
    stream = Stream(planned(Layer("wind", {"transform": transform})))
    stream.observe(parse_reading({"temp": 1.0, "wind": 3.0}, LIMITS), NOW, LIMITS)
    before = stream.state.tobytes()
    with pytest.raises(ShapeMismatch, match=f"/values/wind: the transform {transform} takes a number, not an array"):
        stream.observe(parse_reading({"temp": 1.0, "wind": [1.0, 2.0]}, LIMITS), NOW, LIMITS)
    assert stream.state.tobytes() == before


def test_a_feature_named_like_half_of_an_angle_is_refused() -> None:
    stream = Stream(planned(Layer("wind", {"transform": "circular"})))
    with pytest.raises(InvalidReading, match=r"'wind\.sin' would be the name of two features"):
        stream.observe(parse_reading({"wind": 1.0, "wind.sin": 0.5}, LIMITS), NOW, LIMITS)
    assert stream.count == 0
