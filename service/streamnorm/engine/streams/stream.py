"""A stream: its state, and what can be done with one reading.

Rules:

1. `observe` either succeeds whole or raises and leaves the state as it was, to the bit.
2. What takes several readings (`streamnorm.engine.blocks.block`) may fail half-way: it works on a copy, which replaces
   the stream when it succeeded, and may do so in another thread while others read the stream as it was.
3. Time is an argument, in seconds since 1970; what a device says of it is judged by `streamnorm.engine.streams.clock`.
"""

from __future__ import annotations

import functools
import math
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from streamnorm.engine.limits import LARGEST_NAME, LARGEST_SEQ, Limits
from streamnorm.engine.names import name_fault
from streamnorm.engine.reading import Answer, Array, Channel, Reading, check_seq
from streamnorm.engine.state.layout import (
    COUNT,
    CREATED,
    GAP,
    HEADER_BYTES,
    LAST_SEQ,
    OFFSET,
    SKEW,
    TIME,
    UPDATED,
    layout_for,
)
from streamnorm.engine.state.mixed_layout import MixedLayout, layout_of, moved
from streamnorm.engine.state.replay import pack_replay, unpack_replay
from streamnorm.engine.streams import mixed
from streamnorm.engine.streams.clock import EARLIEST, check_time, keep, settle
from streamnorm.engine.validation import escape_pointer
from streamnorm.errors import CannotInvert, Fault, InvalidReading, ShapeMismatch, StaleSequence
from streamnorm.kernels import base_statistics as base
from streamnorm.kernels.base_statistics import least_weight, weight_at
from streamnorm.kernels.cpu.loops import row_call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamnorm.engine.configuration.plan import Plan
    from streamnorm.engine.state.layout import Shape
    from streamnorm.engine.state.mixed_layout import AnyLayout
    from streamnorm.engine.streams.clock import Settlement

#: `last_seq` of a stream that has seen no numbered reading
NO_SEQ = -1.0
#: mean and deviation where nothing is known
UNKNOWN = (math.nan, math.nan)
#: the state of a stream that has seen nothing; `layout` names its numbers
EMPTY = (0.0, NO_SEQ, 0.0, 0.0, 0.0, -math.inf, 0.0, 0.0, 0.0, 0.0)


class Stream:
    """One device's stream: the statistics of every feature, in one flat float64 buffer.

    The buffer begins with the stream's own counters (`layout.HEAD` of them); then each feature's state follows.
    """

    __slots__ = ("answered", "before", "layout", "plan", "state")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.layout: AnyLayout = layout_for((), (), plan.stride)
        self.state = array("d", EMPTY)
        #: of the last reading, where it was numbered, what answers a retry; see `streamnorm.engine.state.replay`
        self.answered: array[float] | None = None
        #: the state before the last block, where it was numbered: what a retry is computed from
        self.before: array[float] | None = None

    @property
    def count(self) -> int:
        """How many readings were observed."""
        return int(self.state[COUNT])

    @property
    def last_seq(self) -> int | None:
        """The last sequence number applied."""
        seq = self.state[LAST_SEQ]
        return None if seq == NO_SEQ else int(seq)

    def touch(self, now: float) -> None:
        """Note the time of a change; the first one is when the stream was made."""
        if not self.state[CREATED]:
            self.state[CREATED] = now
        self.state[UPDATED] = now

    def draft(self) -> Stream:
        """Copy the stream, to work on the copy."""
        copy = Stream.__new__(Stream)
        copy.plan, copy.layout, copy.state = self.plan, self.layout, self.state[:]
        copy.answered, copy.before = self.answered, self.before
        return copy

    def observe(self, reading: Reading, now: float, limits: Limits) -> Answer:  # noqa: C901, PLR0912, PLR0915 - the hot path, in one piece
        """Normalize a `reading` and learn from it; `now` is the time of arrival (s since 1970), `limits` bound it.

        Raises:
            StaleSequence: its number was applied before and is not the last one.
            ShapeMismatch: a feature has another shape than before.
            LimitExceeded: the stream would have too many features.
            InvalidReading: its time lies too far ahead, or a new feature's name is unfit.

        """
        seq = reading.seq
        if seq is not None:
            if not 0 <= seq <= LARGEST_SEQ:
                check_seq(seq)
            if seq <= self.state[LAST_SEQ]:
                return self._replay(reading, seq)
        t, plan = now, self.plan
        settled = None
        if plan.clocked or reading.timestamp is not None:
            settled = self._settle(reading.timestamp, now, limits)
            t = settled[0]
        if not self.layout.names:
            self._make_room(reading, limits)  # then the loops for a row take in the first one, too
        where = self.layout
        plain = reading.plain and where.plain and reading.names == where.names
        state, names = self.state, None
        answered: array[float]
        if plain and (fast := plan.kernel.fast) is not None:
            answered = array("d", reading.values)  # type: ignore[arg-type] # no channels; `cast` would take time
            at, size = answered.buffer_info()
            ready = fast.row(row_call(at, size, t, state.buffer_info()[0] + HEADER_BYTES, plan.row.address))
        elif (
            where.direct
            and reading.plain
            and reading.names == where.names
            and (row_taken := where.observe(reading.values, t, self.state)) is not None
        ):
            plain, (answered, ready) = True, row_taken
        elif plan.mixed and not plain:
            reading, names, answered, ready = self._observe_mixed(reading, t, limits)
        else:
            answered, ready = self._observe_each(
                reading, where.starts if plain else self.feature_offsets(reading, limits), t
            )
        if plain:
            reading.names = where.names  # equal, and shared: who compares them next sees that they are the same
        state = self.state  # another, where features were added
        state[COUNT] = count = state[COUNT] + 1.0
        state[UPDATED] = now
        if settled is None:
            state[SKEW] = skew = 0.0
        else:
            keep(state, settled)
            skew = settled[-1]
        if not state[CREATED]:
            state[CREATED] = now
        self.before = self.answered = None
        gap = 0
        if seq is not None:
            last = state[LAST_SEQ]
            gap = 0 if last == NO_SEQ else int(seq - last - 1.0)
            state[LAST_SEQ] = seq
            state[GAP] = gap
            self.answered = answered if plain else pack_replay(reading, answered, self.layout)
        if plain and not plan.finishes:
            answers: Any = answered.tolist() if reading.values.__class__ is list else answered
        else:
            answers = self._grow(reading, answered)
        return Answer(answers, int(count), ready, gap, False, None, skew, names)  # noqa: FBT003 - named, it takes longer

    def _settle(self, stamp: float | None, now: float, limits: Limits) -> Settlement:
        state = self.state
        if stamp is not None and state[TIME] <= stamp <= now and not state[OFFSET] and stamp >= EARLIEST:
            return stamp, stamp, 0.0, 0.0, 0.0, 0.0  # as nearly always; what `settle` would return
        check_time(stamp, now, limits)
        return settle(state, stamp, now, limits, self.plan.patience)

    def _observe_each(self, reading: Reading, starts: Sequence[int], t: float) -> tuple[array[float], bool]:
        """Take the values in one by one; returns the y of each, then the scale of each channel, and `ready`."""
        plan, state = self.plan, self.state
        observe, rule, p, stride = plan.observe, plan.rule, plan.p, plan.stride
        ys: list[float] = []
        scales: list[float] = []
        for value, at in zip(reading.values, starts, strict=True):
            if isinstance(value, float):
                y, _ = observe(value, 0.0, value, value, t, rule, p, state, at, at + stride)
            else:
                _, x, v, low, high = value
                y, scale = observe(x, v, low, high, t, rule, p, state, at, at + stride)
                scales.append(scale)
            ys.append(y)
        return array("d", ys + scales), self.ready(starts, t)

    def _observe_mixed(
        self, reading: Reading, t: float, limits: Limits
    ) -> tuple[Reading, tuple[str, ...] | None, array[float], bool]:
        """Take in a reading of features that may differ; returns it as prepared, and its names if they are others."""
        given = reading.names
        if not reading.plain or given != self.layout.sources:
            self._make_room(reading, limits)
        where = self.layout
        if isinstance(where, MixedLayout):
            reading = mixed.prepare(self.plan, where, self.state, reading, t) if where.prepares else reading
            ys, ready = mixed.observe_reading(where, reading, t, self.state)
            starts = [where.starts[where.index[name]] for name in reading.names] if ready is None else ()
            return reading, _renamed(reading, given), ys, self.ready(starts, t) if ready is None else ready
        starts = [where.starts[where.index[name]] for name in given]
        return reading, None, *self._observe_each(reading, starts, t)

    def plan_at(self, start: int) -> Plan:
        """Return the plan of the feature whose state begins at `start`."""
        return self.layout.plan_at[start] if isinstance(self.layout, MixedLayout) else self.plan

    def plan_of(self, name: str) -> Plan:
        """Return the plan of a feature."""
        place = self.layout.index.get(name)
        return self.plan if place is None else self.plan_at(self.layout.starts[place])

    def normalize(self, reading: Reading, now: float) -> Answer:
        """Normalize a reading by today's statistics and learn nothing; a feature never seen gives NaN."""
        given = reading.names
        if self.plan.mixed:
            t = now if reading.timestamp is None else reading.timestamp + self.state[OFFSET]
            reading = mixed.prepare(self.plan, self.layout, self.state[:], reading, t)
        ys: list[float | Array] = []
        ready = True
        for name, value in zip(reading.names, reading.values, strict=True):
            if isinstance(value, float):
                ys.append(self.score(name, value))
            else:
                ys.append(self.score(name, value.elements, value.elements.size))
            ready = ready and name in self.layout.index
        starts = [self.layout.starts[self.layout.index[name]] for name in reading.names if name in self.layout.index]
        return Answer(
            mixed.finish(self.plan, self.layout, reading.names, ys),
            self.count,
            ready and self.ready(starts, self.today(now)),
            names=_renamed(reading, given),
        )

    def denormalize(self, reading: Reading) -> tuple[tuple[str, ...], list[float | Array]]:
        """Invert the map from values to answers, by today's statistics; returns the raw features and their values.

        They are the reading's, but a circular feature's sine and cosine become its angle.

        Raises:
            CannotInvert: a feature is unknown or a constant so far, its gamma is 0, layer scaling mixes it with the
                others, it is a rate, or one of a circular feature's two is missing.

        """
        faults: list[Fault] = []
        xs: dict[str, float | Array] = {}
        for name, value in zip(reading.names, reading.values, strict=True):
            mean, std = self.mean_std(name)
            plan = self.plan_of(name)
            gamma, beta = plan.gamma_beta(name)
            y = value if isinstance(value, float) else value.elements
            why = _one_way(plan, mean, std, gamma, np.any((y != beta) & ~np.isnan(y)))
            if why:
                faults.append(Fault(f"/values/{escape_pointer(name)}", why))
            else:
                xs[name] = (y - beta) / gamma * std + mean
        faults += mixed.restore_raw(self.layout, xs)
        if faults:
            raise CannotInvert.of(faults)
        return tuple(xs), [*xs.values()]

    def mean_std(self, name: str) -> tuple[float, float]:
        """Return a feature's mean and standard deviation of today, in the feature's unit; NaN before any reading."""
        place = self.layout.index.get(name)
        start = None if place is None else self.layout.starts[place]
        if start is None or not self.state[start + base.COUNT]:
            return UNKNOWN
        plan = self.plan_at(start)
        return plan.kernel.spread(plan.p, self.state, start)

    def score(self, name: str, x: Any, elements: int = 1) -> Any:
        """Return the z-score of a number `x`, or those of an array, by today's statistics of the feature `name`.

        As when observing, 0 where the feature's mean would no longer resolve x − μ, and bounded: by √W with W the
        weight of the past, of a channel of n elements by √(nW), which is what x has where nothing has varied. NaN stays
        NaN, and is the answer of a feature without readings.
        """
        mean, std = self.mean_std(name)
        if math.isnan(mean):
            return x * math.nan
        weight = self.state[self.layout.starts[self.layout.index[name]]]
        delta = x - mean
        bound = math.sqrt(weight * elements) if self.plan_of(name).kernel.method.bounded else math.inf
        if isinstance(x, float):
            if x != x:  # noqa: PLR0124 - NaN
                return x
            if mean + delta / weight == mean:
                return 0.0
            y = delta / std if std else math.copysign(bound, delta)
            return y if -bound <= y <= bound else math.copysign(bound, delta)
        with np.errstate(over="ignore"):
            ys = np.clip(delta / std if std else np.copysign(bound, delta), -bound, bound)
        return np.where(np.isnan(x), math.nan, np.where(mean + delta / weight == mean, 0.0, ys))

    def ready(self, starts: Sequence[int], t: float) -> bool:
        """Return whether the features at these places rest on enough at the time `t` of the stream's clock.

        They have had their warmup and, where statistics fade by time, have weight.
        """
        state = self.state
        if isinstance(self.layout, MixedLayout):
            return all(self._rests(self.layout.plan_at[at], at, t) for at in starts)
        warmup = self.plan.warmup
        if not all(state[at + base.COUNT] >= warmup for at in starts):
            return False
        least = least_weight(warmup)
        return not self.plan.timed or all(self.weight(at, t) >= least for at in starts)

    def _rests(self, plan: Plan, at: int, t: float) -> bool:
        enough = self.state[at + base.COUNT] >= plan.warmup
        return enough and (not plan.timed or self.weight(at, t) >= least_weight(plan.warmup))

    def weight(self, at: int, t: float) -> float:
        """Return the effective number of readings that the statistics at a place rest on at the time `t`."""
        plan = self.plan_at(at)
        if not plan.timed:
            return self.state[at]
        return weight_at(t, plan.rule[1], self.state[at + plan.stride - 1], self.state[at])

    def today(self, now: float) -> float:
        """Return the time of the stream's clock, which is its devices', when the service's is `now`."""
        return self.state[TIME] + max(0.0, now - self.state[UPDATED])

    def forgive_missing(self, names: Sequence[str], absent: Sequence[int]) -> None:
        """Take back that so many values of each feature were counted as missing: their readings did not have it."""
        for name, count in zip(names, absent, strict=False):
            for place in self.layout.places(name):
                self.state[self.layout.starts[place] + base.MISSING] -= count

    def feature_offsets(self, reading: Reading, limits: Limits) -> Sequence[int]:
        """Return where the features of a reading have their state, making room for new ones."""
        where = self.layout
        if reading.plain and where.plain and reading.names == where.names:
            return where.starts
        self._make_room(reading, limits)
        where = self.layout
        return [where.starts[where.index[name]] for name in reading.names]

    def _make_room(self, reading: Reading, limits: Limits) -> None:
        shapes = [() if isinstance(value, float) else value.elements.shape for value in reading.values]
        self.ensure_features(reading.names, shapes, [isinstance(v, float) and v != v for v in reading.values], limits)  # noqa: PLR0124

    def ensure_features(
        self, names: tuple[str, ...], shapes: Sequence[Shape], missing: Sequence[bool], limits: Limits
    ) -> None:
        """Make sure that features of these names and shapes, as in readings, have their place.

        A missing value fits any shape. `limits` bound how many features there may be.

        Raises:
            ShapeMismatch, LimitExceeded, InvalidReading: as `observe` says; nothing is changed then.

        """
        limits.check_features(len(names))
        where = self.layout
        had, index, mixed = list(where.source_shapes), where.source_index, self.plan.mixed
        new: dict[str, Shape] = {}
        for name, shape, absent in zip(names, shapes, missing, strict=True):
            place = index.get(name)
            if mixed:
                self._check_transform(name, shape)
            if place is None:
                _check_name(name)
                new[name] = shape
            elif had[place] != shape and not absent:
                if self.state[where.starts[where.places(name)[0]] + base.COUNT]:
                    was = f"has the shape {list(had[place])}, not {list(shape)}"
                    raise ShapeMismatch.at(f"/values/{escape_pointer(name)}", was)
                had[place] = shape
        limits.check_features(len(where.sources) + len(new))
        if new or had != list(where.source_shapes):
            self._extend((*where.sources, *new), (*had, *new.values()))

    def _extend(self, names: tuple[str, ...], shapes: tuple[Shape, ...]) -> None:
        old, new = self.layout, layout_of(self.plan, names, shapes)
        if isinstance(new, MixedLayout) and len(set(new.names)) < len(new.names):
            twice = next(name for name in new.names if new.names.count(name) > 1)
            raise InvalidReading.at("/values", f"{twice!r} would be the name of two features, one of them circular")
        if isinstance(old, MixedLayout) or isinstance(new, MixedLayout):
            self.state = moved(self.state, old, new)
        else:  # a new array of just this size; one that grows in place takes some in reserve
            self.state = self.state + array("d", bytes(8 * (new.size - old.size)))
        self.layout = new

    def _check_transform(self, name: str, shape: Shape) -> None:
        """Refuse arrays where a transform takes numbers."""
        preparation = self.plan.of(name).preparation
        if shape and preparation is not None and preparation.transform in {"rate", "circular"}:
            detail = f"the transform {preparation.transform} takes a number, not an array"
            raise ShapeMismatch.at(f"/values/{escape_pointer(name)}", detail)

    def _replay(self, reading: Reading, seq: int) -> Answer:
        last = int(self.state[LAST_SEQ])
        if seq < last or self.answered is None:
            raise StaleSequence(seq, last)
        given = reading.names
        if self.plan.mixed:
            reading = mixed.prepare(self.plan, self.layout, self.state[:], reading, self.state[TIME])
        answered = unpack_replay(reading, self.answered, self.layout, seq)
        starts = [self.layout.starts[self.layout.index[name]] for name in reading.names]
        answers = self._grow(reading, answered)
        ready = self.ready(starts, self.state[TIME])
        answer = Answer(answers, self.count, ready, int(self.state[GAP]), replayed=True, skew=self.state[SKEW])
        answer.names = _renamed(reading, given)
        return answer

    def _grow(self, reading: Reading, answered: array[float]) -> list[float | Array]:
        """Return every element of a channel its y, by the channel's y and scale; then the configured finish."""
        scale = iter(answered[len(reading.names) :])
        raw: list[float | Array] = [
            y if isinstance(value, float) else _elements(value, y, next(scale))
            for value, y in zip(reading.values, answered, strict=False)
        ]
        return mixed.finish(self.plan, self.layout, reading.names, raw)


def _renamed(reading: Reading, given: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the names of a prepared reading, where they are not those that were given."""
    return reading.names if reading.names != given else None


def _elements(channel: Channel, y: float, scale: float) -> Array:
    shifted: Array = y + (channel.elements - channel.mean) * scale
    return shifted


@functools.lru_cache(maxsize=4096)
def _check_name(name: str) -> None:
    fault = name_fault(name)
    if fault is not None:
        shown = repr(name) if len(repr(name)) <= LARGEST_NAME else repr(name)[:LARGEST_NAME] + "…"
        raise InvalidReading.at("/values", f"the name {shown} of a feature {fault}")


def _one_way(plan: Plan, mean: float, std: float, gamma: float, moves: np.bool_) -> str:
    """Return why a value cannot be turned back; an empty text where it can."""
    if math.isnan(mean):
        return "unknown feature"
    if gamma == 0.0:
        return "gamma is 0"
    if plan.compensation[1] >= 0.0:
        return "layer scaling cannot be undone"
    return "the feature has been constant so far" if std == 0.0 and moves else ""
