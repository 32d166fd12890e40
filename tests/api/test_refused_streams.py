"""Configurations, snapshots and queries that are wrong are told with their place, and change no bit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.http_calls import Api, assert_problem

HERE = "/v1/streams/boiler-7"

CONFIGURATIONS: dict[str, tuple[Any, list[str]]] = {
    "an array for a body": ([], [""]),
    "an unknown method": ({"method": "onlin"}, ["/method"]),
    "a number for a method": ({"method": 1}, ["/method"]),
    "an unknown parameter": ({"horizn": 50}, ["/horizn"]),
    "a parameter whose name needs escaping": ({"a/b~c": 50}, ["/a~1b~0c"]),
    "text for a number": ({"horizon": "50"}, ["/horizon"]),
    "a boolean for a number": ({"warmup": True}, ["/warmup"]),
    "a value below its limit": ({"horizon": 1}, ["/horizon"]),
    "a value above its limit": ({"warmup": 10**9}, ["/warmup"]),
    "two wrong values": ({"clamp": -1, "robust": 0.5}, ["/clamp", "/robust"]),
    "two that exclude each other": ({"horizon": 50, "time_constant": 60}, [""]),
    "an unknown way with missing values": ({"missing": "zero"}, ["/missing"]),
    "a wrong gamma": ({"affine": {"a/b": {"gamma": "2"}}}, ["/affine/a~1b/gamma"]),
    "an unknown part of the affine map": ({"affine": {"temp": {"delta": 2}}}, ["/affine/temp/delta"]),
}


@pytest.mark.parametrize(("body", "pointers"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
async def test_a_configuration_is_refused_for(warm: Api, body: object, pointers: list[str]) -> None:
    before = await warm.state()
    assert_problem(await warm.post(HERE, body, method="PUT"), 422, "invalid-configuration", *pointers)
    assert await warm.state() == before


async def test_a_refused_configuration_makes_no_stream(api: Api) -> None:
    await api.post(HERE, {"horizon": 0}, method="PUT")
    assert await api.state() == {}


async def snapshot(api: Api) -> Any:
    """Export the stream."""
    return (await api.get(f"{HERE}/snapshot")).json()


SNAPSHOTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "another version": ({"version": 2}, ["/version"]),
    "an unknown field": ({"comment": "mine"}, ["/comment"]),
    "text for a number": ({"count": "3"}, ["/count"]),
    "a negative count": ({"count": -3}, ["/count"]),
    "a count with a fraction": ({"count": 3.5}, ["/count"]),
    "a number above 2⁵³": ({"last_seq": 2**53}, ["/last_seq"]),
    "a time beyond all years": ({"created": 1e18}, ["/created"]),
    "an unknown method": ({"config": {"method": "onlin"}}, ["/config/method"]),
    "an unknown parameter": ({"config": {"horizn": 2}}, ["/config/horizn"]),
    "an object for the features": ({"features": {}}, ["/features"]),
}

FEATURES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown field": ({"median": 1.0}, ["/features/0/median"]),
    "text for a number": ({"mean": "21"}, ["/features/0/mean"]),
    "null for a number": ({"mean": None}, ["/features/0/mean"]),
    "a negative weight": ({"weight": -1.0}, ["/features/0/weight"]),
    "a negative variance": ({"variance": -1.0}, ["/features/0/variance"]),
    "a name of nothing": ({"name": ""}, ["/features/0/name"]),
    "a name that cannot be printed": ({"name": "a\nb"}, ["/features/0/name"]),
    "a name twice": ({"name": "door"}, ["/features"]),
    "a shape of nothing": ({"shape": [2, 0]}, ["/features/0/shape"]),
    "a shape over the limit": ({"shape": [2000, 2000]}, ["/features/0/shape"]),
    "a shape too deep": ({"shape": [1] * 33}, ["/features/0/shape"]),
    "statistics of another method": ({"own": [1.0]}, ["/features/0/own"]),
}


@pytest.mark.parametrize("call", [("PUT", "snapshot"), ("POST", "merge")], ids=["restored", "merged"])
@pytest.mark.parametrize(("change", "pointers"), SNAPSHOTS.values(), ids=SNAPSHOTS)
async def test_a_snapshot_is_refused_for(
    warm: Api, change: dict[str, Any], pointers: list[str], call: tuple[str, str]
) -> None:
    before = await warm.state()
    response = await warm.post(f"{HERE}/{call[1]}", await snapshot(warm) | change, method=call[0])
    assert_problem(response, 422, "invalid-snapshot", *pointers)
    assert await warm.state() == before


@pytest.mark.parametrize(("change", "pointers"), FEATURES.values(), ids=FEATURES)
async def test_a_feature_of_a_snapshot_is_refused_for(warm: Api, change: dict[str, Any], pointers: list[str]) -> None:
    before = await warm.state()
    body = await snapshot(warm)
    body["features"][0] |= change
    assert_problem(await warm.post(f"{HERE}/snapshot", body, method="PUT"), 422, "invalid-snapshot", *pointers)
    assert await warm.state() == before


@pytest.mark.parametrize("missing", ["version", "config", "count", "created", "updated", "features"])
async def test_a_snapshot_without_one_of_its_parts_is_refused(warm: Api, missing: str) -> None:
    body = await snapshot(warm)
    del body[missing]
    assert_problem(await warm.post(f"{HERE}/snapshot", body, method="PUT"), 422, "invalid-snapshot", f"/{missing}")


async def test_a_snapshot_that_is_no_object_is_refused(warm: Api) -> None:
    for method, path in (("PUT", "snapshot"), ("POST", "merge")):
        assert_problem(await warm.post(f"{HERE}/{path}", [], method=method), 422, "invalid-snapshot", "")


async def test_a_snapshot_of_more_features_than_the_limit_is_refused(warm: Api) -> None:
    body = await snapshot(warm)
    body["features"] = [body["features"][0] | {"name": f"f{n}"} for n in range(21)]
    problem = assert_problem(await warm.post(f"{HERE}/snapshot", body, method="PUT"), 422, "limit-exceeded")
    assert problem["limit"] == "max_features"


async def test_merging_a_channel_into_a_number_is_refused(warm: Api) -> None:
    body = await snapshot(warm)
    body["features"][0]["shape"] = [3]
    before = await warm.state()
    assert_problem(await warm.post(f"{HERE}/merge", body), 422, "invalid-reading", "/values/temp")
    assert await warm.state() == before


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/query/limit"),
        ("limit=1001", "/query/limit"),
        ("limit=-1", "/query/limit"),
        ("limit=ten", "/query/limit"),
        ("limit=", "/query/limit"),
        ("limit=1e2", "/query/limit"),
    ],
)
async def test_a_page_is_refused_for(api: Api, query: str, pointer: str) -> None:
    assert_problem(await api.get(f"/v1/streams?{query}"), 422, "invalid-request", pointer)


@pytest.mark.parametrize("query", ["prefix=é", "prefix=%00", "after=%ff%fe", "after=~~~", "prefix=" + "a" * 1000])
async def test_a_page_of_what_cannot_be_there_is_empty(warm: Api, query: str) -> None:
    assert (await warm.get(f"/v1/streams?{query}")).json() == {"streams": [], "next": None}
