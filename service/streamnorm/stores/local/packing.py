"""Packed streams: those that have not changed for some time, kept in memory in half as many bytes.

Rules:

1. Only what the profile is made of, and no answer, is rounded to float32: higher moments, successive readings, levels.
   Where they may decide how a reading is answered (`robust`), or lie out of float32's range, nothing is.
2. All else is kept to the bit: what all features have in common once, readings of at most three decimals as integers.
3. What does not fit this (features that differ, a block that may be retried, few streams alike) is kept as it is.
4. Packed streams lie in slots of chunks, not each in memory of its own: where larger ones were freed one by one,
   the allocator would find a place for each, and leave a third of it unused.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from streamnorm.engine.state.layout import GAP, HEADER_SIZE, LATE, LATE_TIME, OFFSET, SKEW, Layout
from streamnorm.engine.streams.stream import EMPTY, Stream
from streamnorm.kernels import base_statistics as base
from streamnorm.kernels.array_types import Array

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from streamnorm.engine.configuration.plan import Plan

#: the slot of a stream that is packed, the number of its form above; or the stream
Packed: TypeAlias = int | Stream

#: Streams alike that are worth a chunk, and how many it has room for.
FEWEST, SLOTS = 32, 64
#: bits of a slot
_SLOT_BITS = 32
_SLOT = (1 << _SLOT_BITS) - 1
#: of the header: what is as in a new stream while the device's clock is right and no number is left out; the rest
CALM = [GAP, OFFSET, LATE, LATE_TIME, SKEW]
HEAD = [place for place in range(HEADER_SIZE) if place not in CALM]
AS_BEGUN = np.array([EMPTY[place] for place in CALM])
#: of a feature: what is the same for all features that always come together
COMMON = [base.WEIGHT, base.COUNT, base.MISSING, base.AGE]
RAW = [base.LAST, base.LOWEST, base.HIGHEST, base.RECENT_LOWEST, base.RECENT_HIGHEST]
ROUNDED = [base.THIRD, base.FOURTH, base.SUCCESSIVE, base.STILL, base.FALLS, base.LEVEL, base.MOVED]
#: stands for `base.STARTED`, which is no float32, and is less than any that is
BEGAN = -1.0
#: of float32, relative
PRECISION = 2.0**-24
#: Raw values are counted in thousandths.
SCALE = 1000.0


class Structure(NamedTuple):
    """What packed streams of one form have in common.

    `answered` counts the numbers that answer a retry. `calm`, `common` and `rounded` say that the header is as it
    began, that `COMMON` is alike, and that `ROUNDED` is; `raw` is the type in which `RAW` is kept.
    """

    plan: Plan
    layout: Layout
    answered: int
    calm: bool
    common: bool
    rounded: bool
    raw: str


class Form:
    """How streams of one structure are packed, and those that are.

    A packed stream is float32s, raw values, runs, and float64s; their places in a stream's state are in this order.
    """

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self._chunks: list[Array] = []
        self._free = array("L")
        _, layout, answered, calm, common, rounded, raw = structure
        places = np.arange(HEADER_SIZE, layout.size).reshape(len(layout.names), layout.stride)
        once, less = COMMON if common else [], ROUNDED if rounded else []
        whole = [place for place in range(layout.stride) if place not in {*once, *less, *RAW, base.RUN}]
        rounded_places, self.raw, self.run = places[:, less].ravel(), places[:, RAW].ravel(), places[:, base.RUN]
        head = HEAD if calm else [*range(HEADER_SIZE)]
        self.double = np.concatenate((head, places[:1, once].ravel(), places[:, whole].ravel()))
        self._features = len(layout.names), layout.stride
        kept = np.concatenate((rounded_places, self.raw, self.run, self.double))
        self.dtype = np.dtype(
            [
                ("rounded", "f4", (len(rounded_places),)),
                ("raw", raw, (len(self.raw),)),
                ("run", "u4", (len(self.run),)),
                ("double", "f8", (len(self.double),)),
                ("answered", "f8", (answered,)),
            ]
        )
        #: where each number of a state is among those that are unpacked, `AS_BEGUN` at their end
        self.origin = np.zeros(layout.size, np.intp)
        self.origin[kept] = np.arange(len(kept))
        if calm:
            self.origin[CALM] = len(kept) + np.arange(len(CALM))
        if common:
            self.origin[places[:, COMMON]] = self.origin[places[:1, COMMON]]
        first = len(rounded_places)
        self._raw = slice(first, first + len(self.raw)) if raw == "i4" else slice(0)

    def pack(self, state: Array, answered: Array) -> list[int]:
        """Pack streams, of which `state` and `answered` have a row each, and return their slots."""
        rows = np.empty(len(state), self.dtype)
        if self.structure.rounded:
            rows["rounded"] = _to_round(state[:, HEADER_SIZE:].reshape(-1, *self._features)).reshape(len(state), -1)
        raw = state[:, self.raw]
        rows["raw"] = np.rint(raw * SCALE) if self.structure.raw == "i4" else raw
        rows["run"] = state[:, self.run]
        rows["double"], rows["answered"] = state[:, self.double], answered
        while len(self._free) < len(rows):
            self._free.extend(range(len(self._chunks) * SLOTS, (len(self._chunks) + 1) * SLOTS))
            self._chunks.append(np.empty(SLOTS, self.dtype))
        slots = self._free[-len(rows) :].tolist()
        del self._free[-len(rows) :]
        for slot, row in zip(slots, rows, strict=True):
            self._chunks[slot // SLOTS][slot % SLOTS] = row
        return slots

    def free(self, slot: int) -> bool:
        """Let a slot be used again; return whether it was the last one in use."""
        self._free.append(slot)
        return len(self._free) == len(self._chunks) * SLOTS

    def unpack(self, slot: int) -> Stream:
        """Return the stream that was packed into a slot."""
        *pieces, answered = self._chunks[slot // SLOTS][slot % SLOTS].item()
        kept = np.concatenate((*pieces, AS_BEGUN))
        kept[self._raw] /= SCALE
        state = kept[self.origin]
        if self.structure.rounded:
            features = state[HEADER_SIZE:].reshape(self._features)
            features[:, base.LEVEL] = features[:, base.MEAN] - features[:, base.LEVEL]
            features[:, base.MOVED][features[:, base.MOVED] == BEGAN] = base.STARTED
        stream = Stream.__new__(Stream)
        stream.plan, stream.layout, stream.before = self.structure.plan, self.structure.layout, None
        stream.state = _exact(state)
        stream.answered = _exact(answered) if self.structure.answered else None
        return stream


def _exact(numbers: Array) -> array[float]:
    """Return numbers as an array with nothing in reserve."""
    return array("d", numbers.tobytes())[:]


class PackedStreams:
    """Packed streams by id, in the order in which they were packed."""

    def __init__(self) -> None:
        self._packed: dict[str, Packed] = {}
        self._forms: dict[int, Form] = {}
        self._numbers: dict[Structure, int] = {}
        self._next = 0

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._packed)

    def __contains__(self, stream_id: object) -> bool:
        """Return whether a stream is among them."""
        return stream_id in self._packed

    def add(self, streams: Mapping[str, Stream]) -> None:
        """Pack streams, which nobody else may change from now on."""
        groups: defaultdict[tuple[Plan, Layout, int], list[str]] = defaultdict(list)
        for stream_id, stream in streams.items():
            self._packed[stream_id] = stream
            if stream.before is None and type(stream.layout) is Layout and stream.layout.names:
                groups[stream.plan, stream.layout, len(stream.answered or ())].append(stream_id)
        for (plan, layout, _), ids in groups.items():
            if len(ids) >= FEWEST:
                self._pack(plan, layout, ids, [streams[stream_id] for stream_id in ids])

    def pop(self, stream_id: str) -> Stream | None:
        """Remove a stream and return it; None where there is none of this id."""
        packed = self._packed.pop(stream_id, None)
        if packed is None or isinstance(packed, Stream):
            return packed
        stream = self._forms[packed >> _SLOT_BITS].unpack(packed & _SLOT)
        self._release(packed)
        return stream

    def discard(self, stream_ids: Iterable[str]) -> None:
        """Remove the streams of these ids that are among them."""
        for stream_id in stream_ids:
            packed = self._packed.pop(stream_id, None)
            if isinstance(packed, int):
                self._release(packed)

    def oldest(self, count: int) -> list[str]:
        """Return the ids of so many that were packed first, or of all if there are fewer."""
        return list(islice(self._packed, count))

    def _pack(self, plan: Plan, layout: Layout, ids: Sequence[str], streams: Sequence[Stream]) -> None:
        """Pack streams of this plan and layout and of one count of answered numbers, as far as they can be."""
        state = np.frombuffer(b"".join([stream.state for stream in streams])).reshape(len(streams), -1)
        answered = np.frombuffer(b"".join([stream.answered or b"" for stream in streams])).reshape(len(streams), -1)
        features = state[:, HEADER_SIZE:].reshape(len(streams), len(layout.names), -1)
        run = features[:, :, base.RUN]
        fit = np.all(run == run.astype("u4"), 1)
        calm = np.all(state[:, CALM] == AS_BEGUN, 1)
        common = np.all(features[:, :, COMMON] == features[:, :1, COMMON], (1, 2))
        rounded = np.full(len(streams), not plan.rule[3]) & _within_float32(features)
        raw = _raw_types(features[:, :, RAW])
        kinds = np.stack([calm, common, rounded, *raw]).T
        for kind in {tuple(flags) for flags in kinds[fit].tolist()}:
            chosen = np.flatnonzero(fit & (kinds == kind).all(1))
            is_calm, is_common, is_rounded, thousandths, singles = kind
            type_ = "i4" if thousandths else "f4" if singles else "f8"
            number = self._number(Structure(plan, layout, answered.shape[1], is_calm, is_common, is_rounded, type_))
            slots = self._forms[number].pack(state[chosen], answered[chosen])
            packed = [number << _SLOT_BITS | slot for slot in slots]
            self._packed.update(zip([ids[place] for place in chosen.tolist()], packed, strict=True))

    def _number(self, structure: Structure) -> int:
        number = self._numbers.get(structure)
        if number is None:
            number, self._next = self._next, self._next + 1
            self._numbers[structure], self._forms[number] = number, Form(structure)
        return number

    def _release(self, packed: int) -> None:
        """Free the slot of a stream, and forget a form with its last one."""
        form = self._forms[packed >> _SLOT_BITS]
        if form.free(packed & _SLOT):
            del self._forms[packed >> _SLOT_BITS], self._numbers[form.structure]


def _to_round(features: Array) -> Array:
    """Return what is rounded of features' states: the level as what it lies below the mean, which is what counts."""
    exact: Array = features[:, :, ROUNDED]
    level, moved = exact[:, :, ROUNDED.index(base.LEVEL)], exact[:, :, ROUNDED.index(base.MOVED)]
    level[:] = features[:, :, base.MEAN] - level
    moved[moved == base.STARTED] = BEGAN
    return exact


def _within_float32(features: Array) -> Array:
    """Return of each stream whether what is rounded lies in float32's range."""
    exact = _to_round(features)
    with np.errstate(over="ignore", invalid="ignore"):
        within: Array = np.all(np.abs(exact.astype("f4") - exact) <= PRECISION * np.abs(exact), (1, 2))
    return within


def _raw_types(raw: Array) -> tuple[Array, Array]:
    """Return of each stream whether its raw values are whole thousandths, as an int32 has, and whether float32s."""
    with np.errstate(over="ignore", invalid="ignore"):
        thousandths = np.rint(raw * SCALE).astype("i4") / SCALE
        singles = raw.astype("f4").astype("f8")
    bits = raw.view("i8")
    return np.all(thousandths.view("i8") == bits, (1, 2)), np.all(singles.view("i8") == bits, (1, 2))
