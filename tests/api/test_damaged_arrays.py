"""NumPy's files as nobody should send them: damaged, disguised, or made to take memory."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest

from streamnorm.api.codecs.arrays.npy import from_npy
from streamnorm.api.codecs.arrays.npz import ALIGNMENT, from_npz, payload_offset
from streamnorm.api.codecs.arrays.npz_blocks import MEMBERS
from streamnorm.errors import InvalidReading
from tests.api.test_arrays import NPY, NPZ, ROWS, STREAMS, TENSOR, Arrays, array, arrays, npy, npz
from tests.support.http_calls import Api, assert_problem

BLOCK = "/v1/streams/block/bulk"


async def send(api: Api, body: bytes, **headers: str) -> httpx.Response:
    """Send an npy file."""
    return await api.post(BLOCK, body, headers={"content-type": NPY, **headers})


async def send_many(api: Api, body: bytes, **headers: str) -> httpx.Response:
    """Send an npz file."""
    return await api.post("/v1/bulk", body, headers={"content-type": NPZ, **headers})


def headed(header: str, numbers: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """Write an npy file with a header of one's own."""
    length = struct.pack("<H" if version[0] == 1 else "<I", len(header))
    return b"\x93NUMPY" + version + length + header.encode("latin1") + numbers


DISGUISED = {
    "objects in a record": headed("{'descr': [('a', 'O')], 'fortran_order': False, 'shape': (1, 1)}", bytes(8)),
    "a record": headed("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1, 1)}", bytes(8)),
    "a record by another name": headed("{'descr': 'f8,f8', 'fortran_order': False, 'shape': (1, 1)}", bytes(16)),
    "arrays of arrays": headed("{'descr': '(2,2)f8', 'fortran_order': False, 'shape': (1, 1)}", bytes(32)),
    "a call": headed("{'descr': print('x'), 'fortran_order': False, 'shape': (1, 1)}", bytes(8)),
    "no header": headed("", bytes(8)),
    "a list for a header": headed("['<f8', False, (1, 1)]", bytes(8)),
    "no shape": headed("{'descr': '<f8', 'fortran_order': False}", bytes(8)),
    "a shape of text": headed("{'descr': '<f8', 'fortran_order': False, 'shape': ('1', '1')}", bytes(8)),
    "a shape of truths": headed("{'descr': '<f8', 'fortran_order': False, 'shape': (True, True)}", bytes(8)),
    "an endless shape": headed("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 1)}", bytes(8)),
    "many axes": headed("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 60 + ")}", bytes(8)),
    "axes beyond number": headed("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 600 + ")}", bytes(8)),
    "deep nesting": headed("[" * 3000 + "]" * 1000),
    "no type": headed("{'descr': 'warm', 'fortran_order': False, 'shape': (1, 1)}", bytes(8)),
    "version 3": headed("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)}", bytes(8), b"\x03\x00"),
    "version 9": headed("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)}", bytes(8), b"\x09\x00"),
    "half precision": npy(ROWS.astype("f2")),
    "complex": npy(ROWS.astype(complex)),
    "truths": npy(ROWS > 20),
    "text": npy(ROWS.astype("U9")),
    "times": npy(ROWS.astype("M8[s]")),
    "no columns": npy(ROWS[:, :0]),
    "three axes": npy(ROWS[None]),
    "one number": npy(np.array(1.0)),
    "an npz file": npz(values=ROWS),
    "minus infinity": npy(np.array([[1.0], [-np.inf]])),
    "infinite in float32": npy(np.array([[1.0], [np.inf]], dtype="f4")),
}


@pytest.mark.parametrize("body", DISGUISED.values(), ids=DISGUISED)
async def test_what_is_no_table_of_numbers_is_refused_and_changes_nothing(api: Api, body: bytes) -> None:
    response = await send(api, body)
    assert_problem(response, 422, "invalid-reading", response.json()["errors"][0]["pointer"])
    assert await api.state() == {}


NO_NPY = "the body is no npy file of version 1 or 2: "
TOLD_OF_NPY = {
    "nothing": (b"", NO_NPY + "it is empty"),
    "the first letters": (npy(ROWS)[:3], NO_NPY + "it is cut short within its header"),
    "half a header": (npy(ROWS)[:60], NO_NPY + "it is cut short within its header"),
    "another file": (b"temp,door\n21.4,0\n", NO_NPY + "it does not begin as one"),
    "another version": (headed("", version=b"\x03\x00"), NO_NPY + "its version is 3"),
    "a long header": (headed(" " * 5000), NO_NPY + "its header is longer than 4096 bytes"),
    "a header of another kind": (headed("temp"), NO_NPY + "its header cannot be read"),
    "no numbers": (npy(ROWS)[:128], "the body has 0 bytes of numbers; an array of (40, 3) float64 has 960"),
    "not all numbers": (npy(ROWS)[:-9], "the body has 951 bytes of numbers; an array of (40, 3) float64 has 960"),
}


@pytest.mark.parametrize(("body", "detail"), TOLD_OF_NPY.values(), ids=TOLD_OF_NPY)
async def test_what_is_wrong_with_an_npy_file_is_told(api: Api, body: bytes, detail: str) -> None:
    assert assert_problem(await send(api, body), 422, "invalid-reading", "")["detail"] == detail


@pytest.mark.parametrize("kind", ["<f8", "<f4", ">f8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
async def test_every_kind_of_table_gives_the_same_bits(api: Api, kind: str, order: Any) -> None:
    native = ROWS.astype(kind).astype(np.dtype(kind).newbyteorder("="))
    found = array(await send(api, npy(np.array(ROWS.astype(kind), order=order))))
    plain = array(await api.post("/v1/streams/plain/bulk", npy(native), headers={"content-type": NPY}))
    assert found.tobytes() == plain.tobytes()


async def test_a_missing_value_stays_missing(api: Api) -> None:
    rows = ROWS.copy()
    rows[3, 1] = np.nan
    found = array(await send(api, npy(rows)))
    assert np.argwhere(np.isnan(found)).tolist() == [[3, 1]]


async def test_a_packed_array_is_unpacked(api: Api) -> None:
    packed = await send(api, gzip.compress(npy(ROWS)), **{"content-encoding": "gzip"})
    plain = await api.post("/v1/streams/plain/bulk", npy(ROWS), headers={"content-type": NPY})
    assert packed.content == plain.content


async def test_arrays_of_many_may_come_without_their_length(api: Api) -> None:
    body = npz(streams=STREAMS, values=TENSOR)

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 77):
            yield body[start : start + 77]

    response = await api.client.post("/v1/bulk", content=parts(), headers={"content-type": NPZ})
    assert arrays(response)["count"].tolist() == [20, 20, 20]


@pytest.mark.parametrize("first", ["streams", "values"])
@pytest.mark.parametrize("letters", range(1, 9))
async def test_wherever_the_numbers_begin_the_answer_is_the_same(api: Api, first: str, letters: int) -> None:
    names = np.array([f"{'s' * letters}-{n}" for n in range(3)])
    members: dict[str, Arrays] = {"streams": names, "values": TENSOR}
    order = sorted(members, reverse=first == "values")
    found = arrays(await send_many(api, npz(**{name: members[name] for name in order})))["values"]
    alone = array(await api.post("/v1/streams/alone/bulk", npy(TENSOR[1]), headers={"content-type": NPY}))
    assert (found[1] == alone).all()


async def test_the_numbers_lie_aligned_in_memory_without_being_copied() -> None:
    for count in range(1, 40):
        body = npz(streams=np.array(["x" * count]), first_seq=np.arange(count), values=TENSOR[:1])
        assert payload_offset(body) % ALIGNMENT == body.index(TENSOR[0].tobytes()) % ALIGNMENT


def archive(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Write a zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as written:
        for name, data in members:
            written.writestr(name, data)
    return file.getvalue()


GOOD = [("streams.npy", npy(STREAMS)), ("values.npy", npy(TENSOR))]


def damaged() -> bytes:
    """Change one bit of one number."""
    body = bytearray(archive(*GOOD))
    body[body.index(TENSOR.tobytes()) + 3] ^= 1
    return bytes(body)


def listing_much() -> bytes:
    """Write an archive whose directory lists the same member many thousand times."""
    body = archive(GOOD[1])
    start = body.index(b"PK\x01\x02")
    end = body.index(b"PK\x05\x06")
    entry = body[start:end] * 60_000
    return body[:start] + entry + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 60_000, 60_000, len(entry), start, 0)


def named_by_no_text() -> bytes:
    """Write an archive with a name that is said to be UTF-8, and is not."""
    body = archive(("strömen.npy", npy(STREAMS)), GOOD[1])
    return body.replace("strömen".encode(), b"str\xff\xfemen")


DAMAGED: dict[str, tuple[bytes, str]] = {
    "a number changed on its way": (damaged(), ""),
    "a bomb": (archive(("streams.npy", npy(STREAMS)), ("values.npy", bytes(10**8)), compression=8), ""),
    "packed otherwise": (archive(*GOOD, compression=zipfile.ZIP_BZIP2), ""),
    "an endless directory": (listing_much(), ""),
    "a name that is no text": (named_by_no_text(), ""),
    "a name of other letters": (archive(("strömen.npy", npy(STREAMS)), *GOOD), "/strömen"),
    "a name with a path": (archive(("../streams.npy", npy(STREAMS)), *GOOD), "/..~1streams"),
    "a member under two names": (archive(*GOOD, ("values", npy(TENSOR))), "/values"),
    "no array": (archive(GOOD[0], ("values.npy", b"warm")), ""),
    "objects": (archive(GOOD[0], ("values.npy", headed("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"))), ""),
    "an array cut short": (archive(GOOD[0], ("values.npy", npy(TENSOR)[:-1])), ""),
    "no rows": (archive(GOOD[0], ("values.npy", npy(TENSOR[:, :0]))), "/a/values"),
    "an empty archive": (archive(), "/streams"),
    "an npy file": (npy(TENSOR), ""),
}


@pytest.mark.parametrize(("body", "pointer"), DAMAGED.values(), ids=DAMAGED)
async def test_a_damaged_archive_is_refused_and_changes_nothing(api: Api, body: bytes, pointer: str) -> None:
    assert_problem(await send_many(api, body), 422, "invalid-reading", pointer)
    assert await api.state() == {}


PACKED = npz(streams=STREAMS, values=TENSOR)
NO_NPZ = "the body is no npz file, or is cut short: it has no sound directory at its end"
TOLD_OF_NPZ = {
    "nothing": (b"", "the body is no npz file: it is empty"),
    "another file": (b"temp,door\n21.4,0\n", NO_NPZ),
    "its end is missing": (PACKED[:-30], NO_NPZ),
    "its beginning is missing": (
        PACKED[100:],
        "streams.npy is not where the directory says: the body is damaged or cut short",
    ),
    "an empty member": (
        archive(("streams.npy", b""), GOOD[1]),
        "streams.npy is no npy file of version 1 or 2: it is empty",
    ),
    "an endless directory": (listing_much(), "the body's directory is longer than 131072 bytes"),
}


@pytest.mark.parametrize(("body", "detail"), TOLD_OF_NPZ.values(), ids=TOLD_OF_NPZ)
async def test_what_is_wrong_with_an_npz_file_is_told(api: Api, body: bytes, detail: str) -> None:
    assert assert_problem(await send_many(api, body), 422, "invalid-reading", "")["detail"] == detail


def test_wherever_a_file_is_cut_it_is_told_in_the_same_words() -> None:
    array_file, told = npy(ROWS), "is empty|is cut short|bytes of numbers; an array of"
    for size in range(len(array_file)):
        with pytest.raises(InvalidReading, match=told):
            from_npy(memoryview(array_file)[:size])
    for size in range(len(PACKED)):
        with pytest.raises(InvalidReading, match=told):
            from_npz(memoryview(PACKED)[:size], MEMBERS)


async def test_names_may_be_of_other_letters_where_they_name_features(api: Api) -> None:
    names = np.array(["größe", "温度"])
    response = await send_many(api, npz(streams=STREAMS, values=TENSOR, features=names))
    assert response.status_code == 200, response.text
    assert (await api.get("/v1/streams/a")).json()["features"] == ["größe", "温度"]
