"""Prometheus remote write: streams are sets of labels, features are metrics."""

from __future__ import annotations

import math
import struct
import sys
from typing import Any

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.limits import Limits
from streamnorm.errors import InvalidReading
from streamnorm.mappings import Message, mapping_of
from streamnorm.mappings.bodies.remote_write import LARGEST
from tests.support.remote_write import NODE, Series, write_request

MAPPING = mapping_of({"preset": "prometheus-remote-write"})
TIME = 1_795_338_000_000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def readings(*series: Series) -> list[tuple[str, float | None, dict[str, Any]]]:
    """Return what a request makes, None for what is missing."""
    found = MAPPING.readings(Message(write_request(*series)), Limits())
    return [
        (stream, one.timestamp, {n: None if v != v else v for n, v in zip(one.names, one.values, strict=True)})  # noqa: PLR0124 - NaN
        for stream, one, _ in found
    ]


def test_series_with_the_same_labels_are_one_stream() -> None:
    found = readings(
        ({"__name__": "node_load1", **NODE}, [(0.5, TIME), (0.75, TIME + 15_000)]),
        ({"__name__": "up", **NODE}, [(1.0, TIME)]),
        ({"__name__": "node_cpu_seconds_total", **NODE, "cpu": "0"}, [(17.5, TIME)]),
    )
    stream = "prometheus,instance=roof:9100,job=node"
    assert found == [
        (stream, TIME / 1000, {"node_load1": 0.5, "up": 1.0}),
        (stream, TIME / 1000 + 15, {"node_load1": 0.75}),
        ("prometheus,cpu=0,instance=roof:9100,job=node", TIME / 1000, {"node_cpu_seconds_total": 17.5}),
    ]


def test_readings_of_a_stream_are_in_the_order_of_their_times() -> None:
    found = readings(({"__name__": "a"}, [(1.0, TIME + 1000)]), ({"__name__": "b"}, [(2.0, TIME), (3.0, TIME + 1000)]))
    assert found == [("prometheus", TIME / 1000, {"b": 2.0}), ("prometheus", TIME / 1000 + 1, {"a": 1.0, "b": 3.0})]


@pytest.mark.parametrize("value", [pytest.param(STALE, id="stale"), math.nan, math.inf, -math.inf, 1e300])
def test_what_no_reading_can_hold_is_missing(value: float) -> None:
    assert readings(({"__name__": "up"}, [(value, TIME)])) == [("prometheus", TIME / 1000, {"up": None})]


labels = st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), st.text(max_size=4), max_size=3)


@given(labels, labels)
def test_different_labels_are_different_streams(one: dict[str, str], other: dict[str, str]) -> None:
    (first, _, _), (second, _, _) = (readings(({**each, "__name__": "up"}, [(1.0, TIME)]))[0] for each in (one, other))
    assert (first == second) == (one == other)


@pytest.mark.parametrize("body", [b"", b"\xff\xff\xff", bytes(cramjam.snappy.compress_raw(b"\x0a\xff")), b"{}"])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidReading, match=r"no WriteRequest|nothing at /streams"):
        MAPPING.readings(Message(body), Limits())


def test_a_bomb_is_refused_by_what_it_says_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = bytes(cramjam.snappy.compress_raw(bytes(LARGEST + 1)))
    assert len(bomb) < LARGEST / 20
    monkeypatch.setattr(cramjam.snappy, "decompress_raw", lambda _: pytest.fail("unpacked"))
    with pytest.raises(InvalidReading, match=f"would have {LARGEST + 1} bytes"):
        MAPPING.readings(Message(bomb), Limits())


@pytest.mark.parametrize(("library", "name"), [("cramjam", "cramjam"), ("google.protobuf.descriptor_pb2", "protobuf")])
def test_without_its_libraries_it_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, library: str, name: str
) -> None:
    body = write_request(({"__name__": "up"}, [(1.0, TIME)]))
    from streamnorm.mappings.bodies import remote_write  # noqa: PLC0415 - its cache is emptied

    remote_write.write_class.cache_clear()
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InvalidReading, match=rf"needs {name}: pip install 'streamnorm\[remote-write\]'"):
        MAPPING.readings(Message(body), Limits())
