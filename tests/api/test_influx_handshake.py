"""What clients of InfluxDB ask before they send anything: Tasmota, the Arduino client, Telegraf."""

from __future__ import annotations

import pytest

from tests.support.http_calls import Api

LINE = "m f=1"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/health", "/ready", "/ping?verbose=true", "/ping?verbose=1"])
async def test_a_client_that_asks_whether_somebody_is_there_hears_200(api: Api, method: str, path: str) -> None:
    response = await api.client.request(method, path)
    assert response.status_code == 200
    assert response.headers["X-Influxdb-Version"].startswith("streamnorm-")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/ping", "/ping?verbose=false"])
async def test_a_quiet_ping_hears_204(api: Api, method: str, path: str) -> None:
    response = await api.client.request(method, path)
    assert (response.status_code, response.content) == (204, b"")


async def test_health_says_pass_and_who_it_is(api: Api) -> None:
    told = (await api.get("/health")).json()
    assert (told["status"], told["name"]) == ("pass", "streamnorm")


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_a_service_that_stops_is_not_healthy(api: Api, path: str) -> None:
    api.app.state.context.serving = False
    response = await api.get(path)
    assert (response.status_code, response.json()["message"]) == (503, "the service is starting or stopping")


async def test_databases_can_be_created_by_parameter_and_by_form(api: Api) -> None:
    asked = {"q": 'CREATE DATABASE "x"; SHOW DATABASES'}
    expected = {"results": [{"statement_id": 0}, {"statement_id": 1}]}
    assert (await api.client.get("/query", params=asked)).json() == expected
    response = await api.client.post("/query", data=asked)
    assert (response.status_code, response.json()) == (200, expected)


async def test_who_selects_points_is_told_that_there_are_none(api: Api) -> None:
    answer = (await api.client.get("/query", params={"q": "select * from m"})).json()
    assert "no points are kept" in answer["results"][0]["error"]


async def test_a_query_without_a_statement_is_wrong(api: Api) -> None:
    assert (await api.client.post("/query", content=b"\xff")).status_code == 400


async def test_a_query_that_is_too_long_is_refused(api: Api) -> None:
    assert (await api.client.post("/query", content=b"q=" + b"a" * 70_000)).status_code == 413


@pytest.mark.parametrize("time", ["1000000000", "1000000000000", "1000000000000000", "1000000000000000000", ""])
@pytest.mark.parametrize(
    ("path", "params"), [("/api/v3/write_lp", {"db": "x"}), ("/api/v2/write", {"precision": "auto"})]
)
async def test_the_unit_of_a_time_is_told_by_its_size(api: Api, path: str, params: dict[str, str], time: str) -> None:
    await api.post("/v1/streams/m", {"time_constant": 60}, method="PUT")
    response = await api.client.post(path, params=params, content=f"{LINE} {time}")
    assert response.status_code == 204
    snapshot = (await api.get("/v1/streams/m/snapshot")).json()
    assert snapshot["features"][0]["time"] == (1e9 if time else 1_795_338_000.0)


async def test_version_three_names_its_precisions_in_full(api: Api) -> None:
    response = await api.client.post("/api/v3/write_lp?db=x&precision=second", content=f"{LINE} 7")
    assert response.status_code == 204
