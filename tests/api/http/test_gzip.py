"""Bodies packed by gzip."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.api.http.gzip import BEGINNING, GZIP, MOST_MEMBERS, PIECE, BoundedGzipDecoder
from tests.support.http_calls import Api, assert_problem

PATH = "/v1/streams/boiler-7/readings"
READING = b'{"values": {"temp": 21.4}}'
PACKED = {"content-encoding": "gzip"}


@given(members=st.lists(st.binary(max_size=300), min_size=1, max_size=3), cut=st.integers(1, 50))
def test_what_was_packed_comes_out_however_it_is_cut(members: list[bytes], cut: int) -> None:
    packed = b"".join(map(gzip.compress, members))
    unpacking = BoundedGzipDecoder()
    parts = [packed[at : at + cut] for at in range(0, len(packed), cut)]
    assert b"".join(piece for part in parts for piece in unpacking.feed(part)) == b"".join(members)
    assert unpacking.whole


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 5 * PIECE])
def test_no_piece_is_larger_than_allowed(size: int) -> None:
    unpacking = BoundedGzipDecoder()
    pieces = list(unpacking.feed(gzip.compress(bytes(size))))
    assert (sum(map(len, pieces)), max(map(len, pieces)) <= PIECE, unpacking.whole) == (size, True, True)


@pytest.mark.parametrize("more", [1, 2, 100, 300, 1000])
def test_what_can_be_unpacked_comes_out_before_more_comes_in(more: int) -> None:
    packing = zlib.compressobj(9, zlib.DEFLATED, GZIP)
    sent = packing.compress(bytes(PIECE + more)) + packing.flush(zlib.Z_SYNC_FLUSH)
    for cut in range(12):
        unbounded = zlib.decompressobj(GZIP).decompress(sent[: len(sent) - cut])
        assert b"".join(BoundedGzipDecoder().feed(sent[: len(sent) - cut])) == unbounded


def test_members_of_nothing_are_unpacked_some_at_a_time() -> None:
    pieces = list(BoundedGzipDecoder().feed(gzip.compress(b"x") * (3 * MOST_MEMBERS)))
    assert [len(piece) for piece in pieces] == [MOST_MEMBERS] * 3


@pytest.mark.parametrize("size", [1, PIECE, 4 * PIECE - 1000])
def test_members_of_nothing_may_follow_a_large_one(size: int) -> None:
    packed = gzip.compress(bytes(size)) + gzip.compress(b" ") * 300
    unpacked = b""
    for piece in BoundedGzipDecoder().feed(packed):
        unpacked += piece
        assert len(unpacked) <= size + 300
    assert unpacked == bytes(size) + b" " * 300


async def test_a_packed_reading_is_observed(api: Api) -> None:
    response = await api.post(PATH, gzip.compress(READING), headers=PACKED)
    assert response.json()["values"] == {"temp": 0.0}


async def test_a_bomb_is_refused_before_it_goes_off(api: Api) -> None:
    bomb = gzip.compress(bytes(1_000_000_000 // 100)) * 10
    assert len(bomb) < 200_000
    small = gzip.compress(bytes(10_000_000))
    assert_problem(await api.post(PATH, small, headers=PACKED), 413, "body-too-large")
    assert_problem(await api.post("/v1/streams/boiler-7/bulk", bomb, headers=PACKED), 413, "body-too-large")
    assert await api.state() == {}


NO_GZIP = {
    "plain": READING,
    "cut short": gzip.compress(READING)[:-1],
    "more behind it": gzip.compress(READING) + b"x",
    "a beginning": b"\x1f\x8b",
}


@pytest.mark.parametrize("body", NO_GZIP.values(), ids=NO_GZIP)
async def test_what_is_no_gzip_is_refused(api: Api, body: bytes) -> None:
    assert_problem(await api.post(PATH, body, headers=PACKED), 400, "malformed-gzip")


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", ""])
async def test_another_packing_is_refused(api: Api, coding: str) -> None:
    response = await api.post(PATH, zlib.compress(READING), headers={"content-encoding": coding})
    assert_problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/v1/streams/boiler-7/readings", "application/json"),
        ("/v1/streams/boiler-7/bulk", "application/x-npy"),
        ("/v1/streams/boiler-7/bulk?streaming=true", "application/x-ndjson"),
        ("/v1/bulk", "application/x-ndjson"),
        ("/v1/ingest/ttn", "application/json"),
        ("/api/v2/write", "text/plain"),
    ],
)
async def test_gzip_that_is_not_declared_is_told(api: Api, path: str, media: str) -> None:
    response = await api.post(path, gzip.compress(READING), headers={"content-type": media})
    assert "Content-Encoding: gzip" in response.text


async def test_a_part_of_numbers_may_begin_as_gzip_does(api: Api) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.frombuffer(BEGINNING * 8).reshape(-1, 1))

    async def parts() -> AsyncIterator[bytes]:
        yield buffer.getvalue()[:-16]
        yield buffer.getvalue()[-16:]

    headers = {"content-type": "application/x-npy"}
    response = await api.client.post("/v1/streams/boiler-7/bulk", content=parts(), headers=headers)
    assert response.headers["streamnorm-count"] == "2"
