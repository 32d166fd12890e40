"""The same readings in every form, sent and asked for: the same numbers and counters."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.api.test_arrays import NPY, NPZ, STREAMS, TENSOR, Arrays, npy, npz
from tests.support.http_calls import JSON, NDJSON, Api, assert_problem

BLOCK = "/v1/streams/block/bulk"
NAMES = ["a", "b"]
VALUES = np.random.default_rng(0).normal(20, 3, (40, 2))
VALUES[3, 1] = np.nan
ROWS = [[None if x != x else x for x in row] for row in VALUES.tolist()]  # noqa: PLR0124 - NaN
READINGS = [{"values": dict(zip(NAMES, row, strict=True)), "seq": seq} for seq, row in enumerate(ROWS, 5)]
SENT: dict[str, tuple[str, bytes]] = {
    JSON: ("", json.dumps({"features": NAMES, "values": ROWS, "first_seq": 5}).encode()),
    NDJSON: ("?", "\n".join(map(json.dumps, READINGS)).encode()),
    NPY: ("?features=a,b&first_seq=5", npy(VALUES)),
}
every_form = pytest.mark.parametrize("form", SENT)
MANY = [{"stream": f"s-{n % 3}", "values": row} for n, row in enumerate(ROWS)]
MANY_SENT = {JSON: json.dumps({"readings": MANY}), NDJSON: "\n".join(map(json.dumps, MANY))}


async def send(api: Api, form: str, accept: str, query: str = "") -> httpx.Response:
    """Send the readings in a form, and ask for the answer in another."""
    own, body = SENT[form]
    path = f"{BLOCK}{own or '?'}{query}"
    return await api.post(path, body, headers={"content-type": form, "accept": accept})


async def send_lines(api: Api, accept: str, *readings: object) -> httpx.Response:
    """Send a reading a line."""
    return await api.lines(BLOCK, *readings, headers={"accept": accept})


def items(response: httpx.Response) -> list[Any]:
    """Return the lines of an answer."""
    assert (response.status_code, response.headers["content-type"]) == (200, NDJSON), response.text
    return [json.loads(line) for line in response.text.splitlines()]


def numbers(response: httpx.Response) -> Arrays:
    """Return an answer's numbers, whatever its form."""
    form = response.headers["content-type"]
    if form == NPY:
        return np.asarray(np.load(io.BytesIO(response.content)))
    rows = [list(line["values"].values()) for line in items(response)] if form == NDJSON else response.json()["values"]
    return np.array(rows, dtype=np.float64)


@every_form
@pytest.mark.parametrize("accept", SENT)
async def test_the_same_readings_give_the_same_bits_in_every_form(api: Api, form: str, accept: str) -> None:
    response = await send(api, form, accept)
    assert response.headers["content-type"] == accept
    single = [list((await api.observe("single", reading))["values"].values()) for reading in READINGS]
    assert numbers(response).tobytes() == np.array(single, dtype=np.float64).tobytes()


@every_form
@pytest.mark.parametrize("accept", SENT)
async def test_the_form_of_the_answer_leaves_the_state_alike(api: Api, form: str, accept: str) -> None:
    await send(api, form, accept)
    asked = await api.state()
    await api.post("/v1/streams/block", method="DELETE")
    await send(api, form, "*/*")
    assert await api.state() == asked


@every_form
async def test_a_block_is_answered_by_lines_as_its_readings_one_by_one(api: Api, form: str) -> None:
    await api.post("/v1/streams/block", {"warmup": 20}, method="PUT")
    await api.post("/v1/streams/single", {"warmup": 20}, method="PUT")
    for stream in ("block", "single"):
        await api.observe(stream, {"values": {"a": 20, "b": 20}, "seq": 2})
    said = items(await send(api, form, NDJSON))
    assert [line["ready"] for line in said] == [False] * 19 + [True] * 21
    assert said == [await api.observe("single", reading) | {"stream": "block"} for reading in READINGS]


@every_form
async def test_readings_are_answered_by_a_table_as_a_block_is(api: Api, form: str) -> None:
    await api.observe("block", {"values": {"a": 20, "b": 20}, "seq": 2})
    answer = (await send(api, form, JSON)).json()
    del answer["values"]
    expected = {"stream": "block", "count": 41, "ready": True, "features": NAMES, "last_seq": 44, "gap": 2}
    assert answer == expected


@every_form
async def test_the_counters_of_a_table_are_headers_of_an_array(api: Api, form: str) -> None:
    response = await send(api, form, NPY)
    found = {name: value for name, value in response.headers.items() if name.startswith("streamnorm-")}
    assert found == {
        "streamnorm-stream": "block",
        "streamnorm-count": "40",
        "streamnorm-ready": "true",
        "streamnorm-last-seq": "44",
    }


@every_form
@pytest.mark.parametrize("accept", SENT)
async def test_a_retry_may_ask_for_another_form(api: Api, form: str, accept: str) -> None:
    first = await send(api, NDJSON, JSON)
    again = await send(api, form, accept)
    assert numbers(again).tobytes() == numbers(first).tobytes()
    assert (await api.get("/v1/streams/block")).json()["count"] == 40
    if accept == NDJSON:
        assert all(line["replayed"] for line in items(again))


@every_form
async def test_readings_that_are_only_normalized_are_alike_in_every_form(api: Api, form: str) -> None:
    await send(api, JSON, JSON)
    before = await api.state()
    said = [await send(api, form, accept, "&learn=false") for accept in SENT]
    assert len({numbers(one).tobytes() for one in said}) == 1
    assert {line["count"] for line in items(said[1])} == {40}
    assert await api.state() == before


async def test_rows_without_names_are_answered_as_arrays(api: Api) -> None:
    response = await api.post(BLOCK, {"values": ROWS}, headers={"accept": NDJSON})
    single = [(await api.observe("single", {"values": row}))["values"] for row in ROWS]
    assert [line["values"] for line in items(response)] == single


async def test_float32_is_answered_alike_by_a_table_and_by_lines(api: Api) -> None:
    body, headers = npy(VALUES.astype(np.float32)), {"content-type": NPY}
    by_table = (await api.post(BLOCK, body, headers=headers | {"accept": JSON})).json()["values"]
    response = await api.post("/v1/streams/other/bulk", body, headers=headers | {"accept": NDJSON})
    assert [line["values"] for line in items(response)] == by_table


async def test_lines_may_have_their_features_in_any_order(api: Api) -> None:
    answer = (await send_lines(api, JSON, {"values": {"a": 1, "b": 5}}, {"values": {"b": 9, "a": 1}})).json()
    assert (answer["features"], answer["values"][1][0]) == (["a", "b"], 0.0)
    assert answer["values"][1][1] > 0


NO_TABLE: dict[str, list[Any]] = {
    "other features": [{"values": {"a": 1}}, {"values": {"b": 1}}],
    "fewer features": [{"values": {"a": 1, "b": 1}}, {"values": {"b": 1}}],
    "a channel": [{"values": {"ir": [1, 2]}}],
}


@pytest.mark.parametrize("accept", [JSON, NPY])
@pytest.mark.parametrize("readings", NO_TABLE.values(), ids=NO_TABLE)
async def test_what_makes_no_table_is_not_answered_as_one(api: Api, readings: list[Any], accept: str) -> None:
    problem = assert_problem(await send_lines(api, accept, *readings), 406, "not-acceptable")
    assert "readings that make no table is given as application/x-ndjson" in problem["detail"]
    assert await api.state() == {}


async def test_what_makes_no_table_is_answered_by_lines_where_they_will_do(api: Api) -> None:
    readings = NO_TABLE["other features"]
    assert len(items(await send_lines(api, f"{JSON}, text/plain, */*", *readings))) == 2


ASKED = {
    f"{NPY}, {JSON}": NPY,
    f"{JSON};q=0.5, {NDJSON}": NDJSON,
    f"{NDJSON}; q=0.1, text/html, {NPY}; q=0.25": NPY,
    f"*/*;q=0.1, {NDJSON};q=0.2": NDJSON,
    f"{NDJSON};q=0, application/*": JSON,
    "*/*": JSON,
    "": JSON,
}


@pytest.mark.parametrize(("accept", "form"), list(ASKED.items()))
async def test_the_form_asked_for_the_most_is_given(api: Api, accept: str, form: str) -> None:
    assert (await send(api, JSON, accept)).headers["content-type"] == form


async def test_a_form_that_is_not_wanted_at_all_is_not_given(api: Api) -> None:
    assert_problem(await send(api, JSON, f"{NDJSON};q=0"), 406, "not-acceptable")
    assert await api.state() == {}


@pytest.mark.parametrize("accept", MANY_SENT)
@pytest.mark.parametrize("form", MANY_SENT)
async def test_readings_of_many_streams_are_the_same_in_both_forms(api: Api, form: str, accept: str) -> None:
    response = await api.post("/v1/bulk", MANY_SENT[form], headers={"content-type": form, "accept": accept})
    said = items(response) if accept == NDJSON else response.json()["readings"]
    for n, row in enumerate(ROWS):
        alone = await api.observe(f"t-{n % 3}", {"values": row})
        assert said[n] == alone | {"stream": f"s-{n % 3}"}


@pytest.mark.parametrize("form", MANY_SENT)
async def test_readings_of_many_streams_are_not_answered_as_arrays(api: Api, form: str) -> None:
    response = await api.post("/v1/bulk", MANY_SENT[form], headers={"content-type": form, "accept": NPZ})
    detail = f"the answer to {form} is given as {JSON} or {NDJSON}, not as {NPZ}"
    assert assert_problem(response, 406, "not-acceptable")["detail"] == detail
    assert await api.state() == {}


@pytest.mark.parametrize("accept", MANY_SENT)
async def test_arrays_of_many_streams_are_answered_as_arrays_only(api: Api, accept: str) -> None:
    body = npz(streams=STREAMS, values=TENSOR)
    response = await api.post("/v1/bulk", body, headers={"content-type": NPZ, "accept": accept})
    detail = f"the answer to {NPZ} is given as {NPZ}, not as {accept}"
    assert assert_problem(response, 406, "not-acceptable")["detail"] == detail
    assert await api.state() == {}


@pytest.mark.parametrize("path", [BLOCK, "/v1/bulk"])
async def test_lines_that_are_answered_while_they_are_sent_stay_lines(api: Api, path: str) -> None:
    line: dict[str, Any] = {"values": [1]} | ({} if path == BLOCK else {"stream": "block"})
    response = await api.lines(f"{path}?streaming=true", line, headers={"accept": JSON})
    assert_problem(response, 406, "not-acceptable")
    assert await api.state() == {}
