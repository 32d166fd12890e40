"""Readings of a stream whose features differ in their plans, or whose values are prepared.

Values are prepared first; then each group of features of one plan is taken in as a stream of that plan would be.

Everywhere `plan` is the stream's, `where` its layout and `state` its buffer; `t` and `times` are seconds since 1970;
`values` and `ys` (raw z-scores) of a block are rows × features, in the order of `names`.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from streamnorm.engine.configuration.preparation import MEMORY_SIZE, angle, inverse, table
from streamnorm.engine.reading import Reading, Value
from streamnorm.engine.state.mixed_layout import MixedLayout
from streamnorm.engine.streams.postprocess import postprocess, postprocess_block
from streamnorm.engine.validation import escape_pointer
from streamnorm.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from streamnorm.engine.configuration.plan import Plan
    from streamnorm.engine.configuration.preparation import Preparation
    from streamnorm.engine.reading import Array
    from streamnorm.engine.state.mixed_layout import AnyLayout, Source


class Grouped(Protocol):
    """What is needed of a stream."""

    plan: Plan
    layout: AnyLayout
    state: array[float]


#: Values of a block whose columns are sorted by their plans at once: half of it, and its answers, stay in the caches.
PIECE = 1 << 17
_NO_MEMORY = array("d", bytes(8 * MEMORY_SIZE))


def prepare(plan: Plan, where: AnyLayout, state: array[float], reading: Reading, t: float) -> Reading:
    """Return a reading as it is normalized, and note in `state` what its features' transforms keep of it.

    A feature that is not in the layout is prepared as if it had never been read.
    """
    names: list[str] = []
    values: list[Value] = []
    by_source = where.by_source if isinstance(where, MixedLayout) else {}
    for name, value in zip(reading.names, reading.values, strict=True):
        source, preparation = by_source.get(name), _preparation(plan, by_source, name)
        if preparation is None:
            names.append(name)
            values.append(value)
            continue
        names += preparation.names(name)
        kept = (_NO_MEMORY[:], 0) if source is None else (state, source.memory)
        values += preparation.apply(value, t, *kept)
    return Reading(tuple(names), values, reading.listed, reading.timestamp, reading.seq, reading.plain)


def observe_reading(
    where: MixedLayout, reading: Reading, t: float, state: array[float]
) -> tuple[array[float], bool | None]:
    """Take in a reading as prepared; returns each raw z-score, then the scale of each channel, and `ready` if known."""
    if reading.plain and reading.names == where.names:
        row = where.observe(reading.values, t, state)
        if row is not None:
            return row
    ys: list[float] = []
    scales: list[float] = []
    for name, value in zip(reading.names, reading.values, strict=True):
        at = where.starts[where.index[name]]
        plan = where.plan_at[at]
        if isinstance(value, float):
            y, _ = plan.observe(value, 0.0, value, value, t, plan.rule, plan.p, state, at, at + plan.stride)
        else:
            _, x, v, low, high = value
            y, scale = plan.observe(x, v, low, high, t, plan.rule, plan.p, state, at, at + plan.stride)
            scales.append(scale)
        ys.append(y)
    return array("d", ys + scales), None


def finish(plan: Plan, where: AnyLayout, names: tuple[str, ...], ys: list[float | Array]) -> list[float | Array]:
    """Finish one reading's z-scores, those of each plan's features as it is configured."""
    if not isinstance(where, MixedLayout):
        return postprocess(plan, names, ys)
    if not where.finishes and all(name in where.index for name in names):
        return ys
    done = [*ys]
    for one, places in _by_plan(plan, where, names).values():
        some = postprocess(one, tuple(names[place] for place in places), [ys[place] for place in places])
        for place, y in zip(places, some, strict=True):
            done[place] = y
    return done


def finish_block(
    plan: Plan, where: AnyLayout, names: tuple[str, ...], ys: Array, kind: npt.DTypeLike = np.float64
) -> Array:
    """Finish a block's z-scores, those of each plan's features as it is configured, maybe in place.

    `kind` is the type of the answer, float64 or float32.
    """
    if not isinstance(where, MixedLayout):
        return postprocess_block(plan, names, ys, kind)
    for one, places in _by_plan(plan, where, names).values():
        if one.finishes:
            some = postprocess_block(one, tuple(names[place] for place in places), np.take(ys, places, axis=1))
            ys[:, places] = some
    return ys.astype(kind, copy=False)


def restore_raw(where: AnyLayout, xs: dict[str, float | Array]) -> list[Fault]:
    """Turn prepared values back into raw ones, in place; returns what cannot be turned back."""
    faults: list[Fault] = []
    for source in where.by_source.values() if isinstance(where, MixedLayout) else ():
        names = [where.names[place] for place in source.places]
        given = [name for name in names if name in xs]
        if source.preparation is None or source.preparation.transform is None or not given:
            continue
        pointer = f"/values/{escape_pointer(given[0])}"
        if source.preparation.transform == "rate":
            faults.append(Fault(pointer, "is a rate, which does not tell what its counter shows"))
        elif len(given) < len(names):
            faults.append(Fault(pointer, f"is half of an angle: {' and '.join(names)} are needed"))
        elif len(names) > 1:
            sine, cosine = (cast("float", xs.pop(name)) for name in names)
            xs[source.name] = angle(sine, cosine, source.preparation.period)
        else:
            xs[source.name] = inverse(source.preparation.transform, xs[source.name])
    return faults


def observe_columns(
    stream: Grouped,
    values: Array,
    times: Array,
    *,
    starts: Sequence[int],
    ends: Sequence[int],
    out: Array | None = None,
) -> Array:
    """Take a block in, the columns of each plan as a block of their own; returns its raw z-scores.

    The columns' features have their state from `starts` to `ends`; `out`, where given, is the array that is returned.
    The `stream`'s state changes.
    """
    plan, where, state = stream.plan, stream.layout, stream.state
    if not isinstance(where, MixedLayout):
        return plan.kernel.observe_block(values, times, plan.rule, plan.p, state, starts, ends, out)
    ys = np.empty_like(values, order="C") if out is None else out
    columns: dict[str, list[int]] = {}
    for column, start in enumerate(starts):
        columns.setdefault(where.plan_at[start].key, []).append(column)
    height = max(1, PIECE // values.shape[1])
    for some in columns.values():
        one = where.plan_at[starts[some[0]]]
        own = [starts[column] for column in some], [ends[column] for column in some]
        there = one.kernel.should_offload(len(values) * len(some), len(some))  # then a device has it at once
        high = len(values) if there else height
        given = np.empty((min(high, len(values)), len(some)), values.dtype)
        done = np.empty_like(given)
        for at in range(0, len(values), high):
            rows = slice(at, at + high)
            size = len(values[rows])
            np.take(values[rows], some, axis=1, out=given[:size], mode="clip")
            ys[rows, some] = one.kernel.observe_block(
                given[:size], times[rows], one.rule, one.p, state, *own, done[:size]
            )
    return ys


def prepare_table(
    stream: Grouped, names: tuple[str, ...], values: Array, times: Array, *, learn: bool = True
) -> tuple[tuple[str, ...], Array]:
    """Return a block as it is normalized, with the names of its columns; the `stream` changes only to `learn`."""
    plan, where = stream.plan, stream.layout
    if not plan.mixed:
        return names, values
    by_source = where.by_source if isinstance(where, MixedLayout) else {}
    if all(_preparation(plan, by_source, name) is None for name in names):
        return names, values
    made_names: list[str] = []
    made: list[Array] = []
    for column, name in zip(values.T, names, strict=True):
        source, preparation = by_source.get(name), _preparation(plan, by_source, name)
        if preparation is None:
            made_names.append(name)
            made.append(column)
            continue
        kept = (_NO_MEMORY[:], 0) if source is None else (stream.state, source.memory)
        made_names += preparation.names(name)
        made += [np.array(one) for one in table(preparation, column, times, *kept, learn=learn)]
    return tuple(made_names), np.column_stack(made)


def _preparation(plan: Plan, by_source: Mapping[str, Source], name: str) -> Preparation | None:
    """Return how a feature is prepared, be it in the layout or not."""
    source = by_source.get(name)
    return plan.of(name).preparation if source is None else source.preparation


def _by_plan(plan: Plan, where: MixedLayout, names: tuple[str, ...]) -> dict[str, tuple[Plan, list[int]]]:
    """Return the places in `names` of each plan's features; those that are not in the layout have the common one."""
    found: dict[str, tuple[Plan, list[int]]] = {}
    for place, name in enumerate(names):
        at = where.index.get(name)
        one = plan.common.plan if at is None else where.plans[at]
        found.setdefault(one.key, (one, []))[1].append(place)
    return found
