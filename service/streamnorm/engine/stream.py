"""A stream: its state, and what can be done with one reading.

Rules:

1. `observe` either succeeds whole or raises and leaves the state as it was, to the bit.
2. What takes several readings (`streamnorm.engine.blocks.block`) may fail half-way: it works on a copy, which replaces
   the stream when it succeeded, and may do so in another thread while others read the stream as it was.
3. Time is an argument, in seconds since 1970.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any, cast

from streamnorm.engine.limits import LARGEST_NAME, LARGEST_SEQ, Limits
from streamnorm.engine.postprocess import postprocess
from streamnorm.engine.reading import Answer, Array, Channel, Reading, check_seq, check_time
from streamnorm.engine.replay import pack_replay, unpack_replay
from streamnorm.engine.state_layout import COUNT, CREATED, GAP, HEADER_SIZE, LAST_SEQ, UPDATED, Layout, layout_for
from streamnorm.engine.validation import escape_pointer
from streamnorm.errors import CannotInvert, Fault, InvalidReading, LimitExceeded, ShapeMismatch, StaleSequence
from streamnorm.kernels import base_statistics as base

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamnorm.engine.plan import Plan
    from streamnorm.engine.state_layout import Shape

#: `last_seq` of a stream that has seen no numbered reading
NO_SEQ = -1.0


class Stream:
    """One device's stream: the statistics of every feature, in one flat float64 buffer.

    The buffer begins with the stream's own counters (`layout.HEAD` of them); then each feature's state follows.
    """

    __slots__ = ("answered", "before", "layout", "plan", "state")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.layout: Layout = layout_for((), (), plan.stride)
        self.state = array("d", (0.0, NO_SEQ, 0.0, 0.0, 0.0))
        #: of the last reading, where it was numbered, what a retry is answered with; see `streamnorm.engine.replay`
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

    def observe(self, reading: Reading, now: float, limits: Limits) -> Answer:
        """Normalize a reading and learn from it.

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
        t = now
        if reading.timestamp is not None:
            t = reading.timestamp
            check_time(t, now, limits)
        where = self.layout
        plain = reading.plain and where.plain and reading.names == where.names
        answered: array[float]
        plan = self.plan
        if plain and plan.kernel.fast is not None:
            row = cast("list[float]", reading.values)
            answered, ready = plan.kernel.observe_row(row, t, plan.rule, plan.p, self.state, HEADER_SIZE, plan.stride)
        else:
            answered, ready = self._observe_each(
                reading, where.starts if plain else self.feature_offsets(reading, limits), t
            )
        state = self.state
        state[COUNT] += 1.0
        state[UPDATED] = now
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
            answers: list[float | Array] = [*answered]
        else:
            answers = self._grow(reading, answered)
        return Answer(answers, int(state[COUNT]), ready, gap)

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
        return array("d", ys + scales), self.ready(starts)

    def normalize(self, reading: Reading) -> Answer:
        """Normalize a reading by today's statistics and learn nothing; a feature never seen gives NaN."""
        ys: list[float | Array] = []
        ready = True
        for name, value in zip(reading.names, reading.values, strict=True):
            ys.append(self.score(name, value if isinstance(value, float) else value.elements))
            ready = ready and name in self.layout.index
        starts = [self.layout.starts[self.layout.index[name]] for name in reading.names if name in self.layout.index]
        return Answer(postprocess(self.plan, reading.names, ys), self.count, ready and self.ready(starts))

    def denormalize(self, reading: Reading) -> list[float | Array]:
        """Invert the map from values to answers, by today's statistics.

        Raises:
            CannotInvert: a feature is unknown, its gamma is 0, or layer scaling mixes it with the others.

        """
        faults = []
        xs: list[float | Array] = []
        for name, value in zip(reading.names, reading.values, strict=True):
            mean, std = self.mean_std(name)
            gamma, beta = self.plan.gamma_beta(name)
            if gamma == 0.0 or math.isnan(mean) or self.plan.compensation[1] >= 0.0:
                one_way = "gamma is 0" if gamma == 0.0 else "layer scaling cannot be undone"
                faults.append(
                    Fault(f"/values/{escape_pointer(name)}", "unknown feature" if math.isnan(mean) else one_way)
                )
                continue
            y = value if isinstance(value, float) else value.elements
            xs.append((y - beta) / gamma * std + mean)
        if faults:
            raise CannotInvert.of(faults)
        return xs

    def mean_std(self, name: str) -> tuple[float, float]:
        """Return a feature's mean and standard deviation of today, in the feature's unit; NaN before any reading."""
        place = self.layout.index.get(name)
        if place is None or not self.state[self.layout.starts[place] + base.COUNT]:
            return math.nan, math.nan
        return self.plan.kernel.spread(self.plan.p, self.state, self.layout.starts[place])

    def score(self, name: str, x: Any) -> Any:
        """Return the z-score of a number, or those of an array, by a feature's statistics of today.

        As when observing, 0 where nothing has varied, or where the feature's mean would no longer resolve x − μ. NaN
        stays NaN, and is the answer of a feature without readings.
        """
        mean, std = self.mean_std(name)
        weight = 1.0 if math.isnan(mean) else self.state[self.layout.starts[self.layout.index[name]]]
        delta = x - mean
        return delta / (std or math.inf) * (mean + delta / weight != mean) + 0.0

    def ready(self, starts: Sequence[int]) -> bool:
        """Return whether the features at these places have had their warmup."""
        state, warmup = self.state, self.plan.warmup
        return all(state[at + base.COUNT] >= warmup for at in starts)

    def warmup_remaining(self, starts: Sequence[int]) -> list[float]:
        """Tell how many readings the features at these places lack of their warmup; none, or fewer, if they had it."""
        state, warmup = self.state, self.plan.warmup
        return [warmup - state[at + base.COUNT] for at in starts]

    def feature_offsets(self, reading: Reading, limits: Limits) -> Sequence[int]:
        """Return where the features of a reading have their state, making room for new ones."""
        where = self.layout
        if reading.plain and where.plain and reading.names == where.names:
            return where.starts
        shapes = [() if isinstance(value, float) else value.elements.shape for value in reading.values]
        self.ensure_features(reading.names, shapes, [isinstance(v, float) and v != v for v in reading.values], limits)  # noqa: PLR0124
        where = self.layout
        return [where.starts[where.index[name]] for name in reading.names]

    def ensure_features(
        self, names: tuple[str, ...], shapes: Sequence[Shape], missing: Sequence[bool], limits: Limits
    ) -> None:
        """Make sure that features of these names and shapes have their place; a missing value fits any shape.

        Raises:
            ShapeMismatch, LimitExceeded, InvalidReading: as `observe` says; nothing is changed then.

        """
        where = self.layout
        had = list(where.shapes)
        new: dict[str, Shape] = {}
        for name, shape, absent in zip(names, shapes, missing, strict=True):
            place = where.index.get(name)
            if place is None:
                _check_name(name)
                new[name] = shape
            elif had[place] != shape and not absent:
                if self.state[where.starts[place] + base.COUNT]:
                    was = f"has the shape {list(had[place])}, not {list(shape)}"
                    raise ShapeMismatch.at(f"/values/{escape_pointer(name)}", was)
                had[place] = shape
        if len(where.names) + len(new) > limits.max_features:
            total = len(where.names) + len(new)
            detail = f"the stream would have {total} features, the limit (max_features) is {limits.max_features}"
            raise LimitExceeded("max_features", detail)
        if new or had != list(where.shapes):
            self.layout = layout_for((*where.names, *new), (*had, *new.values()), where.stride)
            self.state.frombytes(bytes(8 * where.stride * len(new)))  # to the byte; `extend` takes some in reserve

    def _replay(self, reading: Reading, seq: int) -> Answer:
        last = int(self.state[LAST_SEQ])
        if seq < last or self.answered is None:
            raise StaleSequence(seq, last)
        answered = unpack_replay(reading, self.answered, self.layout, seq)
        starts = [self.layout.starts[self.layout.index[name]] for name in reading.names]
        answers = self._grow(reading, answered)
        return Answer(answers, self.count, self.ready(starts), int(self.state[GAP]), replayed=True)

    def _grow(self, reading: Reading, answered: array[float]) -> list[float | Array]:
        """Return every element of a channel its y, by the channel's y and scale; then the configured finish."""
        scale = iter(answered[len(reading.names) :])
        raw: list[float | Array] = [
            y if isinstance(value, float) else _elements(value, y, next(scale))
            for value, y in zip(reading.values, answered, strict=False)
        ]
        return postprocess(self.plan, reading.names, raw)


def _elements(channel: Channel, y: float, scale: float) -> Array:
    shifted: Array = y + (channel.elements - channel.mean) * scale
    return shifted


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= LARGEST_NAME or not name.isprintable():
        shown = repr(name) if len(repr(name)) <= LARGEST_NAME else repr(name)[:LARGEST_NAME] + "…"
        detail = f"the name {shown} of a feature must be 1 to {LARGEST_NAME} printable characters"
        raise InvalidReading.at("/values", detail)
