"""Every method is chosen by the configuration of a stream or of the service, and outlives the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamnorm.kernels import METHODS
from streamnorm.settings import Settings
from streamnorm.stores.local.open import open_store
from tests.support.http_calls import JSON, Api, assert_problem, document, running
from tests.support.methods import OWN

HERE = "/v1/streams/boiler-7"
READINGS = [{"values": {"temp": 20.0 + n % 7, "door": n % 2, "ir": [n, 2 * n % 5]}} for n in range(40)]

every_method = pytest.mark.parametrize("method", list(METHODS))


def schemas() -> dict[str, dict[str, Any]]:
    """Return what the OpenAPI document says of each method's configuration."""
    components = document()["components"]["schemas"]
    body = document()["paths"]["/v1/streams/{stream_id}"]["put"]["requestBody"]["content"][JSON]["schema"]
    found = [components[each["$ref"].rpartition("/")[2]] for each in body["anyOf"]]
    return {schema["properties"]["method"]["const"]: schema for schema in found}


def limited(schema: dict[str, Any]) -> bool:
    """Return whether a parameter has limits, of its value or its length, or a choice, or is a mapping."""
    kinds = schema.get("anyOf", [schema])
    limits = {
        "exclusiveMinimum",
        "minimum",
        "enum",
        "const",
        "additionalProperties",
        "pattern",
        "maxLength",
        "maxItems",
    }
    return all(limits & kind.keys() for kind in kinds if kind.get("type") != "null")


@every_method
async def test_a_stream_is_given_a_method_and_its_parameters(api: Api, method: str) -> None:
    config = {"method": method} | OWN[method]
    response = await api.post(HERE, config, method="PUT")
    assert response.status_code == 201
    assert (await api.get(HERE)).json()["config"].items() >= config.items()


@every_method
async def test_the_document_has_every_methods_own_parameters(method: str) -> None:
    assert set(OWN[method]) <= set(schemas()[method]["properties"])
    assert set(METHODS[method].parameters.model_fields) - {"horizon", "time_constant"} == set(OWN[method]) - {"horizon"}


@every_method
async def test_the_document_describes_every_parameter_and_its_limits(method: str) -> None:
    for name, schema in schemas()[method]["properties"].items():
        assert schema.get("description"), name
        assert limited(schema), name


@pytest.mark.parametrize(
    ("method", "parameter", "value"),
    [
        ("batch", "window", 1),
        ("batch", "window", 65_537),
        ("batch", "window", 2.5),
        ("batch-renorm", "window", 1),
        ("batch-renorm", "momentum", 0),
        ("batch-renorm", "momentum", 1.1),
        ("batch-renorm", "r_max", 0.9),
        ("batch-renorm", "d_max", -1),
        ("streaming", "period", 1),
        ("streaming", "fold", 0),
        ("streaming", "mix", 1.1),
        ("streaming", "order", 3),
        ("online-2019", "alpha_fwd", 1),
        ("online-2019", "eps", 0),
        ("online-2019", "compensation", "batch"),
        ("online", "window", 5),
        ("adaptive", "alpha_fwd", 0.5),
    ],
)
async def test_a_parameter_out_of_its_limits_or_of_another_method_is_named(
    api: Api, method: str, parameter: str, value: object
) -> None:
    response = await api.post(HERE, {"method": method, parameter: value}, method="PUT")
    assert_problem(response, 422, "invalid-configuration", f"/{parameter}")
    assert await api.state() == {}


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"online", "adaptive"}))
async def test_only_online_and_adaptive_can_forget_by_time(api: Api, method: str) -> None:
    response = await api.post(HERE, {"method": method, "time_constant": 60}, method="PUT")
    problem = assert_problem(response, 422, "invalid-configuration", "")
    assert f"time_constant belongs to the methods online and adaptive; {method} counts readings" in problem["detail"]


@every_method
async def test_a_service_gives_its_method_to_streams_that_are_not_configured(method: str) -> None:
    async with running(method=method, warmup=5) as api, running() as other:
        await other.post(HERE, {"method": method, "warmup": 5}, method="PUT")
        assert await api.observe("boiler-7", *READINGS) == await other.observe("boiler-7", *READINGS)
        assert (await api.get(HERE)).json()["config"] == (await other.get(HERE)).json()["config"]


@every_method
async def test_a_stream_may_have_another_method_than_the_service(method: str) -> None:
    async with running(method="adaptive") as api:
        await api.post(HERE, {"method": method}, method="PUT")
        assert (await api.get(HERE)).json()["config"]["method"] == method


@every_method
async def test_a_streams_statistics_outlive_the_service(method: str, tmp_path: Path) -> None:
    config, settings = {"method": method} | OWN[method], Settings(data_dir=tmp_path)
    async with running() as uninterrupted:
        await uninterrupted.post(HERE, config, method="PUT")
        expected = await uninterrupted.observe("boiler-7", *READINGS)
    async with running(open_store("sqlite", settings.data_dir, settings.durability)) as api:
        await api.post(HERE, config, method="PUT")
        await api.observe("boiler-7", *READINGS[:25])
    async with running(open_store("sqlite", settings.data_dir, settings.durability)) as api:
        assert await api.observe("boiler-7", *READINGS[25:]) == expected


@every_method
async def test_a_snapshot_is_restored_under_another_name_and_goes_on_alike(api: Api, method: str) -> None:
    await api.post(HERE, {"method": method} | OWN[method], method="PUT")
    await api.observe("boiler-7", *READINGS[:25])
    await api.post("/v1/streams/copy/snapshot", (await api.get(f"{HERE}/snapshot")).json(), method="PUT")
    one, other = [await api.observe(stream, *READINGS[25:]) for stream in ("boiler-7", "copy")]
    assert other == one | {"stream": "copy"}


@every_method
async def test_streams_merge_or_the_answer_says_that_the_method_cannot(api: Api, method: str) -> None:
    await api.post(HERE, {"method": method} | OWN[method], method="PUT")
    await api.observe("boiler-7", *READINGS)
    response = await api.post(f"{HERE}/merge", (await api.get(f"{HERE}/snapshot")).json())
    if METHODS[method].merge is None:
        problem = assert_problem(response, 409, "cannot-merge")
        assert problem["detail"].startswith(f"the method '{method}' cannot merge: ")
    else:
        assert response.json()["count"] == 80


@every_method
async def test_a_profile_tells_of_every_feature(api: Api, method: str) -> None:
    await api.post(HERE, {"method": method} | OWN[method], method="PUT")
    await api.observe("boiler-7", *READINGS)
    answer = (await api.get(f"{HERE}/profile")).json()
    assert answer["stream"] == "boiler-7"
    assert {name: feature["kind"] for name, feature in answer["features"].items()} == {
        "temp": "continuous",
        "door": "two-level",
        "ir": "drifting",
    }
    door = answer["features"]["door"]
    assert (door["count"], door["missing"], door["min"], door["max"], door["last"]) == (40, 0, 0.0, 1.0, 1.0)
    assert (door["skew"], door["kurtosis"]) == (pytest.approx(0.0, abs=0.1), pytest.approx(1.0, abs=0.01))
