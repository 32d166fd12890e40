"""Packed streams: those that have not changed for some time, kept in memory in half as many bytes.

Rules:

1. Only what the profile is made of, and no answer, is rounded to float32: higher moments, successive readings, levels.
   Where they may decide how a reading is answered (`robust`), or lie out of float32's range, nothing is.
2. All else is kept to the bit: what all features have in common once, readings of at most three decimals as integers.
3. What does not fit this (features that differ, a block that may be retried, few streams alike) is kept as it is.
4. Packed streams lie in slots of chunks, which are pages of their own, not each in memory of its own: where larger
   ones were freed one by one, the allocator would find a place for each, and leave a third of it unused.
5. Of an id only its digest is kept beside its stream's slot, and who was changed longest ago is told by the slots.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streamnorm.engine.state.layout import GAP, HEADER_SIZE, LATE, LATE_TIME, OFFSET, SKEW, UPDATED, Layout
from streamnorm.engine.streams.stream import EMPTY, Stream
from streamnorm.kernels import base_statistics as base
from streamnorm.kernels.array_types import Array
from streamnorm.platforms import new_pages
from streamnorm.stores.local.digest_index import DIGEST_SIZE, DigestIndex, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamnorm.engine.configuration.plan import Plan

#: Streams alike that are worth a chunk, and how many it has room for: so many lie on pages of their own.
FEWEST, SLOTS = 32, 256
#: of the header: what is as in a new stream while the device's clock is right and no number is left out; the rest
CALM = [GAP, OFFSET, LATE, LATE_TIME, SKEW]
HEAD = [place for place in range(HEADER_SIZE) if place not in {*CALM, UPDATED}]
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
    began, that `COMMON` is alike, and that `ROUNDED` is; `raw` and `run` are the types in which `RAW` and `RUN` are.
    """

    plan: Plan
    layout: Layout
    answered: int
    calm: bool
    common: bool
    rounded: bool
    raw: str
    run: str


class Form:
    """How streams of one structure are packed, and which slots are for them.

    A packed stream is float32s, raw values, runs, and float64s, of which the last one says when it was changed; their
    places in a stream's state are in this order.
    """

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        #: of `PackedStreams`: the numbers of its chunks, and those of their slots that are free
        self.chunks: list[int] = []
        self.free = array("L")
        _, layout, answered, calm, common, rounded, raw, run = structure
        places = np.arange(HEADER_SIZE, layout.size).reshape(len(layout.names), layout.stride)
        once, less = COMMON if common else [], ROUNDED if rounded else []
        whole = [place for place in range(layout.stride) if place not in {*once, *less, *RAW, base.RUN}]
        rounded_places, self.raw, self.run = places[:, less].ravel(), places[:, RAW].ravel(), places[:, base.RUN]
        head = HEAD if calm else [*HEAD, *CALM]
        self.double = np.concatenate((head, places[:1, once].ravel(), places[:, whole].ravel(), [UPDATED]))
        self._features = len(layout.names), layout.stride
        kept = np.concatenate((rounded_places, self.raw, self.run, self.double))
        self.dtype = np.dtype(
            [
                ("rounded", "f4", (len(rounded_places),)),
                ("raw", raw, (len(self.raw),)),
                ("run", run, (len(self.run),)),
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

    def pack(self, state: Array, answered: Array) -> Array:
        """Pack streams, of which `state` and `answered` have a row each, into a row of `dtype` each."""
        rows = np.empty(len(state), self.dtype)
        if self.structure.rounded:
            rows["rounded"] = _to_round(state[:, HEADER_SIZE:].reshape(-1, *self._features)).reshape(len(state), -1)
        raw = state[:, self.raw]
        rows["raw"] = np.rint(raw * SCALE) if self.structure.raw == "i4" else raw
        rows["run"] = state[:, self.run]
        rows["double"], rows["answered"] = state[:, self.double], answered
        return rows

    def unpack(self, row: Sequence[Array]) -> Stream:
        """Return the stream that was packed into a row, of which these are the fields."""
        *pieces, answered = row
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


class Chunk:
    """Slots of one form, each a row, then the digest of its stream's id; a free one was changed at 0, as new pages."""

    __slots__ = ("_pages", "_row", "_size", "form", "rows", "updated")

    def __init__(self, form: Form) -> None:
        self.form = form
        self._row = form.dtype.itemsize
        self._size = self._row + DIGEST_SIZE
        self._pages = new_pages(SLOTS * self._size)
        self.rows: Array = np.ndarray(SLOTS, form.dtype, self._pages, strides=(self._size,))
        self.updated: Array = self.rows["double"][:, -1]

    def put(self, slot: int, row: bytes, digest: bytes) -> None:
        """Put a row of a form, and the digest of its stream's id, into a slot."""
        at = slot * self._size
        self._pages[at : at + self._size] = row + digest

    def digest(self, slot: int) -> bytes:
        """Return the digest of the id of the stream in a slot."""
        at = slot * self._size + self._row
        return self._pages[at : at + DIGEST_SIZE]


class PackedStreams:
    """Packed streams by id."""

    def __init__(self) -> None:
        #: those that do not fit a slot
        self._whole: dict[str, Stream] = {}
        #: a slot's number is that of its chunk, times `SLOTS`, and its own in there
        self._chunks: dict[int, Chunk] = {}
        self._forms: dict[Structure, Form] = {}
        self._index = DigestIndex()
        self._used = 0
        self._unused_chunks = array("L")

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._whole) + self._used

    def __contains__(self, stream_id: str) -> bool:
        """Return whether a stream is among them."""
        return stream_id in self._whole or self._slot(stream_id) is not None

    def add(self, streams: Mapping[str, Stream]) -> None:
        """Pack streams that are not among them, and which nobody else may change from now on."""
        groups: defaultdict[tuple[Plan, Layout, int], list[str]] = defaultdict(list)
        for stream_id, stream in streams.items():
            self._whole[stream_id] = stream
            if stream.before is None and type(stream.layout) is Layout and stream.layout.names:
                groups[stream.plan, stream.layout, len(stream.answered or ())].append(stream_id)
        for (plan, layout, _), ids in groups.items():
            if len(ids) >= FEWEST:
                self._pack(plan, layout, ids, [streams[stream_id] for stream_id in ids])

    def pop(self, stream_id: str) -> Stream | None:
        """Remove a stream and return it; None where there is none of this id."""
        stream = self._whole.pop(stream_id, None)
        if stream is None and (slot := self._slot(stream_id)) is not None:
            chunk = self._chunks[slot // SLOTS]
            stream = chunk.form.unpack(chunk.rows[slot % SLOTS].item())
            self._release(slot)
        return stream

    def discard(self, stream_id: str) -> None:
        """Remove the stream of this id, if it is among them."""
        if self._whole.pop(stream_id, None) is None and (slot := self._slot(stream_id)) is not None:
            self._release(slot)

    def discard_oldest(self, count: int) -> int:
        """Remove so many that were changed longest ago, or all if there are fewer; return how many were removed."""
        count = min(count, len(self))
        if not count:
            return 0
        whole, chunks = [*self._whole], [*self._chunks]
        slots = np.concatenate([[], *(chunk.updated for chunk in self._chunks.values())])
        slots[slots == 0.0] = math.inf
        times = np.concatenate((slots, [stream.state[UPDATED] for stream in self._whole.values()]))
        for place in np.argpartition(times, count - 1)[:count].tolist():
            if place < len(slots):
                self._release(chunks[place // SLOTS] * SLOTS + place % SLOTS)
            else:
                del self._whole[whole[place - len(slots)]]
        return count

    def _pack(self, plan: Plan, layout: Layout, ids: Sequence[str], streams: Sequence[Stream]) -> None:
        """Pack streams of this plan and layout and of one count of answered numbers, as far as they can be."""
        state = np.frombuffer(b"".join([stream.state for stream in streams])).reshape(len(streams), -1)
        answered = np.frombuffer(b"".join([stream.answered or b"" for stream in streams])).reshape(len(streams), -1)
        features = state[:, HEADER_SIZE:].reshape(len(streams), len(layout.names), -1)
        run = features[:, :, base.RUN]
        fit = np.all(run == run.astype("u4"), 1) & (state[:, UPDATED] != 0.0)
        short = np.all(run == run.astype("u1"), 1)
        calm = np.all(state[:, CALM] == AS_BEGUN, 1)
        common = np.all(features[:, :, COMMON] == features[:, :1, COMMON], (1, 2))
        rounded = np.full(len(streams), not plan.rule[3]) & _within_float32(features)
        raw = _raw_types(features[:, :, RAW])
        kinds = np.stack([calm, common, rounded, *raw, short]).T
        for kind in {tuple(flags) for flags in kinds[fit].tolist()}:
            chosen = np.flatnonzero(fit & (kinds == kind).all(1))
            is_calm, is_common, is_rounded, thousandths, singles, is_short = kind
            raw_type, run_type = "i4" if thousandths else "f4" if singles else "f8", "u1" if is_short else "u4"
            structure = Structure(plan, layout, answered.shape[1], is_calm, is_common, is_rounded, raw_type, run_type)
            names = [ids[place] for place in chosen.tolist()]
            self._store(structure, state[chosen], answered[chosen], names)

    def _store(self, structure: Structure, state: Array, answered: Array, ids: Sequence[str]) -> None:
        """Put streams of one structure, of which `state` and `answered` have a row each, into slots."""
        form = self._forms.get(structure)
        if form is None:
            form = self._forms[structure] = Form(structure)
        rows, size = form.pack(state, answered).tobytes(), form.dtype.itemsize
        while len(form.free) < len(ids):
            self._add_chunk(form)
        for at, stream_id in enumerate(ids):
            slot, digest = form.free.pop(), digest_of(stream_id)
            self._chunks[slot // SLOTS].put(slot % SLOTS, rows[at * size : (at + 1) * size], digest)
            self._index.add(digest, slot)
            del self._whole[stream_id]
        self._used += len(ids)

    def _add_chunk(self, form: Form) -> None:
        number = self._unused_chunks.pop() if self._unused_chunks else len(self._chunks)
        self._chunks[number] = Chunk(form)
        form.chunks.append(number)
        form.free.extend(range((number + 1) * SLOTS - 1, number * SLOTS - 1, -1))

    def _slot(self, stream_id: str) -> int | None:
        """Return the slot of the stream of this id, if there is one."""
        if not self._used:
            return None
        digest = digest_of(stream_id)
        for slot in self._index.places(digest):
            if self._chunks[slot // SLOTS].digest(slot % SLOTS) == digest:
                return slot
        return None

    def _release(self, slot: int) -> None:
        """Free a slot, and forget a form with its last one."""
        chunk, place = self._chunks[slot // SLOTS], slot % SLOTS
        form = chunk.form
        self._index.remove(chunk.digest(place), slot)
        self._used -= 1
        chunk.updated[place] = 0.0
        form.free.append(slot)
        if len(form.free) == len(form.chunks) * SLOTS:
            for number in form.chunks:
                del self._chunks[number]
            self._unused_chunks.extend(form.chunks)
            del self._forms[form.structure]


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
