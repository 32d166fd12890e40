"""Packed streams take half the memory, answer as if they had not been packed, and their profiles to seven digits."""

from __future__ import annotations

import asyncio
import math
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import of_configuration, plan
from streamnorm.engine.configuration.rules import Rules, parse_rule
from streamnorm.engine.ports.blob_store import BlobStore
from streamnorm.engine.reading import Answer
from streamnorm.engine.state.layout import HEADER_SIZE
from streamnorm.engine.streams.rulebook import Rulebook
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StreamNotFound
from streamnorm.kernels import base_statistics as base
from streamnorm.stores.codec import encode
from streamnorm.stores.local import packing, resident_set
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.packing import FEWEST, ROUNDED, SLOTS, PackedStreams
from streamnorm.stores.local.sqlite import SQLiteStore
from streamnorm.stores.local.write_behind import WriteBehindStreams
from tests.support.engine import new, observe

PLAN = plan(configuration({}, {}))
NAMES = [f"f{n}" for n in range(8)]
RNG = np.random.default_rng(0)


def told(
    readings: int = 300, *, digits: int = 17, numbered: bool = False, leave_out: bool = False, **config: Any
) -> Stream:
    """Build a stream that has observed noise, some of it again and again."""
    stream = new(**{"horizon": 50, **config})
    for n, row in enumerate(RNG.normal(20.0, 3.0, (readings, len(NAMES))).round(digits).tolist()):
        row[n % 3] = 1.0
        row[7] = math.nan if leave_out and n % 5 == 0 else row[7]
        observe(stream, dict(zip(NAMES, row, strict=True)), seq=n if numbered else None)
    return stream


def packed_and_unpacked(stream: Stream) -> Stream:
    """Pack a stream among others that are alike, and unpack it."""
    packed = PackedStreams()
    packed.add({str(n): stream.draft() for n in range(FEWEST)})
    found = packed.pop("1")
    assert found is not None
    return found


def numbers(stream: Stream) -> np.ndarray[Any, Any]:
    """Return the state of every feature, a row each."""
    return np.frombuffer(stream.state)[HEADER_SIZE:].reshape(len(stream.layout.names), -1)


@pytest.mark.parametrize("digits", [1, 3, 17])
@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("leave_out", [True, False])
@pytest.mark.parametrize("config", [{}, {"time_constant": 60.0, "horizon": None}, {"method": "adaptive"}])
def test_all_but_what_the_profile_rounds_is_kept_to_the_bit(
    *, digits: int, numbered: bool, leave_out: bool, config: dict[str, Any]
) -> None:
    stream = told(digits=digits, numbered=numbered, leave_out=leave_out, **config)
    found = packed_and_unpacked(stream)
    exact = [place for place in range(stream.plan.stride) if place not in ROUNDED]
    assert found.state[:HEADER_SIZE] == stream.state[:HEADER_SIZE]
    assert numbers(found)[:, exact].tobytes() == numbers(stream)[:, exact].tobytes()
    assert (found.answered, found.plan, found.layout) == (stream.answered, stream.plan, stream.layout)
    rounded = [place for place in ROUNDED if place != base.LEVEL]
    np.testing.assert_allclose(numbers(found)[:, rounded], numbers(stream)[:, rounded], rtol=2.0**-24, atol=0.0)
    assert numbers(found)[:, rounded].tolist() != numbers(stream)[:, rounded].tolist()
    moved, expected = (numbers(one)[:, base.MEAN] - numbers(one)[:, base.LEVEL] for one in (found, stream))
    np.testing.assert_allclose(moved, expected, rtol=2.0**-23, atol=1e-14)


@pytest.mark.parametrize("method", ["online", "cumulative", "adaptive", "batch", "batch-renorm", "streaming"])
def test_answers_are_those_of_a_stream_that_was_never_packed(method: str) -> None:
    stream = told(60, method=method) if method != "cumulative" else told(60, method=method, horizon=None)
    found = packed_and_unpacked(stream)
    for row in RNG.normal(20.0, 3.0, (60, len(NAMES))).tolist():
        values = dict(zip(NAMES, row, strict=True))
        assert observe(found, values).values == observe(stream, values).values
        found = packed_and_unpacked(found)


def test_a_retry_is_answered_alike() -> None:
    stream = told(40, numbered=True)
    values = dict.fromkeys(NAMES, 21.5)
    first = observe(stream, values, seq=40)
    again = observe(packed_and_unpacked(stream), values, seq=40)
    assert (again.values, again.replayed) == (first.values, True)


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(told(robust=3.0), id="robust: moments decide what is cut"),
        pytest.param(Stream(of_configuration({"features": {"a": {"horizon": 7}}})), id="features that differ"),
    ],
)
def test_where_an_answer_may_depend_on_it_nothing_is_rounded(stream: Stream) -> None:
    for x in RNG.normal(size=50).tolist():
        observe(stream, {"a": x, "b": x})
    assert packed_and_unpacked(stream).state == stream.state


@pytest.mark.parametrize("scale", [1e-40, 1e30, 1e70])
def test_what_is_out_of_the_range_of_float32_is_not_rounded(scale: float) -> None:
    stream = new(horizon=50)
    for x in RNG.normal(size=99).tolist():
        observe(stream, {"a": x * scale})
    assert packed_and_unpacked(stream).state == stream.state


def test_counters_of_gaps_and_clocks_are_kept() -> None:
    stream = told(40, numbered=True)
    observe(stream, dict.fromkeys(NAMES, 2.0), seq=100)
    assert packed_and_unpacked(stream).state[:HEADER_SIZE] == stream.state[:HEADER_SIZE]
    assert observe(stream, dict.fromkeys(NAMES, 2.0), seq=100).gap == 60


def test_minus_zero_stays_what_it_is() -> None:
    stream = new()
    observe(stream, {"a": -0.0, "b": 0.5})
    assert math.copysign(1.0, numbers(packed_and_unpacked(stream))[0, base.LAST]) == -1.0


def test_a_packed_stream_of_eight_features_takes_less_than_900_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "new_pages", bytearray)  # which are seen by what traces memory
    streams = [told(120, numbered=True) for _ in range(8)]
    packed = PackedStreams()
    ids = [f"stream-{n:07}" for n in range(8192)]
    packed.add(dict(zip(ids[:FEWEST], (streams[n % 8] for n in range(FEWEST)), strict=True)))  # what all have in common
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    packed.add(dict(zip(ids[FEWEST:], (streams[n % 8] for n in range(len(ids) - FEWEST)), strict=True)))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    state = len(streams[0].state.tobytes()) + len((streams[0].answered or streams[0].state).tobytes())
    assert taken / (len(ids) - FEWEST) < 900 < state


def test_a_feature_that_rests_for_long_is_kept_to_the_bit() -> None:
    stream = told(3)
    for _ in range(300):
        observe(stream, dict.fromkeys(NAMES, 1.0))
    assert (numbers(packed_and_unpacked(stream))[:, base.RUN] == numbers(stream)[:, base.RUN]).all()


def test_ids_whose_digests_begin_alike_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "digest_of", lambda stream_id: bytes(8) + stream_id.encode().rjust(8))
    packed = PackedStreams()
    packed.add({f"s-{n}": told(1 + n) for n in range(FEWEST)})
    assert "s-99" not in packed
    packed.discard("s-7")
    found = {n: packed.pop(f"s-{n}") for n in range(FEWEST)}
    assert {n: stream and stream.count for n, stream in found.items()} == {
        n: None if n == 7 else 1 + n for n in range(FEWEST)
    }


def test_those_changed_longest_ago_go_first_packed_or_kept_as_they_are() -> None:
    packed = PackedStreams()
    streams = {f"s-{n}": told(3) for n in range(SLOTS + FEWEST)} | {f"other-{n}": told(3, robust=3.0) for n in range(3)}
    order = RNG.permutation([*streams]).tolist()
    for now, name in enumerate(order):
        streams[name].touch(1e9 + now)
    packed.add(streams)
    assert packed.discard_oldest(100) == 100
    assert [name for name in order if name in packed] == order[100:]
    packed.add({name: streams[name] for name in order[:FEWEST]})  # into slots that were free
    assert packed.discard_oldest(len(order)) == len(order) - 100 + FEWEST
    assert len(packed) == packed.discard_oldest(1) == 0


def test_forms_that_no_stream_has_any_more_are_forgotten() -> None:
    packed = PackedStreams()
    one, other = told(3, digits=3), told(3)
    packed.add({f"{name}-{n}": stream.draft() for name, stream in (("3", one), ("17", other)) for n in range(FEWEST)})
    assert len(packed._forms) == 2  # noqa: SLF001 - nobody else sees it
    assert packed.pop("3-0") is not None
    for n in range(FEWEST):
        packed.discard(f"3-{n}")
    assert len(packed) == FEWEST
    assert len(packed._forms) == 1  # noqa: SLF001 - as above
    assert packed.discard_oldest(2 * FEWEST) == FEWEST
    assert not packed._forms  # noqa: SLF001 - as above
    assert packed.pop("3-0") is None


@asynccontextmanager
async def started(store: BlobStore, resident: int = 1000, ttl: float = 0.0) -> AsyncIterator[WriteBehindStreams]:
    """Start a repository, and stop it afterwards."""
    made = WriteBehindStreams(store, PLAN, max_resident=resident, ttl=ttl)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def observed(x: float, seq: int | None = None) -> Callable[[Stream], Answer]:
    """Build a change that observes one reading."""
    return lambda stream: observe(stream, {"a": x, "b": 2.0 * x}, seq=seq)


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let only so many streams stay as they are."""
    monkeypatch.setattr(resident_set, "MAX_UNPACKED", 5)
    monkeypatch.setattr(packing, "FEWEST", 2)
    return 5


async def saved(streams: WriteBehindStreams) -> list[str]:
    """Save all changes, and wait until what may be packed is; returns the streams that are packed now."""
    await streams.flush()
    for _ in range(10):
        await asyncio.sleep(0)
    return [name for name, _ in await streams.page("", "", 1000) if streams.peek(name) is None]


async def test_streams_that_are_packed_and_unpacked_are_answered_as_if_they_had_stayed(
    unpacked: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    twins = {f"s-{n}": Stream(PLAN) for n in range(30)}
    async with started(SQLiteStore(tmp_path, synchronous="normal"), resident=20) as streams:
        for n in range(600):
            name, x = f"s-{rng.integers(30)}", float(rng.normal())
            assert await streams.update(name, observed(x)) == observed(x)(twins[name])
            if n % 9 == 0:
                await saved(streams)
                assert len(streams._streams) <= unpacked  # noqa: SLF001 - what is packed shows nowhere else
                assert streams.stats().resident <= 20
        found = dict(await streams.page("", "", 100))
        assert {name: stream.count for name, stream in found.items()} == {name: twins[name].count for name in twins}
        for name, twin in twins.items():
            assert observed(1.5)(found[name].draft()) == observed(1.5)(twin)


async def test_a_packed_stream_is_observed_inline_and_answers_a_retry(unpacked: int) -> None:
    async with started(MemoryStore()) as streams:
        first = {}  # which stream is packed depends on when commits came
        for n in range(4 * unpacked):
            await streams.update(f"s-{n}", observed(20.0 + n, seq=1))
            first[f"s-{n}"] = (await streams.update(f"s-{n}", observed(19.0, seq=2))).values
        name, *_ = await saved(streams)
        stream = streams.get_for_inline_update(name)
        assert stream is not None
        assert stream is streams.get_for_inline_update(name)
        again = observed(19.0, seq=2)(stream)
        assert (again.replayed, again.values) == (True, first[name])
        assert streams.stats().resident == 4 * unpacked


async def test_a_packed_stream_is_read_as_it_was_saved(unpacked: int) -> None:
    async with started(MemoryStore()) as streams:
        for n in range(4 * unpacked):
            for x in RNG.normal(size=60).tolist():
                await streams.update(f"s-{n}", observed(x))
        before = {name: encode(stream) for name, stream in streams._streams.items()}  # noqa: SLF001 - none is packed yet
        packed = await saved(streams)
        assert len(packed) == 3 * unpacked
        for name in packed * 2:
            assert await streams.read(name, encode) == before[name]
        assert streams.stats().resident == 4 * unpacked


async def test_packed_streams_are_deleted_replaced_and_expire(unpacked: int) -> None:
    store = MemoryStore()
    async with started(store, ttl=1e-9) as streams:
        for n in range(4 * unpacked):
            await streams.update(f"s-{n}", observed(1.0))
        deleted, replaced, *_ = await saved(streams)
        await streams.delete(deleted)
        assert not await streams.replace(replaced, Stream(PLAN))
        assert await streams.read(replaced, lambda stream: stream.count) == 0
        with pytest.raises(StreamNotFound):
            await streams.read(deleted, lambda stream: stream.count)
        assert (await streams.update(deleted, observed(1.0))).count == 1
        await saved(streams)
        await streams.expire()
        assert streams.stats().resident == 0
        await streams.flush()
        assert store.count() == 0


async def test_packed_streams_are_evicted_first(unpacked: int) -> None:
    async with started(MemoryStore(), resident=20) as streams:
        for n in range(20):
            await streams.update(f"s-{n}", observed(1.0))
        await saved(streams)
        awake = set(streams._streams)  # noqa: SLF001 - what is packed shows nowhere else
        assert len(awake) == unpacked
        for n in range(10):
            await streams.update(f"new-{n}", observed(1.0))
        assert awake <= set(streams._streams)  # noqa: SLF001 - as above
        assert (streams.stats().resident, streams.stats().evicted) == (20, 10)


async def test_new_rules_hold_for_a_packed_stream(unpacked: int) -> None:
    async with started(MemoryStore()) as streams:
        for n in range(4 * unpacked):
            await streams.update(f"s-{n}", observed(1.0))
        name, *_ = await saved(streams)
        await streams.apply_rules(Rulebook(PLAN, Rules((parse_rule({"warmup": 5}),))))
        stream = streams.get_for_inline_update(name)
        assert stream is not None
        assert (stream.plan.warmup, stream.count) == (5, 1)


async def test_commits_go_on_where_streams_cannot_be_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    def pack(_: object) -> bool:
        raise MemoryError

    monkeypatch.setattr(resident_set.ResidentSet, "pack", pack)
    store = MemoryStore()
    async with started(store) as streams:
        for n in range(3):
            await streams.update(f"s-{n}", observed(1.0))
            await streams.flush()
            await asyncio.sleep(0)
        assert store.count() == 3


def test_slots_are_used_again() -> None:
    packed, stream = PackedStreams(), told(3)
    packed.add({f"a-{n}": stream.draft() for n in range(SLOTS + FEWEST)})
    for n in range(FEWEST, 2 * FEWEST):
        packed.discard(f"a-{n}")
    packed.add({f"b-{n}": told(3 + n) for n in range(FEWEST)})
    (form,) = packed._forms.values()  # noqa: SLF001 - nobody else sees it
    assert len(form.chunks) == 2
    found = [packed.pop(name) for name in [*(f"b-{n}" for n in range(FEWEST)), "a-0", "a-70"]]
    assert [one.count for one in found if one is not None] == [*range(3, 3 + FEWEST), 3, 3]
