"""What changes a stream as a whole: reset, reconfigure, merge; each runs on a draft."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from streamnorm.engine.clock import begin_clock
from streamnorm.engine.state_layout import COUNT, GAP, HEADER_SIZE, TIME, UPDATED, layout_for
from streamnorm.errors import CannotMerge
from streamnorm.kernels import base_statistics
from streamnorm.kernels.methods import online

if TYPE_CHECKING:
    from array import array

    from streamnorm.engine.limits import Limits
    from streamnorm.engine.plan import Plan
    from streamnorm.engine.stream import Stream


def reset(draft: Stream, now: float) -> None:
    """Discard the statistics; the configuration and the numbering stay."""
    draft.layout = layout_for((), (), draft.plan.stride)
    draft.state = draft.state[:HEADER_SIZE]
    draft.state[COUNT] = draft.state[GAP] = 0.0
    begin_clock(draft.state, HEADER_SIZE, draft.plan)
    draft.touch(now)
    draft.answered = draft.before = None


def reconfigure(draft: Stream, plan: Plan, now: float) -> str | None:
    """Return a stream another configuration; where its statistics had to restart, tell why."""
    old, draft.plan = draft.plan, plan
    reason = _restart_reason(old, plan)
    if reason is not None:
        reset(draft, now)
        return reason
    where = draft.layout
    own = 0 if plan.kernel.method.base else plan.stride - base_statistics.SIZE - plan.timed
    moved = draft.state[:HEADER_SIZE]
    for start, end in zip(where.starts, where.ends, strict=True):
        moved.extend(draft.state[start : start + base_statistics.SIZE + own])
        if plan.timed:
            moved.append(draft.state[end - 1] if old.timed else draft.state[UPDATED])
    draft.layout = layout_for(where.names, where.shapes, plan.stride)
    draft.state = moved
    _bound_weights(draft)
    if plan.timed and not old.timed:
        begin_clock(moved, HEADER_SIZE, plan)
    draft.touch(now)
    draft.answered = draft.before = None
    return None


def _restart_reason(old: Plan, new: Plan) -> str | None:
    before, after = old.kernel.method, new.kernel.method
    if after.base:
        return None  # every stream keeps these statistics, whatever its method
    if before is not after:
        return f"the method {after.name} keeps other statistics than {before.name}"
    changed = sorted(name for name in after.restarts if getattr(old.config, name) != getattr(new.config, name))
    return f"another {' and '.join(changed)} needs other statistics" if changed else None


def merge(draft: Stream, other: Stream, now: float, limits: Limits) -> None:
    """Merge another stream's statistics in, as if its readings had been weighed together (Chan et al. 1979).

    Counts add up; the numbering stays. Features that only the other has are added.

    Raises:
        CannotMerge: another method, other parameters, another horizon or time constant, or a method that cannot merge.
        ShapeMismatch, LimitExceeded: as for a reading.

    """
    plan, method = draft.plan, draft.plan.kernel.method
    if other.plan.kernel.method is not method or other.plan.p != plan.p or other.plan.timed != plan.timed:
        detail = (
            f"a snapshot of method {other.plan.config.method!r} with its parameters does not merge into this stream's"
        )
        raise CannotMerge(detail)
    if other.plan.rule[:2] != plan.rule[:2]:
        reach = "time_constant" if plan.timed else "horizon"
        theirs, ours = getattr(other.plan.config, reach), getattr(plan.config, reach)
        raise CannotMerge(f"a snapshot of {reach} {theirs:g} does not merge into a stream of {reach} {ours:g}")
    if method.merge is None:
        message = f"the method {method.name!r} cannot merge: its statistics depend on the order of the readings"
        raise CannotMerge(message)
    other = other.draft()  # where a time constant is used, its weights fade
    their = other.layout
    missing = [not other.state[start + base_statistics.COUNT] for start in their.starts]
    draft.ensure_features(their.names, their.shapes, missing, limits)
    for name, at_other in zip(their.names, their.starts, strict=True):
        at = draft.layout.starts[draft.layout.index[name]]
        if plan.timed:
            _check_mergeable(plan, draft.state, at, other.state, at_other)
        base_statistics.merge(draft.state, at, other.state, at_other)
        online.merge(plan.p, draft.state, at, other.state, at_other)
        if not method.base:
            method.merge(plan.p, draft.state, at + base_statistics.SIZE, other.state, at_other + base_statistics.SIZE)
    _bound_weights(draft)
    if plan.timed:
        draft.state[TIME] = max(draft.state[TIME], other.state[TIME])
    draft.state[COUNT] += other.state[COUNT]
    draft.touch(now)
    draft.answered = draft.before = None


def _bound_weights(draft: Stream) -> None:
    """Leave no feature more weight than readings of its horizon could have: the newest then count as they should."""
    most = draft.plan.most_weight
    for at in draft.layout.starts:
        draft.state[at] = min(draft.state[at], most)


def _check_mergeable(plan: Plan, a: array[float], at_a: int, b: array[float], at_b: int) -> None:
    """Let the older statistics of a feature fade until the time of the younger ones, which becomes block a's."""
    end_a, end_b = at_a + plan.stride - 1, at_b + plan.stride - 1
    if not b[at_b + base_statistics.COUNT]:
        return
    fade = math.exp(-abs(a[end_a] - b[end_b]) / plan.rule[1])
    if not a[at_a + base_statistics.COUNT] or a[end_a] < b[end_b]:
        _fade(plan, fade, a, at_a)
        a[end_a] = b[end_b]
    else:
        _fade(plan, fade, b, at_b)


def _fade(plan: Plan, factor: float, state: array[float], at: int) -> None:
    state[at] *= factor
    fade = plan.kernel.method.fade
    if fade is not None:
        fade(factor, plan.p, state, at + base_statistics.SIZE)
