"""Whether features rest on enough: before a block, and after each of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streamnorm.engine.state.mixed_layout import MixedLayout
from streamnorm.kernels import base_statistics
from streamnorm.kernels.base_statistics import decay_and_weight, weight_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamnorm.engine.configuration.plan import Plan
    from streamnorm.engine.reading import Array
    from streamnorm.engine.streams.stream import Stream


@dataclass(frozen=True, slots=True)
class Before:
    """What features rested on before a block, and the times of its rows: enough to tell when they were ready."""

    #: readings that each lacked of its warmup; none, or fewer, if it had it
    lacking: list[float]
    #: effective weights, and the times that they are of
    weights: list[float]
    lasts: list[float]
    times: Array
    #: 0 where weights do not fade
    time_constant: float
    #: weight that is enough
    least: float


@dataclass(frozen=True, slots=True)
class MixedBefore:
    """The same where features differ in their plans: the block as prepared, and each plan’s columns with theirs."""

    values: Array
    parts: list[tuple[list[int], Before]]


def ready_for(stream: Stream, names: tuple[str, ...], now: float) -> bool:
    """Return whether the stream knows features of these `names`, and they rest on enough at `now` (s since 1970)."""
    where = stream.layout
    known = [where.starts[where.index[name]] for name in names if name in where.index]
    return len(known) == len(names) and stream.ready(known, stream.today(now))


def rested(stream: Stream, starts: Sequence[int], values: Array, times: Array) -> Before | MixedBefore:
    """Return what features rest on before a block, where their state in the `stream` begins at `starts`.

    `values` are the block as prepared, rows × features, `times` its rows' in seconds since 1970.
    """
    if not isinstance(stream.layout, MixedLayout):
        return _rested(stream, stream.plan, starts, times)
    columns: dict[str, list[int]] = {}
    for column, start in enumerate(starts):
        columns.setdefault(stream.plan_at(start).key, []).append(column)
    parts = []
    for some in columns.values():
        own = [starts[column] for column in some]
        parts.append((some, _rested(stream, stream.plan_at(own[0]), own, times)))
    return MixedBefore(values, parts)


def _rested(stream: Stream, plan: Plan, starts: Sequence[int], times: Array) -> Before:
    state = stream.state
    lasts = [state[at + plan.stride - 1] for at in starts] if plan.timed else []
    weights = [state[at + base_statistics.WEIGHT] for at in starts]
    lacking = [plan.warmup - state[at + base_statistics.COUNT] for at in starts]
    return Before(lacking, weights, lasts, times, plan.rule[1], base_statistics.least_weight(plan.warmup))


def ready_after(values: Array, before: Before | MixedBefore) -> Array:
    """Return after which rows every feature rests on enough; see `Stream.ready`."""
    if isinstance(before, MixedBefore):
        parts = [ready_after(before.values.take(columns, axis=1), part) for columns, part in before.parts]
        together: Array = np.logical_and.reduce(parts)
        return together
    ready = np.ones(len(values), dtype=bool)
    if max(before.lacking) > 0:
        ready = np.all((~np.isnan(values)).cumsum(axis=0) >= np.array(before.lacking), axis=1)
    if before.time_constant > 0.0 and not _stays_heavy(before):
        for column, (weight, last) in enumerate(zip(before.weights, before.lasts, strict=True)):
            ready &= _heavy_after(values[:, column].tolist(), before, weight, last)
    return ready


def _stays_heavy(before: Before) -> bool:
    """Return whether weights would suffice to the end even if nothing were added to them."""
    end = max(float(before.times.max()), *before.lasts)
    pairs = zip(before.weights, before.lasts, strict=True)
    return all(weight_at(end, before.time_constant, last, weight) > 1.01 * before.least for weight, last in pairs)


def _heavy_after(xs: Sequence[float], before: Before, weight: float, last: float) -> Array:
    heavy = np.zeros(len(xs), dtype=bool)
    for row, (x, t) in enumerate(zip(xs, before.times.tolist(), strict=True)):
        if x == x:  # noqa: PLR0124 - NaN
            lam, omega = decay_and_weight(t, before.time_constant, last, weight)
            last = t if t > last or not weight else last
            weight = lam * weight + omega
        heavy[row] = weight_at(t, before.time_constant, last, weight) >= before.least
    return heavy
