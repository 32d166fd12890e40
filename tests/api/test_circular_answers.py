"""A circular feature is answered as its sine and cosine in every form, with the numbers that JSON has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from tests.api.test_arrays import NPY, NPZ, array, arrays, npy, npz, send_many
from tests.support.http_calls import NDJSON, NOW, Api, running

RNG = np.random.default_rng(0)
ROWS = np.column_stack([RNG.uniform(0, 360, 30), RNG.normal(20, 3, 30)])
WIND = {"features": {"wind": {"transform": "circular"}}}
NAMES = ["wind.sin", "wind.cos", "temp"]


@pytest.fixture(name="angles")
async def an_api_with_angles() -> AsyncIterator[Api]:
    """Give an API whose streams `roof` and `hill` have an angle."""
    async with running() as api:
        for stream in ("roof", "hill"):
            assert (await api.post(f"/v1/streams/{stream}", WIND, method="PUT")).status_code == 201
        yield api


async def as_json(api: Api, **headers: str) -> Any:
    """Normalize the same rows of `hill` as JSON."""
    body = {"features": ["wind", "temp"], "values": ROWS.tolist()}
    return await api.post("/v1/streams/hill/bulk", body, headers=headers)


async def test_npy_names_what_became_of_the_features(angles: Api) -> None:
    body = npy(ROWS)
    response = await angles.post("/v1/streams/roof/bulk?features=wind,temp", body, headers={"content-type": NPY})
    assert response.headers["streamnorm-features"] == ",".join(NAMES)
    assert array(response).tolist() == (await as_json(angles)).json()["values"]
    assert (await as_json(angles)).json()["features"] == NAMES


async def test_lines_answered_in_npy_are_named_too(angles: Api) -> None:
    lines = [{"values": {"wind": wind, "temp": temp}} for wind, temp in ROWS.tolist()]
    body = "\n".join(map(json.dumps, lines))
    headers = {"content-type": NDJSON, "accept": NPY}
    response = await angles.post("/v1/streams/roof/bulk", body, headers=headers)
    assert response.headers["streamnorm-features"] == ",".join(NAMES)
    assert array(response).tolist() == (await as_json(angles)).json()["values"]


async def test_a_name_that_no_header_can_hold_is_percent_encoded(angles: Api) -> None:
    await angles.post("/v1/streams/vane", {"features": {"*": {"transform": "circular"}}}, method="PUT")
    response = await angles.post(
        "/v1/streams/vane/bulk", {"features": ["风,1"], "values": [[1]]}, headers={"accept": NPY}
    )
    assert response.headers["streamnorm-features"] == "%E9%A3%8E%2C1.sin,%E9%A3%8E%2C1.cos"


@pytest.mark.parametrize("kind", [np.float64, np.float32])
async def test_npz_has_the_features_of_all_streams(angles: Api, kind: Any) -> None:
    values = np.stack([ROWS, ROWS]).astype(kind)
    answer = arrays(
        await send_many(angles, streams=np.array(["roof", "plain"]), values=values, features=np.array(["wind", "temp"]))
    )
    body = {"features": ["wind", "temp"], "values": values[0].tolist()}
    roof, plain = [
        (await angles.post(f"/v1/streams/{stream}/bulk", body)).json()["values"] for stream in ("hill", "other")
    ]
    assert answer["features"].tolist() == [*NAMES, "wind"]
    assert answer["values"].dtype == kind
    assert answer["values"][0, :, :3].tolist() == np.array(roof, kind).tolist()
    assert answer["values"][1][:, [3, 2]].tolist() == np.array(plain, kind).tolist()
    assert np.isnan(answer["values"][0, :, 3]).all()
    assert np.isnan(answer["values"][1, :, :2]).all()


async def test_an_npz_sent_again_is_answered_as_before(angles: Api) -> None:
    sent = {"streams": np.array(["roof"]), "values": ROWS[None], "features": np.array(["wind", "temp"])}
    first, again = [arrays(await send_many(angles, **sent, first_seq=np.array([5]))) for _ in range(2)]
    assert again.pop("replayed").all()
    assert {name: each.tolist() for name, each in again.items()} == {
        name: each.tolist() for name, each in first.items()
    }


@pytest.mark.parametrize("stream", ["hill", "plain"])
async def test_an_npz_that_is_only_normalized_has_the_numbers_of_json(angles: Api, stream: str) -> None:
    body = {"features": ["wind", "temp"], "values": ROWS.tolist()}
    path = f"/v1/streams/{stream}/bulk"
    await angles.post(path, body)
    expected = (await angles.post(f"{path}?learn=false", body)).json()["values"]
    sent = npz(streams=np.array([stream]), values=ROWS[None], features=np.array(["wind", "temp"]))
    answer = arrays(await angles.post("/v1/bulk?learn=false", sent, headers={"content-type": NPZ}))
    assert answer["values"][0].tolist() == expected


async def test_a_pack_has_a_record_of_each(angles: Api) -> None:
    pack = [
        {"bt": NOW, "n": "wind", "u": "deg", "v": 90},
        {"n": "temp", "v": 20},
        {"n": "wind", "u": "deg", "t": 1, "v": 9},
    ]
    headers = {"content-type": "application/senml+json"}
    readings = [{"wind": 90, "temp": 20}, {"wind": 9}]
    body = {"readings": [{"stream": "roof", "values": values} for values in readings]}
    first, last = (await angles.post("/v1/bulk", body)).json()["readings"]
    await angles.post("/v1/streams/mast", WIND, method="PUT")
    found = (await angles.post("/v1/streams/mast/bulk", pack, headers=headers)).json()
    expected = [*first["values"].items(), *last["values"].items()]
    assert [(each["n"], each["v"]) for each in found] == expected
    assert [each["t"] - NOW for each in found] == [0, 0, 0, 1, 1]
