"""The layout of a stream whose features differ in their plans, or whose values are prepared.

A stream's buffer stays one: after its head come the features, those of one plan side by side, so that a group of them
is taken in by the same loops as a stream that has no other; then the memories of the features that are prepared. Where
a feature lies follows from the names and the plan alone, so that a blob need not tell; a new feature may move others.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from streamnorm.engine.configuration.preparation import MEMORY_SIZE, Preparation
from streamnorm.engine.state.layout import HEADER_SIZE, Layout, Shape, layout_for
from streamnorm.kernels.cpu.loops import row_call

if TYPE_CHECKING:
    from streamnorm.engine.configuration.plan import Part, Plan


class Source(NamedTuple):
    """A feature as readings name it."""

    name: str
    shape: Shape
    preparation: Preparation | None
    #: where its memory begins, −1 where it needs none
    memory: int
    #: the places of the features that it becomes
    places: tuple[int, ...]


class MixedLayout:
    """The features of a stream, each with its plan; immutable. What it shares with `Layout` has the same names."""

    mixed = True
    #: no reading of it can be taken in as it comes
    plain = False

    def __init__(self, names: tuple[str, ...], shapes: tuple[Shape, ...], parts: Sequence[Part]) -> None:
        self.sources = names
        self.source_shapes = shapes
        inner: list[tuple[str, Shape, Plan]] = []
        places = []
        for name, shape, part in zip(names, shapes, parts, strict=True):
            made = (name,) if part.preparation is None else part.preparation.names(name)
            places.append(tuple(range(len(inner), len(inner) + len(made))))
            inner += [(one, shape, part.plan) for one in made]
        self.names = tuple(name for name, _, _ in inner)
        self.shapes = tuple(shape for _, shape, _ in inner)
        self.plans = tuple(plan for _, _, plan in inner)
        self.index = {name: place for place, name in enumerate(self.names)}
        at, order, groups, starts = HEADER_SIZE, [], [], {}
        for members in self._places():
            plan = self.plans[members[0]]
            groups.append((plan, len(members), at))
            for place in members:
                starts[place] = at
                at += plan.stride
            order += members
        #: features of one plan, with what its loop for a reading takes
        self._loops = [(one.kernel, size, 8 * first, one.row.address) for one, size, first in groups]
        self.starts = tuple(starts[place] for place in range(len(inner)))
        self.ends = tuple(start + plan.stride for start, plan in zip(self.starts, self.plans, strict=True))
        self.plan_at = dict(zip(self.starts, self.plans, strict=True))
        self.by_source: dict[str, Source] = {}
        for name, shape, part, own in zip(names, shapes, parts, places, strict=True):
            self.by_source[name] = Source(name, shape, part.preparation, at if part.preparation else -1, own)
            at += MEMORY_SIZE if part.preparation else 0
        self.source_index = {name: place for place, name in enumerate(names)}
        #: the floats of a stream's whole state
        self.size = at
        self.transformed = frozenset(
            name
            for part, own in zip(parts, places, strict=True)
            if part.preparation is not None and part.preparation.transform is not None
            for name in (self.names[place] for place in own)
        )
        self.prepares = any(part.preparation for part in parts)
        self.finishes = any(plan.finishes for plan in self.plans)
        self.tabular = not any(shapes) and self.names == names
        #: whether numbers are taken in as they come, and answered as the loops answer
        self.direct = self.tabular and not self.prepares and not self.finishes
        #: numbers of a reading in the order of the groups, and back
        self._gather = _picker(order)
        self._scatter = _picker(sorted(range(len(order)), key=order.__getitem__))

    def source_of(self, name: str) -> str:
        """Return the source of a feature."""
        return name if name in self.by_source else name.rpartition(".")[0]

    def places(self, source: str) -> tuple[int, ...]:
        """Return the places of the features that a source becomes."""
        return self.by_source[source].places

    def memory(self, source: str) -> int | None:
        """Return where the memory of a feature that is prepared begins; None of others."""
        at = self.by_source[source].memory
        return at if at >= 0 else None

    def observe(self, values: Sequence[Any], t: float, state: array[float]) -> tuple[array[float], bool] | None:
        """Take in a reading of all features, in their order, by compiled loops; None where they are not compiled.

        `values` are numbers, as prepared, of the time `t` (s since 1970); `state` changes. Returns each raw z-score,
        and whether all features are ready.
        """
        for loop in self._loops:
            if loop[0].fast is None:
                return None
        row = array("d", self._gather(values))
        at, to = row.buffer_info()[0], state.buffer_info()[0]
        ready = True
        for kernel, size, first, constants in self._loops:
            ready &= kernel.fast.row(row_call(at, size, t, to + first, constants))  # type: ignore[union-attr]
            at += 8 * size
        return array("d", self._scatter(row)), ready

    def _places(self) -> list[list[int]]:
        """Return the places of each plan's features, in the order of their first ones."""
        found: dict[str, list[int]] = {}
        for place, plan in enumerate(self.plans):
            found.setdefault(plan.key, []).append(place)
        return [*found.values()]


AnyLayout: TypeAlias = "Layout | MixedLayout"


def _picker(places: Sequence[int]) -> Any:
    """Return what takes the items at some places out of a sequence, as a tuple."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda items: tuple(items[place] for place in places)


def layout_of(plan: Plan, names: tuple[str, ...], shapes: tuple[Shape, ...]) -> AnyLayout:
    """Return the layout of a stream with this plan, of features whose `names` and `shapes` are those of readings.

    Raises:
        InvalidConfiguration: layers that speak of a feature do not go together.

    """
    if not plan.mixed:
        return layout_for(names, shapes, plan.stride)
    parts = tuple(plan.of(name) for name in names)
    if all(part.plan.key == plan.common.plan.key and part.preparation is None for part in parts):
        return layout_for(names, shapes, plan.stride)
    return mixed_layout_for(names, shapes, parts)


@functools.lru_cache(maxsize=4096)
def mixed_layout_for(names: tuple[str, ...], shapes: tuple[Shape, ...], parts: tuple[Part, ...]) -> MixedLayout:
    """Return the mixed layout of features of these `names`, `shapes` and plans (`parts`); it is shared."""
    return MixedLayout(names, shapes, parts)


def moved(state: array[float], old: AnyLayout, new: AnyLayout) -> array[float]:
    """Return a state of the layout `old` in the order of `new`, which has all of its features, and maybe more."""
    made = state[:HEADER_SIZE] + array("d", bytes(8 * (new.size - HEADER_SIZE)))
    for name, start, end in zip(old.names, old.starts, old.ends, strict=True):
        at = new.starts[new.index[name]]
        made[at : at + end - start] = state[start:end]
    for name in old.sources:
        was, now = old.memory(name), new.memory(name)
        if was is not None and now is not None:
            made[now : now + MEMORY_SIZE] = state[was : was + MEMORY_SIZE]
    return made


def plan_at(plan: Plan, layout: AnyLayout, start: int) -> Plan:
    """Return the plan of the feature whose state begins at `start`, in a stream with this plan and layout."""
    return layout.plan_at[start] if isinstance(layout, MixedLayout) else plan


def lasts(plan: Plan, layout: AnyLayout, state: array[float]) -> list[float]:
    """Return the times (s since 1970) of the latest readings of features that keep one in `state`.

    `plan` and `layout` are the stream's.
    """
    pairs = zip(layout.starts, layout.ends, strict=True)
    return [state[end - 1] for start, end in pairs if plan_at(plan, layout, start).timed]
