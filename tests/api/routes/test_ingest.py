"""What devices send as they send it: /v1/ingest/{mapping}."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from streamnorm.mappings import Catalogue
from tests.support.guarded_app import guarded
from tests.support.http_calls import NOW, Api, assert_problem, running

UPLINK = {
    "end_device_ids": {"device_id": "soil-7"},
    "received_at": "2026-11-22T08:59:00Z",
    "uplink_message": {"f_cnt": 4711, "decoded_payload": {"moisture": 27.5, "status": "ok"}},
}


async def features(api: Api, stream: str) -> dict[str, Any]:
    """Return the last raw value of each feature."""
    profile = (await api.get(f"/v1/streams/{stream}/profile")).json()
    return {name: each["last"] for name, each in profile["features"].items()}


async def test_a_webhook_is_observed_by_the_name_of_a_preset(api: Api) -> None:
    response = await api.post("/v1/ingest/ttn", UPLINK)
    assert response.json() == {
        "readings": [{"stream": "soil-7", "count": 1, "ready": False, "values": {"moisture": 0}}]
    }
    assert await features(api, "soil-7") == {"moisture": 27.5}


async def test_the_query_names_the_stream_or_gives_the_topic(api: Api) -> None:
    await api.post("/v1/ingest/zigbee2mqtt?topic=zigbee2mqtt/roof", {"temperature": 21.4})
    await api.post("/v1/ingest/zigbee2mqtt?device=cellar&anything=else", {"temperature": 11.4})
    assert [await features(api, name) for name in ("roof", "cellar")] == [{"temperature": 21.4}, {"temperature": 11.4}]


async def test_a_form_is_taken(api: Api) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    response = await api.post("/v1/ingest/ecowitt", "PASSKEY=5A1C&dateutc=now&tempf=38.5&model=GW1000", headers=form)
    assert response.status_code == 200
    assert await features(api, "5A1C") == {"tempf": 38.5}


@pytest.mark.parametrize("media", ["text/plain", "application/octet-stream", "application/json; charset=utf-8", ""])
async def test_any_media_type_is_taken_and_gzip(api: Api, media: str) -> None:
    body = gzip.compress(json.dumps(UPLINK).encode())
    headers = {"content-encoding": "gzip"} | ({"content-type": media} if media else {})
    response = await api.client.post("/v1/ingest/ttn", content=body, headers=headers)
    assert response.status_code == 200


async def test_headers_of_a_cloud_event_name_its_stream(api: Api) -> None:
    headers = {"ce-specversion": "1.0", "ce-source": "boiler", "ce-id": "1"}
    response = await api.post("/v1/ingest/cloudevents", {"temp": 81.5}, headers=headers)
    assert response.json()["readings"][0]["stream"] == "boiler"


async def test_a_mapping_of_the_service_goes_before_a_preset(api: Api) -> None:
    api.app.state.context.mappings = Catalogue([{"name": "ttn", "stream": "{/dev}", "strings": "number"}])
    response = await api.post("/v1/ingest/ttn", {"dev": "a", "t": "21,5 °C"})
    assert response.json()["readings"][0]["stream"] == "a"
    assert await features(api, "a") == {"t": 21.5}


async def test_mappings_of_the_file_are_read_anew_with_it(tmp_path: Path) -> None:
    file = tmp_path / "streamnorm.toml"
    file.write_text('[[mappings]]\nname = "gauge"\nstream = "{/id}"\n')
    async with running(config=str(file)) as api:
        text = {"id": "a", "t": "21,5"}
        assert (await api.post("/v1/ingest/gauge", text)).status_code == 422
        file.write_text('[[mappings]]\nname = "gauge"\nstream = "{/id}"\nstrings = "number"\n')
        assert (await api.post("/v1/config/reload")).status_code == 200
        assert (await api.post("/v1/ingest/gauge", text)).status_code == 200
        assert await features(api, "a") == {"t": 21.5}


async def test_a_message_is_observed_as_a_whole_or_not_at_all(api: Api) -> None:
    body = [{"ts": int(NOW - 60), "values": {"t": 1}}, {"ts": int(NOW), "values": {"t": 1e300}}]
    response = await api.post("/v1/ingest/thingsboard?device=pump", body)
    assert_problem(response, 422, "invalid-reading", "/1/values/t")
    assert (await api.get("/v1/streams")).json()["streams"] == []


async def test_without_learning_nothing_is_learned(api: Api) -> None:
    await api.post("/v1/ingest/ttn", UPLINK)
    before = await api.state()
    assert (await api.post("/v1/ingest/ttn?learn=false", UPLINK)).status_code == 200
    assert await api.state() == before


async def test_an_error_names_the_mapping_and_what_would_help(api: Api) -> None:
    response = await api.post("/v1/ingest/ttn", {"join_accept": {}})
    assert_problem(response, 422, "invalid-reading", "")
    assert "mapping 'ttn': there is nothing at /uplink_message/decoded_payload" in response.json()["detail"]
    assert "payload formatter" in response.json()["detail"]


async def test_an_unknown_mapping_is_not_found_and_the_nearest_is_told(api: Api) -> None:
    response = await api.post("/v1/ingest/zigbee2mqt", {"temperature": 21.4})
    assert_problem(response, 404, "mapping-not-found")
    assert "did you mean zigbee2mqtt" in response.json()["detail"]


async def test_a_body_beyond_the_limit_is_refused(api: Api) -> None:
    assert_problem(await api.post("/v1/ingest/ttn", " " * 50_000), 413, "body-too-large")


async def test_the_key_s_prefix_holds_for_the_streams_of_a_message(tmp_path: Path) -> None:
    async with guarded(tmp_path, host="192.0.2.1") as service:
        key = service.keys.create("gauge", ["observe"], "soil-")
        other = UPLINK | {"end_device_ids": {"device_id": "pump-1"}}
        answers = [await service.call("POST", "/v1/ingest/ttn", key, json=body) for body in (UPLINK, other)]
        both = await service.call("POST", "/v1/ingest/ttn", key, json=[UPLINK, other])
        assert [answer.status_code for answer in (*answers, both)] == [200, 403, 403]
        assert service.context.service.observed == 1
