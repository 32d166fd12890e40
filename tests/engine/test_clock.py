"""A reading's time is what its stamp and its arrival tell together; a clock that is wrong ruins nothing, and is told.

The oracle is a clock that remembers every reading and looks back at all of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.blocks.block import observe_block
from streamnorm.engine.blocks.coalesce import observe_run
from streamnorm.engine.blocks.convert import table_rows
from streamnorm.engine.blocks.many import observe_blocks
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Answer, Reading, parse_reading
from streamnorm.engine.state.layout import HEADER_SIZE, TIME
from streamnorm.engine.streams.clock import in_words, settle_rows
from streamnorm.engine.streams.feature_profile import profile
from streamnorm.engine.streams.snapshot import export, restore_stream
from streamnorm.engine.streams.stream import EMPTY, Stream
from streamnorm.errors import InvalidReading
from tests.support.engine import LIMITS, NOW, bits, block_of, new, normalize, ybits

Array = npt.NDArray[np.float64]
BELIEVED = Limits(max_ahead=None)
HOUR, DAY = 3600.0, 86_400.0
PATIENCE = 4


class NaiveClock:
    """Remembers every time it made, and works everything out of those."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.since = 0
        self.moved = 0.0

    def settle(self, stamp: float, now: float) -> float:
        """Return the time of one more reading."""
        latest = max(self.times, default=-math.inf)
        if stamp >= latest:
            self.moved = 0.0
        time = min(stamp + self.moved, max(now, latest))
        run = [time]
        for before in range(len(self.times) - 1, self.since - 1, -1):
            earlier = max(self.times[:before], default=-math.inf)
            if self.times[before] >= earlier or self.times[before] > run[-1]:
                break
            run.append(self.times[before])
        if time < latest and len(run) >= PATIENCE:
            self.moved = latest - stamp
            time = stamp + self.moved
            self.since = len(self.times) + 1
        self.times.append(time)
        return time


#: whole seconds, so that sums are exact and the oracle may do without the clock's own rounding
stamps = st.lists(st.one_of(st.integers(-30, 30), st.integers(-3, 3)), min_size=1, max_size=60)


@given(stamps, st.sampled_from([math.inf, 0.0, 10.0]))
def test_times_are_those_of_a_clock_that_looks_back_at_every_reading(given_: list[int], now: float) -> None:
    limits = BELIEVED if now == math.inf else LIMITS
    naive = NaiveClock()
    expected = [naive.settle(float(stamp), now) for stamp in given_]
    state = new(warmup=PATIENCE).state
    assert settle_rows(state, np.array(given_, float), min(now, 1e9), limits, PATIENCE).times.tolist() == expected


def one_by_one(stream: Stream, xs: list[float], times: list[float | None], now: float, limits: Limits) -> list[Answer]:
    return [
        stream.observe(parse_reading({"a": x, "b": -x}, limits, timestamp=t), now, limits)
        for x, t in zip(xs, times, strict=True)
    ]


jittered = st.lists(
    st.tuples(st.floats(-2.0, 2.0), st.one_of(st.floats(-100.0, 60.0), st.floats(0.0, 1.0), st.integers(-9, 9))),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("limits", [LIMITS, BELIEVED], ids=["a clock", "no clock"])
@pytest.mark.parametrize("config", [{"time_constant": 30.0}, {"time_constant": 30.0, "warmup": 0}, {"warmup": 3}])
@given(given_=jittered, cut=st.integers(0, 40))
def test_a_block_a_run_and_single_readings_come_to_the_same_bits(
    config: dict[str, Any], limits: Limits, given_: list[tuple[float, float]], cut: int
) -> None:
    xs, times = [x for x, _ in given_], [NOW + t for _, t in given_]
    single, bulk, run, several = (new(**{"warmup": 5} | config) for _ in range(4))
    answers = one_by_one(single, xs, [*times], NOW, limits)
    told = []
    for part in (slice(0, cut), slice(cut, None)):
        if xs[part]:
            block = block_of([[x, -x] for x in xs[part]], times=times[part])
            answer = observe_block(bulk, block, NOW, limits)
            told += [one for _, one in table_rows(block, answer)]
            assert answer.ready is told[-1].ready
            observe_blocks({"several": several}, {"several": block}, NOW, limits)
    readings = [Reading(("a", "b"), [x, -x], timestamp=t) for x, t in zip(xs, times, strict=True)]
    ran = observe_run(run, readings, NOW, limits).answers
    for other in (told, ran):
        assert [ybits(one) for one in other] == [ybits(one) for one in answers]
        assert [(one.ready, one.skew, one.count) for one in other] == [
            (one.ready, one.skew, one.count) for one in answers
        ]
    assert bits(bulk) == bits(single) == bits(run) == bits(several)


@given(given_=jittered)
def test_a_stream_knows_its_clock_again_after_a_snapshot(given_: list[tuple[float, float]]) -> None:
    stream = new(time_constant=30.0, warmup=2)
    one_by_one(stream, [x for x, _ in given_], [NOW + t for _, t in given_], NOW, LIMITS)
    assert bits(restore_stream(export(stream), LIMITS)) == bits(stream)


def test_a_snapshot_of_before_there_were_clocks_begins_one_at_its_last_reading() -> None:
    stream = new(time_constant=30.0)
    one_by_one(stream, [1.0, 2.0], [NOW - 9.0, NOW - 5.0], NOW, LIMITS)
    data = export(stream)
    del data["clock"]
    assert restore_stream(data, LIMITS).state[TIME:HEADER_SIZE].tolist() == [NOW - 5.0, 0.0, 0.0, 0.0, 0.0]


def thermometer(seed: int = 0) -> Stream:
    """Return a stream by time, an hour, of a reading every ten seconds until now."""
    stream, rng = new(time_constant=HOUR), np.random.default_rng(seed)
    rows_ = rng.normal(20.0, 0.1, size=(1000, 1))
    observe_block(stream, block_of(rows_, times=NOW - 10.0 * np.arange(1000)[::-1]), NOW, LIMITS)
    return stream


def observe(stream: Stream, x: float, stamp: float | None, now: float, limits: Limits = LIMITS) -> Answer:
    return stream.observe(parse_reading({"a": x}, limits, timestamp=stamp), now, limits)


def test_a_stamp_ahead_counts_as_its_arrival_and_is_told() -> None:
    stream, honest = thermometer(), thermometer()
    answer = observe(stream, 20.05, NOW + 23 * HOUR, NOW + 10.0)
    expected = observe(honest, 20.05, NOW + 10.0, NOW + 10.0)
    assert (ybits(answer), answer.skew) == (ybits(expected), 23 * HOUR - 10.0)
    after = [observe(each, 20.1, None, NOW + 20.0) for each in (stream, honest)]
    assert ybits(after[0]) == ybits(after[1])
    assert (after[0].skew, bits(stream)) == (0.0, bits(honest))


@pytest.mark.parametrize("ahead", [0.002, 0.999])
def test_what_clocks_kept_by_ntp_differ_by_is_not_told(ahead: float) -> None:
    assert observe(thermometer(), 20.0, NOW + 10.0 + ahead, NOW + 10.0).skew == 0.0


def test_where_there_is_no_clock_stamps_are_believed() -> None:
    stream = thermometer()
    observe(stream, 20.0, NOW + 5.0 * DAY, NOW, BELIEVED)
    assert stream.state[HEADER_SIZE] == pytest.approx(1.0)
    assert stream.state[TIME] == NOW + 5.0 * DAY


@pytest.mark.parametrize(
    ("stamp", "words"),
    [
        (NOW + 2 * DAY + 3 * HOUR, "2 days 3 hours ahead of the service's clock; the limit (max_ahead) is 1 day"),
        (NOW * 1e3, "milliseconds"),
        (NOW * 1e6, "microseconds"),
        (NOW * 1e9, "nanoseconds"),
    ],
    ids=["days", "ms", "µs", "ns"],
)
def test_a_stamp_too_far_ahead_is_refused_in_words_and_changes_nothing(stamp: float, words: str) -> None:
    stream = thermometer()
    before = bits(stream)
    with pytest.raises(InvalidReading) as refused:
        observe(stream, 20.0, stamp, NOW)
    assert words in str(refused.value)
    assert bits(stream) == before


def test_the_limit_is_told_as_it_is_configured() -> None:
    with pytest.raises(InvalidReading, match=r"lies 90 days ahead .* \(max_ahead\) is 30 minutes"):
        observe(thermometer(), 20.0, NOW + 90 * DAY, NOW, Limits(max_ahead=1800.0))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1.0, "1 second"),
        (90.0, "1 minute 30 seconds"),
        (3599.9, "1 hour"),
        (31_557_600.0 * 2 + 60.0, "2 years 1 minute"),
    ],
)
def test_spans_are_written_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize("back", [HOUR, 30 * DAY, 50 * 365 * DAY], ids=["daylight saving", "a month", "1970s"])
@pytest.mark.parametrize("limits", [LIMITS, BELIEVED], ids=["a clock", "no clock"])
def test_a_clock_that_was_set_back_is_noticed_within_the_warmup_and_told_once(back: float, limits: Limits) -> None:
    stream, told = thermometer(), []
    for place in range(200):
        now = NOW + 10.0 * (place + 1)
        answer = observe(stream, 25.0, now - back, now, limits)
        if answer.skew:
            told.append((place + 1, -answer.skew))
    ((place, seconds),) = told
    assert place == 32
    assert seconds == pytest.approx(back - 320.0)
    assert stream.mean_std("a")[0] == pytest.approx(25.0 - 5.0 * math.exp(-1680.0 / HOUR), abs=0.2)


def test_a_device_that_stamps_by_its_uptime_is_learned_from_after_a_reboot() -> None:
    stream, rng = new(time_constant=HOUR), np.random.default_rng(0)
    for start, level in ((30 * DAY, 20.0), (0.0, 25.0), (0.0, 30.0)):
        stamps_ = start + 60.0 * np.arange(3000)
        observe_block(stream, block_of(rng.normal(level, 0.1, (3000, 1)), times=stamps_), NOW, LIMITS)
        assert stream.mean_std("a") == pytest.approx((level, 0.1), abs=0.03)


def test_a_clock_that_is_set_right_again_loses_nothing() -> None:
    stream = thermometer()
    for place in range(100):
        now = NOW + 10.0 * (place + 1)
        observe(stream, 20.0 + 0.1 * (place % 2), now - HOUR, now)
    weight = stream.state[HEADER_SIZE]
    observe(stream, 20.0, NOW + 1010.0, NOW + 1010.0)
    assert stream.state[HEADER_SIZE] > weight * 0.9
    assert stream.state[TIME] == NOW + 1010.0


def test_the_services_own_clock_may_be_set_back() -> None:
    stream = thermometer()
    told = [observe(stream, 25.0, None, NOW - HOUR + 10.0 * place).skew for place in range(100)]
    assert [place + 1 for place, skew in enumerate(told) if skew] == [32]
    assert stream.mean_std("a")[0] > 20.8


def test_a_backlog_in_no_order_is_no_clock_that_was_set_back() -> None:
    stream, rng = thermometer(), np.random.default_rng(0)
    late = NOW - DAY + HOUR * rng.random(500)
    skews = [observe(stream, 30.0, stamp, NOW).skew for stamp in late.tolist()]
    assert not any(skews)
    assert stream.mean_std("a")[0] == pytest.approx(20.0, abs=0.01)


def test_equal_stamps_count_alike() -> None:
    stream = new(time_constant=HOUR)
    answers = [observe(stream, x, NOW, NOW + place) for place, x in enumerate((1.0, 2.0, 3.0, 4.0))]
    assert stream.state[HEADER_SIZE] == 4.0
    assert stream.mean_std("a") == pytest.approx((2.5, math.sqrt(1.25)))
    assert not any(answer.skew for answer in answers)


# Ready


def test_after_a_gap_of_days_a_stream_is_not_ready_until_there_is_weight_again() -> None:
    stream = thermometer()
    assert observe(stream, 20.0, None, NOW + 10.0).ready
    told = [observe(stream, 20.0, None, NOW + 3 * DAY + 10.0 * place).ready for place in range(20)]
    assert told == [False] * 8 + [True] * 12


def test_a_stream_that_only_normalizes_is_not_ready_either_after_a_gap() -> None:
    stream = thermometer()
    told = [stream.normalize(parse_reading({"a": 20.0}, LIMITS), NOW + gap).ready for gap in (0.0, HOUR, DAY)]
    assert told == [True, True, False]


def test_a_feature_that_is_missing_for_days_holds_up_ready() -> None:
    stream = new(time_constant=HOUR)
    for place in range(100):
        observe_two(stream, 1.0, place)
    assert observe_two(stream, math.nan, 101).ready
    assert not observe_two(stream, math.nan, 9000).ready


def observe_two(stream: Stream, b: float, minute: int) -> Answer:
    now = NOW + 60.0 * minute
    return stream.observe(parse_reading({"a": float(minute), "b": b}, LIMITS), now, LIMITS)


@pytest.mark.parametrize("method", ["online", "cumulative", "adaptive", "batch"])
def test_what_is_counted_by_readings_is_ready_after_its_warmup_whatever_the_time(method: str) -> None:
    stream = new(method=method, warmup=5)
    assert [observe(stream, float(n), NOW + n * DAY, NOW + n * DAY).ready for n in range(7)] == [False] * 4 + [True] * 3


def test_a_short_warmup_by_time_is_soon_ready() -> None:
    stream = new(time_constant=HOUR, warmup=2)
    assert [observe(stream, 1.0, None, NOW + n).ready for n in range(3)] == [False, True, True]


def test_the_profile_tells_todays_weight_and_not_the_last_readings() -> None:
    stream = thermometer()
    before, after = profile(stream)["a"].weight, profile(stream, NOW + HOUR)["a"].weight
    assert after == pytest.approx(before / math.e)


def test_a_new_stream_has_no_time_yet() -> None:
    assert new().state.tolist() == list(EMPTY)
    assert not normalize(new(), {"a": 1.0}).ready
