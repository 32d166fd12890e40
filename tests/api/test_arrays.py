"""Blocks as NumPy's own files, in and out."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.http_calls import Api, assert_problem

NPY = "application/x-npy"
NPZ = "application/x-npz"
BLOCK = "/v1/streams/block/bulk"
ROWS = np.random.default_rng(0).normal(20, 3, (40, 3))
TENSOR = np.random.default_rng(0).normal(20, 3, (3, 20, 2))
STREAMS = np.array(["a", "b", "c"])

Arrays = npt.NDArray[Any]


def npy(array: Arrays) -> bytes:
    """Write an npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: Arrays) -> bytes:
    """Write an npz file."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


async def send(api: Api, body: bytes, query: str = "", **headers: str) -> httpx.Response:
    """Send an npy file."""
    return await api.post(f"{BLOCK}{query}", body, headers={"content-type": NPY, **headers})


async def send_many(api: Api, **arrays: Arrays) -> httpx.Response:
    """Send an npz file."""
    return await api.post("/v1/bulk", npz(**arrays), headers={"content-type": NPZ})


def array(response: httpx.Response) -> Arrays:
    """Read an answer in npy."""
    assert (response.status_code, response.headers["content-type"]) == (200, NPY), response.text
    found: Arrays = np.load(io.BytesIO(response.content))
    return found


def arrays(response: httpx.Response) -> dict[str, Arrays]:
    """Read an answer in npz; NumPy checks each member's sum."""
    assert (response.status_code, response.headers["content-type"]) == (200, NPZ), response.text
    return dict(np.load(io.BytesIO(response.content)))


async def as_json(api: Api, values: Arrays, stream: str = "single") -> Arrays:
    """Observe the same rows as JSON."""
    return np.array((await api.post(f"/v1/streams/{stream}/bulk", {"values": values.tolist()})).json()["values"])


async def test_an_array_gives_the_same_bits_as_json(api: Api) -> None:
    assert (array(await send(api, npy(ROWS))) == await as_json(api, ROWS)).all()


async def test_an_array_leaves_the_same_state_as_json(api: Api) -> None:
    await send(api, npy(ROWS))
    await as_json(api, ROWS)
    state = await api.state()
    assert state["block"] == state["single"]


async def test_float32_is_answered_in_float32(api: Api) -> None:
    answer = array(await send(api, npy(ROWS.astype(np.float32))))
    exact = await as_json(api, ROWS.astype(np.float32).astype(np.float64))
    assert answer.dtype == np.float32
    assert (answer == exact.astype(np.float32)).all()


async def test_the_state_of_float32_is_float64(api: Api) -> None:
    await send(api, npy(ROWS.astype(np.float32)))
    await as_json(api, ROWS.astype(np.float32).astype(np.float64))
    state = await api.state()
    assert state["block"] == state["single"]


async def test_float32_of_a_configured_stream_is_rounded_once(api: Api) -> None:
    affine = {name: {"gamma": 3.0, "beta": 0.1} for name in "012"}
    for stream in ("block", "single"):
        await api.post(f"/v1/streams/{stream}", {"affine": affine, "clamp": 2.0}, method="PUT")
    answer = array(await send(api, npy(ROWS.astype(np.float32))))
    exact = await as_json(api, ROWS.astype(np.float32).astype(np.float64))
    assert (answer == exact.astype(np.float32)).all()


@pytest.mark.parametrize("values", [np.asfortranarray(ROWS), ROWS.astype(">f8")], ids=["by columns", "big-endian"])
async def test_an_array_may_lie_otherwise_in_memory(api: Api, values: Arrays) -> None:
    assert (array(await send(api, npy(values))) == await as_json(api, ROWS)).all()


async def test_the_counters_are_headers(api: Api) -> None:
    response = await send(api, npy(ROWS), "?first_seq=3&features=a,b,c")
    found = {name: value for name, value in response.headers.items() if name.startswith("streamnorm-")}
    assert found == {
        "streamnorm-stream": "block",
        "streamnorm-count": "40",
        "streamnorm-ready": "true",
        "streamnorm-last-seq": "42",
    }


async def test_features_are_named_in_the_query(api: Api) -> None:
    await send(api, npy(ROWS), "?features=a,b,c")
    assert (await api.get("/v1/streams/block")).json()["features"] == ["a", "b", "c"]


async def test_a_numbered_array_sent_again_is_answered_as_before(api: Api) -> None:
    first = await send(api, npy(ROWS), "?first_seq=3")
    again = await send(api, npy(ROWS), "?first_seq=3")
    assert (again.content, again.headers["streamnorm-replayed"]) == (first.content, "true")


async def test_an_array_may_be_answered_in_json(api: Api) -> None:
    answer = (await send(api, npy(ROWS), accept="application/json")).json()
    assert answer["values"] == (await as_json(api, ROWS)).tolist()


async def test_json_may_be_answered_with_an_array(api: Api) -> None:
    response = await api.post(BLOCK, {"values": ROWS.tolist()}, headers={"accept": NPY})
    assert (array(response) == await as_json(api, ROWS)).all()


async def test_an_array_may_only_be_normalized(api: Api) -> None:
    await send(api, npy(ROWS))
    before = await api.state()
    assert array(await send(api, npy(ROWS), "?learn=false")).shape == ROWS.shape
    assert await api.state() == before


async def test_an_array_may_come_without_its_length(api: Api) -> None:
    async def parts() -> Any:
        for start in range(0, len(npy(ROWS)), 100):
            yield npy(ROWS)[start : start + 100]

    response = await api.client.post(BLOCK, content=parts(), headers={"content-type": NPY})
    assert array(response).shape == ROWS.shape


REFUSED = {
    "no npy file": (b"readings", ""),
    "nothing": (b"", ""),
    "objects": (
        b"\x93NUMPY\x01\x00" + b"\x40\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1, 1)}".ljust(64),
        "",
    ),
    "cut short": (npy(ROWS)[:-1], ""),
    "too long": (npy(ROWS) + b"0", ""),
    "whole numbers": (npy(ROWS.astype(int)), "/values"),
    "one axis": (npy(ROWS[0]), "/values"),
    "no rows": (npy(ROWS[:0]), "/values"),
    "infinite": (npy(np.array([[1.0], [2.0], [np.inf]])), "/values/2/0"),
    "a header without end": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", ""),
    "a negative shape": (
        b"\x93NUMPY\x01\x00\x40\x00" + b"{'descr':'<f8','fortran_order':False,'shape':(-1,-1)}".ljust(64) + bytes(8),
        "",
    ),
}


@pytest.mark.parametrize(("body", "pointer"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_table_is_refused(api: Api, body: bytes, pointer: str) -> None:
    assert_problem(await send(api, body), 422, "invalid-reading", pointer)
    assert await api.state() == {}


async def test_wrong_names_are_refused(api: Api) -> None:
    assert_problem(await send(api, npy(ROWS), "?features=a,b"), 422, "invalid-reading", "/features")


async def test_an_array_beyond_the_limit_is_refused(api: Api) -> None:
    api.app.state.context.max_binary_bytes = 500
    assert_problem(await send(api, npy(ROWS)), 413, "body-too-large")


async def test_many_streams_give_the_same_bits_as_each_alone(api: Api) -> None:
    answer = arrays(await send_many(api, streams=STREAMS, values=TENSOR))
    for place in range(3):
        assert (answer["values"][place] == await as_json(api, TENSOR[place], f"single-{place}")).all()


async def test_many_streams_are_answered_with_their_counters(api: Api) -> None:
    answer = arrays(await send_many(api, streams=STREAMS, values=TENSOR, first_seq=np.array([5, -1, 7])))
    again = arrays(await send_many(api, streams=STREAMS[:1], values=TENSOR[:1], first_seq=np.array([30])))
    assert {name: found.tolist() for name, found in answer.items() if name != "values"} == {
        "streams": ["a", "b", "c"],
        "count": [20, 20, 20],
        "ready": [False, False, False],
    }
    assert (again["gap"].tolist(), again["count"].tolist()) == ([5], [40])


async def test_many_streams_may_have_names_and_times(api: Api) -> None:
    names = np.array([b"x", b"y"])
    response = await send_many(api, streams=STREAMS, values=TENSOR, features=names, timestamps=np.arange(20.0))
    assert response.status_code == 200, response.text
    assert (await api.get("/v1/streams/b")).json()["features"] == ["x", "y"]


async def test_float32_of_many_streams_is_answered_in_float32(api: Api) -> None:
    answer = arrays(await send_many(api, streams=STREAMS, values=TENSOR.astype(np.float32)))["values"]
    assert (answer.dtype.name, answer.shape) == ("float32", TENSOR.shape)


MANY_REFUSED: dict[str, tuple[dict[str, Arrays], str]] = {
    "no values": ({"streams": STREAMS}, "/values"),
    "an unknown array": ({"streams": STREAMS, "values": TENSOR, "weights": STREAMS}, "/weights"),
    "two streams for three": ({"streams": STREAMS[:2], "values": TENSOR}, "/streams"),
    "a stream twice": ({"streams": np.array(["a", "b", "a"]), "values": TENSOR}, "/streams"),
    "no id": ({"streams": np.array(["a", "b", "c/d"]), "values": TENSOR}, "/streams/2"),
    "numbers for names": ({"streams": np.arange(3), "values": TENSOR}, "/streams"),
    "two axes": ({"streams": STREAMS, "values": TENSOR[0]}, "/values"),
    "numbers of two": ({"streams": STREAMS, "values": TENSOR, "first_seq": np.arange(2)}, "/first_seq"),
    "times as text": ({"streams": STREAMS, "values": TENSOR, "timestamps": STREAMS}, "/timestamps"),
    "no ASCII": ({"streams": np.array([b"a", b"b", b"\xff"]), "values": TENSOR}, "/streams"),
    "infinite": ({"streams": STREAMS, "values": np.where(TENSOR[1, 4, 1] == TENSOR, np.inf, TENSOR)}, "/b/values/4/1"),
    "none": ({"streams": STREAMS[:0], "values": TENSOR[:0]}, "/streams"),
}


@pytest.mark.parametrize(("members", "pointer"), MANY_REFUSED.values(), ids=MANY_REFUSED)
async def test_what_is_wrong_with_many_is_told(api: Api, members: dict[str, Arrays], pointer: str) -> None:
    assert_problem(await send_many(api, **members), 422, "invalid-reading", pointer)
    assert await api.state() == {}


@pytest.mark.parametrize(
    ("member", "kind", "wanted"),
    [("first_seq", "f8", "whole numbers of shape [3]"), ("timestamps", "M8[s]", "numbers of shape")],
)
async def test_the_type_that_an_array_must_have_is_told(api: Api, member: str, kind: str, wanted: str) -> None:
    response = await send_many(api, streams=STREAMS, values=TENSOR, **{member: np.zeros(3, kind)})
    problem = assert_problem(response, 422, "invalid-reading", f"/{member}")
    assert f"it must be {wanted}" in problem["detail"]


async def test_a_stale_number_of_one_stream_refuses_all(api: Api) -> None:
    await send_many(api, streams=STREAMS[:1], values=TENSOR[:1], first_seq=np.array([30]))
    before = await api.state()
    response = await send_many(
        api, streams=STREAMS, values=TENSOR, first_seq=np.array([31, 1, 1]) - np.array([2, 0, 0])
    )
    assert_problem(response, 409, "stale-sequence")
    assert await api.state() == before


def compressed() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, streams=STREAMS, values=TENSOR)
    return file.getvalue()


@pytest.mark.parametrize("body", [compressed(), b"", b"PK", npz(streams=STREAMS, values=TENSOR)[:-30]])
async def test_what_is_no_npz_file_is_refused(api: Api, body: bytes) -> None:
    response = await api.post("/v1/bulk", body, headers={"content-type": NPZ})
    assert_problem(response, 422, "invalid-reading", "")


@pytest.mark.parametrize("seed", range(100))
async def test_a_damaged_file_is_refused_or_read_but_never_a_failure(api: Api, seed: int) -> None:
    rng = np.random.default_rng(seed)
    body = bytearray(npz(streams=STREAMS, values=TENSOR))
    for at in rng.integers(0, len(body), 3):
        body[at] = rng.integers(0, 256)
    response = await api.post("/v1/bulk", bytes(body), headers={"content-type": NPZ})
    assert response.status_code in {200, 413, 422}
