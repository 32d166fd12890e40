"""What changes a stream as a whole: reset, reconfigure, merge; each runs on a `draft`, at `now` (s since 1970)."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

from streamnorm.engine.configuration.preparation import MEMORY_SIZE, alike, merge_memories
from streamnorm.engine.state.layout import COUNT, GAP, HEADER_SIZE, TIME, UPDATED
from streamnorm.engine.state.mixed_layout import lasts, layout_of
from streamnorm.engine.streams.clock import begin_clock
from streamnorm.errors import CannotMerge
from streamnorm.kernels import base_statistics
from streamnorm.kernels.methods import online

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamnorm.engine.configuration.plan import Part, Plan
    from streamnorm.engine.limits import Limits
    from streamnorm.engine.streams.stream import Stream


def reset(draft: Stream, now: float) -> None:
    """Discard the statistics; the configuration and the numbering stay."""
    draft.layout = layout_of(draft.plan, (), ())
    draft.state = draft.state[:HEADER_SIZE]
    draft.state[COUNT] = draft.state[GAP] = 0.0
    begin_clock(draft.state, ())
    draft.touch(now)
    draft.answered = draft.before = None


def reconfigure(draft: Stream, plan: Plan, now: float) -> str | None:
    """Give a stream another configuration, the `plan`; return which statistics had to restart and why, if any had.

    Those of other features go on. The stream begins anew where those of all features had to restart.

    Raises:
        InvalidConfiguration: the layers that speak of a feature do not go together.

    """
    then = draft.draft()
    new = layout_of(plan, then.layout.sources, then.layout.source_shapes)
    reasons = {}
    for name in then.layout.sources:
        if reason := _restart_reason(then.plan.of(name), plan.of(name)):
            reasons[name] = reason
    draft.plan = plan
    if reasons and len(reasons) == len(then.layout.sources):
        reset(draft, now)
        return _told(reasons, whole=True)
    draft.layout = new
    draft.state = then.state[:HEADER_SIZE] + array("d", bytes(8 * (new.size - HEADER_SIZE)))
    for name in then.layout.sources:
        if name not in reasons:
            _take_over(draft, then, name)
    _bound_weights(draft)
    if plan.clocked and not then.plan.clocked:
        begin_clock(draft.state, lasts(plan, new, draft.state))
    draft.touch(now)
    draft.answered = draft.before = None
    return _told(reasons, whole=False) if reasons else None


def _take_over(draft: Stream, then: Stream, source: str) -> None:
    """Copy the statistics of one feature, as readings name it, from how the stream was."""
    before, (plan, preparation, _) = then.plan.of(source), draft.plan.of(source)
    own = 0 if plan.kernel.method.base else plan.stride - base_statistics.SIZE - plan.timed
    size = base_statistics.SIZE + own
    old, new = then.layout, draft.layout
    for name in (source,) if preparation is None else preparation.names(source):
        start, end, at = old.starts[old.index[name]], old.ends[old.index[name]], new.starts[new.index[name]]
        draft.state[at : at + size] = then.state[start : start + size]
        if plan.timed:
            draft.state[at + size] = then.state[end - 1] if before.plan.timed else then.state[UPDATED]
    was, now = old.memory(source), new.memory(source)
    if was is not None and now is not None:
        draft.state[now : now + MEMORY_SIZE] = then.state[was : was + MEMORY_SIZE]


def _told(reasons: Mapping[str, str], *, whole: bool) -> str:
    """Tell why statistics restarted, and of which features unless it was all of them."""
    several = sorted(set(reasons.values()))
    if whole and len(several) == 1:
        return several[0]
    return "; ".join(
        f"{', '.join(name for name in reasons if reasons[name] == reason)}: {reason}" for reason in several
    )


def _restart_reason(old: Part, new: Part) -> str | None:
    if not alike(old.preparation, new.preparation):
        return "another transform makes other values"
    before, after = old.plan.kernel.method, new.plan.kernel.method
    if after.base:
        return None  # every stream keeps these statistics, whatever its method
    if before is not after:
        return f"the method {after.name} keeps other statistics than {before.name}"
    was, now = old.plan.config, new.plan.config
    changed = sorted(name for name in after.restarts if getattr(was, name) != getattr(now, name))
    return f"another {' and '.join(changed)} needs other statistics" if changed else None


def merge(draft: Stream, other: Stream, now: float, limits: Limits) -> None:
    """Merge another stream's statistics in, as if its readings had been weighed together (Chan et al. 1979).

    Counts add up; the numbering stays. Features that only the other has are added, as far as `limits` allow.

    Raises:
        CannotMerge: another method, other parameters, another horizon or time constant, another transform, or a method
            that cannot merge.
        ShapeMismatch, LimitExceeded: as for a reading.

    """
    their = other.layout
    if draft.plan.mixed or other.plan.mixed:
        for name in their.sources:
            _check_alike(draft.plan.of(name), other.plan.of(name), f" ({name})")
    else:
        _check_alike(draft.plan.common, other.plan.common)
    other = other.draft()  # where a time constant is used, its weights fade
    begins = [their.starts[their.places(name)[0]] for name in their.sources]
    missing = [not other.state[start + base_statistics.COUNT] for start in begins]
    draft.ensure_features(their.sources, their.source_shapes, missing, limits)
    for name, at_other in zip(their.names, their.starts, strict=True):
        at = draft.layout.starts[draft.layout.index[name]]
        plan = draft.plan_at(at)
        if plan.timed:
            _check_mergeable(plan, draft.state, at, other.state, at_other)
        base_statistics.merge(draft.state, at, other.state, at_other)
        online.merge(plan.p, draft.state, at, other.state, at_other)
        method = plan.kernel.method
        if not method.base and method.merge is not None:
            method.merge(plan.p, draft.state, at + base_statistics.SIZE, other.state, at_other + base_statistics.SIZE)
    for name in their.sources:
        ours, theirs = draft.layout.memory(name), their.memory(name)
        if ours is not None and theirs is not None:
            merge_memories(draft.state, ours, other.state, theirs)
    _bound_weights(draft)
    if draft.plan.clocked:
        draft.state[TIME] = max(draft.state[TIME], other.state[TIME])
    draft.state[COUNT] += other.state[COUNT]
    draft.touch(now)
    draft.answered = draft.before = None


def _check_alike(ours: Part, theirs: Part, where: str = "") -> None:
    """Refuse to merge statistics that were kept in another way; `where` tells of which feature."""
    plan, other = ours.plan, theirs.plan
    method = plan.kernel.method
    if other.kernel.method is not method or other.p != plan.p or other.timed != plan.timed:
        detail = f"a snapshot of method {other.config.method!r} with its parameters does not merge into this stream's"
        raise CannotMerge(detail + where)
    if other.rule[:2] != plan.rule[:2]:
        reach = "time_constant" if plan.timed else "horizon"
        was, now = getattr(other.config, reach), getattr(plan.config, reach)
        raise CannotMerge(f"a snapshot of {reach} {was:g} does not merge into a stream of {reach} {now:g}{where}")
    if method.merge is None:
        message = f"the method {method.name!r} cannot merge: its statistics depend on the order of the readings"
        raise CannotMerge(message + where)
    if not alike(ours.preparation, theirs.preparation):
        raise CannotMerge(f"a snapshot with another transform does not merge into this stream's{where}")


def _bound_weights(draft: Stream) -> None:
    """Leave no feature more weight than readings of its horizon could have: the newest then count as they should."""
    for at in draft.layout.starts:
        draft.state[at] = min(draft.state[at], draft.plan_at(at).most_weight)


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
