"""Line protocol over HTTP, as Telegraf and InfluxDB's clients send it."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest

from tests.support.http_calls import Api, assert_problem, running
from tests.support.turns import turns_during

LINES = "weather,place=roof temp=21.5,wet=f 1000\nweather,place=roof temp=22.5,wet=t 2000\n"


async def write(api: Api, body: str | bytes, path: str = "/api/v2/write", **params: str) -> httpx.Response:
    """Write points."""
    content = body.encode() if isinstance(body, str) else body
    return await api.client.post(path, content=content, params=params)


async def counts(api: Api) -> dict[str, int]:
    """Count the readings of every stream."""
    page = (await api.get("/v1/streams")).json()
    return {stream["stream"]: stream["count"] for stream in page["streams"]}


@pytest.mark.parametrize("path", ["/api/v2/write", "/write"])
async def test_points_are_observed_by_the_stream_of_their_measurement_and_tags(api: Api, path: str) -> None:
    assert (await write(api, LINES, path)).status_code == 204
    assert await counts(api) == {"weather,place=roof": 2}


async def test_a_setting_names_the_streams() -> None:
    async with running(line_stream="{place}") as api:
        await write(api, LINES)
        assert await counts(api) == {"roof": 2}


@pytest.mark.parametrize("body", [LINES, 'weather,place=roof temp=1,note="calm"'])
async def test_a_byte_order_mark_is_no_part_of_a_name(api: Api, body: str) -> None:
    await write(api, "\ufeff" + body)
    assert [*await counts(api)] == ["weather,place=roof"]


async def test_fields_are_features_and_booleans_are_numbers(api: Api) -> None:
    await write(api, LINES)
    snapshot = (await api.get("/v1/streams/weather,place=roof/snapshot")).json()
    assert [(each["name"], each["last"]) for each in snapshot["features"]] == [("temp", 22.5), ("wet", 1.0)]


@pytest.mark.parametrize(
    ("precision", "seconds"), [("ns", 1e-9), ("", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("h", 3600.0)]
)
async def test_times_are_in_the_precision_of_the_write(api: Api, precision: str, seconds: float) -> None:
    await api.post("/v1/streams/m", {"time_constant": 60}, method="PUT")
    await write(api, "m f=1 1000", precision=precision)
    snapshot = (await api.get("/v1/streams/m/snapshot")).json()
    assert snapshot["features"][0]["time"] == pytest.approx(1000 * seconds)


@pytest.mark.parametrize("encoding", ["gzip"])
async def test_compressed_bodies_are_taken(api: Api, encoding: str) -> None:
    packed = gzip.compress(LINES.encode())
    response = await api.client.post("/api/v2/write", content=packed, headers={"content-encoding": encoding})
    assert (response.status_code, await counts(api)) == (204, {"weather,place=roof": 2})


async def test_points_that_cannot_be_taken_are_told_and_the_others_are_taken(api: Api) -> None:
    response = await write(api, f"{LINES}no line\nweather,place=roof temp=1e99\nweather,place=yard temp=1")
    assert response.status_code == 400
    message = (
        "partial write: 2 refused: line 3: column 4: expected a field and =, found 'line'; "
        "line 4: /temp: 1e+99 is not within ±1e+75"
    )
    assert response.json() == {"code": "invalid", "message": message, "error": message}
    assert await counts(api) == {"weather,place=roof": 2, "weather,place=yard": 1}


async def test_lines_within_a_text_are_no_points(api: Api) -> None:
    assert (await write(api, 'm f=1\nm note="a\nm f=2 17\nb",f=3\nm f=4')).status_code == 204
    assert await counts(api) == {"m": 3}


async def test_a_point_too_far_ahead_keeps_no_other_from_being_taken(api: Api) -> None:
    response = await write(api, "m f=1 1\nm f=2 9000000000\nm f=3 2", precision="s")
    assert ("line 2" in response.json()["message"], await counts(api)) == (True, {"m": 2})


async def test_a_body_of_texts_is_taken_and_teaches_nothing(api: Api) -> None:
    assert (await write(api, 'log message="all is well"')).status_code == 204
    assert await counts(api) == {}


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"m f=1\xff", "UTF-8"), (b"m f=1", "precision 'days' is none of auto, ns")],
)
async def test_what_cannot_be_read_is_told_in_influxdbs_words(api: Api, body: bytes, message: str) -> None:
    params = {"precision": "days"} if b"\xff" not in body else {}
    answer: Any = (await write(api, body, **params)).json()
    assert (answer["code"], message in answer["message"]) == ("invalid", True)


async def test_a_write_of_which_something_is_refused_is_counted_with_an_example(api: Api) -> None:
    await write(api, f"{LINES}no line")
    await write(api, LINES)
    await write(api, LINES, precision="days")
    metrics = (await api.get("/metrics")).text
    assert 'streamnorm_refusals_total{reason="invalid-reading"} 2.0' in metrics
    [told] = (await api.get("/v1/refusals")).json()["refusals"]
    detail = "POST /api/v2/write: partial write: 1 refused: line 3: column 4: expected a field and =, found 'line'"
    assert (told["count"], told["examples"][-1]["detail"]) == (2, detail)
    assert told["examples"][-1]["payload"].startswith("weather,place=roof")


async def test_a_body_that_grows_beyond_the_limit_is_refused(api: Api) -> None:
    packed = gzip.compress(b"\n" * 1_000_000)
    response = await api.client.post("/write", content=packed, headers={"content-encoding": "gzip"})
    assert_problem(response, 413, "body-too-large")


async def test_a_body_that_is_not_compressed_as_it_says_is_refused(api: Api) -> None:
    response = await api.client.post("/write", content=LINES.encode(), headers={"content-encoding": "gzip"})
    assert_problem(response, 400, "malformed-gzip")


async def test_an_unknown_compression_is_refused(api: Api) -> None:
    response = await api.client.post("/write", content=LINES.encode(), headers={"content-encoding": "br"})
    assert_problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize("stamp", [1000, 4_000_000_000], ids=["taken", "refused"])
async def test_others_have_their_turn_while_many_streams_are_written(stamp: int) -> None:
    async with running() as api:
        needed = []
        for streams in (1, 1, 500):
            lines = "\n".join(f"room,number={n} temp=20 {stamp}" for n in range(streams))
            needed.append(await turns_during(write(api, lines, precision="s")))
    assert needed[-1] >= needed[-2] + 4
