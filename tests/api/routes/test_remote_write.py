"""Prometheus writes to `/v1/ingest/prometheus-remote-write`, and is answered as it expects."""

from __future__ import annotations

import cramjam
import pytest

from tests.support.http_calls import NOW, Api, assert_problem
from tests.support.remote_write import HEADERS, NODE, write_request

PATH = "/v1/ingest/prometheus-remote-write"
TIME = int(NOW * 1000)
STREAM = "prometheus,instance=roof:9100,job=node"
BODY = write_request(
    ({"__name__": "node_load1", **NODE}, [(0.5, TIME - 15_000), (0.75, TIME)]),
    ({"__name__": "up", **NODE}, [(1.0, TIME)]),
)


async def test_a_write_is_observed_and_answered_by_nothing(api: Api) -> None:
    response = await api.post(PATH, BODY, headers=HEADERS)
    assert (response.status_code, response.content) == (204, b"")
    info = (await api.get(f"/v1/streams/{STREAM}")).json()
    assert (info["count"], info["features"]) == (2, ["node_load1", "up"])


async def test_metadata_alone_is_nothing_to_observe_and_no_fault(api: Api) -> None:
    metadata = b"\x1a\x0e" + b"\x08\x02\x12\x02up\x22\x06Is up."  # field 3: a gauge, its name and its help
    response = await api.post(PATH, bytes(cramjam.snappy.compress_raw(metadata)), headers=HEADERS)
    assert (response.status_code, response.content, await api.state()) == (204, b"", {})
    response = await api.post(f"{PATH}?learn=false", write_request(), headers=HEADERS)
    assert (response.status_code, response.json()) == (200, {"readings": []})


async def test_the_rules_of_a_stream_tell_that_prometheus_wrote_it(api: Api) -> None:
    await api.post(PATH, BODY, headers=HEADERS)
    told = (await api.get(f"/v1/streams/{STREAM}/rules")).json()
    assert [mapping["name"] for mapping in told["mappings"]] == ["prometheus-remote-write"]


async def test_a_write_that_learns_nothing_is_answered_in_json(api: Api) -> None:
    await api.post(PATH, BODY, headers=HEADERS)
    response = await api.post(f"{PATH}?learn=false", BODY, headers=HEADERS)
    assert [each["count"] for each in response.json()["readings"]] == [2, 2]


async def test_what_is_refused_does_not_keep_the_rest_out(api: Api) -> None:
    ahead = write_request(
        ({"__name__": "up", "job": "ahead"}, [(1.0, TIME + 10**9)]), ({"__name__": "up", "job": "b"}, [(1.0, TIME)])
    )
    many = [({"__name__": f"m{number}", "job": "many"}, [(1.0, TIME)]) for number in range(21)]
    response = await api.post(PATH, ahead, headers=HEADERS)
    assert_problem(response, 422, "invalid-reading", "", "")
    assert "partial write: 1 of 2 readings were refused" in response.json()["detail"]
    assert "prometheus,job=ahead: " in response.json()["detail"]
    response = await api.post(PATH, write_request(*many), headers=HEADERS)
    assert (response.status_code, response.json()["type"]) == (422, "/problems/limit-exceeded")
    assert (await api.state()).keys() == {"prometheus,job=b"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (b"\xff", {}, 422, "invalid-reading"),
        (BODY, {"content-encoding": "zstd"}, 415, "unsupported-media-type"),
        (
            BODY,
            {"content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"},
            415,
            "unsupported-media-type",
        ),
    ],
)
async def test_what_is_no_write_is_not_sent_again(
    api: Api, body: bytes, headers: dict[str, str], status: int, kind: str
) -> None:
    response = await api.post(PATH, body, headers=HEADERS | headers)
    assert (response.status_code, response.json()["type"]) == (status, f"/problems/{kind}")


async def test_snappy_is_for_writes_alone(api: Api) -> None:
    response = await api.post("/v1/ingest/tasmota", BODY, headers=HEADERS)
    assert response.status_code == 415
