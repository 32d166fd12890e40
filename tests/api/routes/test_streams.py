"""The calls about streams: list, describe, configure, snapshot, merge, reset, delete."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.http_calls import Api, assert_problem

HERE = "/v1/streams/boiler-7"


async def names(api: Api, **params: Any) -> tuple[list[str], str | None]:
    """List a page."""
    page = (await api.get("/v1/streams", **params)).json()
    return [info["stream"] for info in page["streams"]], page["next"]


async def test_an_empty_service_lists_no_stream(api: Api) -> None:
    assert await names(api) == ([], None)


async def test_streams_are_listed_in_pages_in_byte_order(api: Api) -> None:
    for stream in ("b", "C", "a", "d"):
        await api.observe(stream, {"values": [1]})
    assert await names(api, limit=2) == (["C", "a"], "a")
    assert await names(api, limit=2, after="a") == (["b", "d"], None)


async def test_streams_are_listed_by_prefix(api: Api) -> None:
    for stream in ("boiler-1", "boiler-2", "boile"):
        await api.observe(stream, {"values": [1]})
    assert await names(api, prefix="boiler-") == (["boiler-1", "boiler-2"], None)


async def test_a_page_holds_a_hundred_unless_asked(api: Api) -> None:
    await api.lines("/v1/bulk", *({"stream": f"s-{n:03}", "values": [1]} for n in range(101)))
    listed, following = await names(api)
    assert (len(listed), following) == (100, "s-099")


async def test_a_stream_is_described(warm: Api) -> None:
    info = (await warm.get(HERE)).json()
    assert info == {
        "stream": "boiler-7",
        "count": 3,
        "last_seq": 17,
        "features": ["temp", "door", "ir"],
        "config": info["config"],
        "created": "2026-11-22T09:00:00Z",
        "updated": "2026-11-22T09:00:00Z",
    }
    assert info["config"].items() >= {"method": "online", "horizon": 1000.0, "warmup": 32, "affine": {}}.items()


async def test_a_configuration_makes_a_stream(api: Api) -> None:
    response = await api.post("/v1/streams/new", {"horizon": 50, "affine": {"a": {"gamma": 2}}}, method="PUT")
    answer = response.json()
    assert (response.status_code, answer["count"], answer["restarted"]) == (201, 0, False)
    assert answer["config"].items() >= {"horizon": 50.0, "affine": {"a": {"gamma": 2.0, "beta": 0.0}}}.items()


async def test_a_configuration_replaces_the_one_before(api: Api) -> None:
    await api.post("/v1/streams/new", {"horizon": 50, "clamp": 3}, method="PUT")
    response = await api.post("/v1/streams/new", {"warmup": 5}, method="PUT")
    config = response.json()["config"]
    assert (response.status_code, config["horizon"], config["clamp"], config["warmup"]) == (200, 1000.0, None, 5)


async def test_a_configuration_keeps_the_statistics_where_it_can(warm: Api) -> None:
    before = (await warm.get(f"{HERE}/snapshot")).json()
    answer = (await warm.post(HERE, {"horizon": 50}, method="PUT")).json()
    after = (await warm.get(f"{HERE}/snapshot")).json()
    assert (answer["restarted"], answer["count"]) == (False, 3)
    assert after["features"] == before["features"]


async def test_a_configuration_is_in_force_from_the_next_reading_on(warm: Api) -> None:
    await warm.post(HERE, {"affine": {"door": {"gamma": 0, "beta": 7}}}, method="PUT")
    assert (await warm.observe("boiler-7", {"values": {"door": 0}}))["values"] == {"door": 7.0}


async def test_a_deleted_stream_is_gone(warm: Api) -> None:
    response = await warm.client.delete(HERE)
    assert (response.status_code, response.content) == (204, b"")
    assert_problem(await warm.get(HERE), 404, "stream-not-found")
    assert await names(warm) == ([], None)


async def test_a_deleted_stream_starts_anew(warm: Api) -> None:
    await warm.client.delete(HERE)
    answer = await warm.observe("boiler-7", {"values": {"temp": 1}, "seq": 1})
    assert (answer["count"], answer["values"]) == (1, {"temp": 0.0})


async def test_a_reset_forgets_the_statistics_and_keeps_the_rest(warm: Api) -> None:
    await warm.post(HERE, {"horizon": 50}, method="PUT")
    info = (await warm.post(f"{HERE}/reset")).json()
    assert (info["count"], info["features"], info["last_seq"], info["config"]["horizon"]) == (0, [], 17, 50.0)


async def test_a_restored_snapshot_is_the_same_snapshot(warm: Api) -> None:
    snapshot = (await warm.get(f"{HERE}/snapshot")).json()
    response = await warm.post("/v1/streams/copy/snapshot", snapshot, method="PUT")
    assert response.status_code == 201
    assert (await warm.get("/v1/streams/copy/snapshot")).json() == snapshot


async def test_a_restored_stream_goes_on_to_the_same_bits(warm: Api) -> None:
    await warm.post("/v1/streams/copy/snapshot", (await warm.get(f"{HERE}/snapshot")).json(), method="PUT")
    reading = {"values": {"temp": 25.5, "door": 1, "ir": [[0, 9], [3, 4]]}, "seq": 18}
    assert await warm.observe("copy", reading) == await warm.observe("boiler-7", reading) | {"stream": "copy"}


async def test_a_snapshot_takes_the_place_of_a_stream(warm: Api) -> None:
    snapshot = (await warm.get(f"{HERE}/snapshot")).json()
    await warm.observe("boiler-7", {"values": {"temp": 99}})
    response = await warm.post(f"{HERE}/snapshot", snapshot, method="PUT")
    assert (response.status_code, response.json()["count"]) == (200, 3)
    assert (await warm.get(f"{HERE}/snapshot")).json() == snapshot


async def test_merging_is_observing_together(api: Api) -> None:
    for stream in ("a", "b", "both"):
        await api.post(f"/v1/streams/{stream}", {"method": "cumulative"}, method="PUT")
    xs = [3.0, 5.0, 4.0, 9.0, 1.0]
    await api.observe("a", *({"values": [x]} for x in xs[:2]))
    await api.observe("b", *({"values": [x]} for x in xs[2:]))
    await api.observe("both", *({"values": [x]} for x in xs))
    info = (await api.post("/v1/streams/a/merge", (await api.get("/v1/streams/b/snapshot")).json())).json()
    merged = [(await api.get(f"/v1/streams/{stream}/snapshot")).json()["features"][0] for stream in ("a", "both")]
    assert info["count"] == 5
    assert merged[0]["mean"] == pytest.approx(merged[1]["mean"], rel=1e-12)
    assert merged[0]["variance"] == pytest.approx(merged[1]["variance"], rel=1e-12)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/snapshot", None),
        ("POST", "/reset", None),
        ("POST", "/denormalize", {"values": [1]}),
        ("POST", "/readings?learn=false", {"values": [1]}),
        ("POST", "/bulk?learn=false", {"values": [[1]]}),
    ],
    ids=lambda value: str(value).replace("/", ""),
)
async def test_a_stream_that_is_not_there_is_told(api: Api, method: str, path: str, body: object) -> None:
    problem = assert_problem(await api.post(f"/v1/streams/none{path}", body, method=method), 404, "stream-not-found")
    assert problem["detail"] == "there is no stream 'none'"


async def test_merging_into_no_stream_makes_none(warm: Api) -> None:
    snapshot = (await warm.get(f"{HERE}/snapshot")).json()
    assert_problem(await warm.post("/v1/streams/none/merge", snapshot), 404, "stream-not-found")
    assert list(await warm.state()) == ["boiler-7"]


async def test_merging_another_method_is_refused(warm: Api) -> None:
    await warm.post("/v1/streams/other", {"time_constant": 60}, method="PUT")
    before = await warm.state()
    snapshot = (await warm.get("/v1/streams/other/snapshot")).json()
    assert_problem(await warm.post(f"{HERE}/merge", snapshot), 409, "cannot-merge")
    assert await warm.state() == before
