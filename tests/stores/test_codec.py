"""A stream as bytes: it comes back bit for bit, and what is no stream is told."""

from __future__ import annotations

import struct
from array import array
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StoreCorrupt, StreamnormError
from streamnorm.kernels import base_statistics
from streamnorm.stores.codec import VERSION, decode, encode

NOW = 1_795_338_000.0

values = st.one_of(st.none(), st.floats(-1e75, 1e75), st.integers(-(10**9), 10**9))
channels = st.lists(values, min_size=2, max_size=3).map(lambda row: [row, row])
readings = st.tuples(
    st.dictionaries(st.sampled_from(["temp", "door", "ä/b~c", "🌡"]), values, min_size=1),
    st.one_of(st.none(), channels),
    st.one_of(st.none(), st.integers(0, 2**53 - 1)),
)
configs: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.just({"time_constant": 60.0, "robust": 3.0}),
    st.just({"method": "cumulative", "affine": {"temp": {"gamma": 2.0}}, "clamp": 3.0, "missing": "mean"}),
)


def made(config: dict[str, Any], given_: list[Any]) -> Stream:
    """Build a stream of readings; those that are refused leave it as it was."""
    stream = Stream(plan(configuration(config, {})))
    for row, channel, seq in given_:
        whole = row if channel is None else {**row, "ir": channel}
        try:
            stream.observe(parse_reading(whole, Limits(), seq=seq), NOW, Limits())
        except StreamnormError:
            continue
    return stream


def bits(floats: array[float] | None) -> bytes | None:
    """Return the bits of floats: by ==, NaN differs from itself, and 0 equals −0."""
    return None if floats is None else floats.tobytes()


def whole(stream: Stream) -> object:
    """Return everything a stream is."""
    where = stream.layout
    parts = (bits(stream.state), bits(stream.answered), bits(stream.before))
    return stream.plan, where.names, where.shapes, where.starts, parts


@given(configs, st.lists(readings, max_size=6))
def test_a_stream_comes_back_bit_for_bit(config: dict[str, Any], sent: list[Any]) -> None:
    stream = made(config, sent)
    assert whole(decode("boiler-7", encode(stream))) == whole(stream)


@given(st.lists(readings, max_size=3))
def test_what_came_back_is_encoded_to_the_same_bytes(sent: list[Any]) -> None:
    blob = encode(made({}, sent))
    assert encode(decode("boiler-7", blob)) == blob


def test_the_last_block_is_kept_for_its_retry() -> None:
    stream = made({}, [({"temp": 1.0}, None, 3)])
    stream.before = array("d", stream.state)
    assert bits(decode("boiler-7", encode(stream)).before) == bits(stream.state)


BLOB = encode(made({}, [({"temp": 21.4, "door": 0}, [[1, 2], [3, 4]], 17)]))


@pytest.mark.parametrize("size", range(0, len(BLOB), 7))
def test_a_blob_that_is_cut_short_is_told(size: int) -> None:
    with pytest.raises(StoreCorrupt, match="boiler-7"):
        decode("boiler-7", BLOB[:size])


def test_a_blob_that_is_too_long_is_told() -> None:
    with pytest.raises(StoreCorrupt, match="boiler-7"):
        decode("boiler-7", BLOB + bytes(8))


@pytest.mark.parametrize("version", [0, VERSION + 1, 255])
def test_a_blob_of_another_version_is_told_with_both_versions(version: int) -> None:
    with pytest.raises(StoreCorrupt, match=f"version {version}, this streamnorm reads {VERSION}"):
        decode("boiler-7", bytes([version]) + BLOB[1:])


@given(st.binary(max_size=200))
def test_a_blob_of_anything_is_told(blob: bytes) -> None:
    with pytest.raises(StoreCorrupt):
        decode("boiler-7", blob)


@given(st.binary(max_size=80))
def test_a_header_of_anything_is_told(header: bytes) -> None:
    with pytest.raises(StoreCorrupt):
        decode("boiler-7", struct.pack("<BI", 1, len(header)) + header)


HEADER_END = 5 + struct.unpack_from("<BI", BLOB)[1]


@given(st.integers(5, HEADER_END - 1), st.integers(0, 255))
def test_a_garbled_header_is_told_or_still_a_stream(at: int, byte: int) -> None:
    garbled = BLOB[:at] + bytes([byte]) + BLOB[at + 1 :]
    try:
        stream = decode("boiler-7", garbled)
    except StoreCorrupt:
        return
    assert len(stream.state) == stream.layout.size


@pytest.mark.parametrize("config", ["[]", "1", "null", "{", '{"method": "onlin"}', ""])
def test_a_header_with_a_configuration_that_is_none_is_told(config: str) -> None:
    text = orjson.dumps({"config": config, "names": [], "shapes": [], "floats": [5, 0, 0]})
    with pytest.raises(StoreCorrupt, match="boiler-7"):
        decode("boiler-7", struct.pack("<BI", 1, len(text)) + text + bytes(40))


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 100), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@given(st.fixed_dictionaries(dict.fromkeys(("config", "names", "shapes", "floats"), JSON_VALUES)))
def test_a_header_of_the_right_names_and_wrong_values_is_told(header: dict[str, Any]) -> None:
    text = orjson.dumps(header)
    with pytest.raises(StoreCorrupt):
        decode("boiler-7", struct.pack("<BI", 1, len(text)) + text)


def former(stream: Stream) -> bytes:
    """Return the blob that version 1 would have written: without a clock, levels, and what methods have kept since."""
    plan_ = stream.plan

    def cut(state: array[float]) -> array[float]:
        made = state[:5]
        for start in stream.layout.starts:
            end = start + plan_.stride - plan_.timed
            own = state[start + base_statistics.SIZE : end - plan_.kernel.method.grown]
            made += state[start : start + 12] + own + state[end : start + plan_.stride]
        return made

    return blob_of_version_1(stream, cut(stream.state), cut(stream.before) if stream.before else array("d"))


def blob_of_version_1(stream: Stream, state: array[float], before: array[float]) -> bytes:
    """Return a blob of version 1 with these numbers."""
    answered = stream.answered or array("d")
    floats = (len(state), len(answered), len(before))
    names, shapes = stream.layout.names, stream.layout.shapes
    header = orjson.dumps({"config": stream.plan.key, "names": names, "shapes": shapes, "floats": floats})
    return struct.pack("<BI", 1, len(header)) + header + (state + answered + before).tobytes()


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"time_constant": 60.0},
        {"method": "batch", "window": 8},
        {"method": "batch-renorm", "window": 8},
        {"method": "streaming"},
    ],
    ids=repr,
)
def test_a_blob_of_version_1_is_read_and_goes_on_to_the_same_answers(config: dict[str, Any]) -> None:
    rows = [[{"temp": float(x), "door": x % 3}, None, x] for x in range(40)]
    stream = made(config, rows)
    old = decode("boiler-7", former(stream))
    assert old.state[:5] == stream.state[:5]
    assert old.answered == stream.answered
    for x in (3.0, 7.0, None):
        then = parse_reading({"temp": x, "door": 1}, Limits())
        answers = [each.observe(then, NOW + 60.0, Limits()) for each in (old, stream)]
        first, second = (np.array(answer.values).tobytes() for answer in answers)
        assert first == second
    assert decode("boiler-7", encode(old)).state == old.state


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("horizon", [1000.0, 16.0])
def test_a_stream_of_the_bank_that_adaptive_kept_before_goes_on_by_mean_and_deviation(
    features: int, horizon: float
) -> None:
    """Behind the 12 numbers of every feature it had 47 of its own, whatever the horizon."""
    stream = made({"method": "adaptive", "horizon": horizon}, [])
    names = "abc"[:features]
    for n in range(50):
        stream.observe(parse_reading(dict.fromkeys(names, 20.0 + n % 5), Limits(), seq=n), NOW, Limits())
    where, today = stream.layout, stream.state
    state = today[:5]
    for start in where.starts:
        state.extend([*today[start : start + 12], *[1.0] * 47])
    back = decode("boiler", blob_of_version_1(stream, state, state))
    assert (back.count, back.last_seq, back.layout) == (50, 49, where)
    assert [back.mean_std(name) for name in names] == [(today[at + 1], today[at + 2] ** 0.5) for at in where.starts]
    assert back.before is not None
    assert len(back.before) == len(back.state)
    assert back.observe(parse_reading(dict.fromkeys(names, 22.0), Limits()), NOW, Limits()).count == 51


def test_a_stream_of_adaptive_that_is_cut_short_is_refused() -> None:
    stream = made({"method": "adaptive"}, [({"temp": 1.0}, None, None)])
    stream.state = stream.state[:-1]
    with pytest.raises(StoreCorrupt, match="cut short"):
        decode("boiler", encode(stream))


@pytest.mark.parametrize("numbers", [3, 28])
def test_a_blob_of_version_1_with_another_count_of_numbers_is_told(numbers: int) -> None:
    stream = made({}, [({"temp": 1.0, "door": 0.0}, None, None)])
    blob = blob_of_version_1(stream, array("d", bytes(8 * numbers)), array("d"))
    with pytest.raises(StoreCorrupt, match=f"{numbers} numbers are not those of 2 features"):
        decode("boiler", blob)
