"""The client configures every method, and reads what the service knows of a sensor."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from streamnorm_client import AsyncClient, Client, InvalidConfiguration
from tests.support.methods import OWN
from tests.support.processes import Service

ROWS = [{"temp": x, "door": n % 2} for n, x in enumerate(np.random.default_rng(0).normal(20, 3, 50))]

every_method = pytest.mark.parametrize("method", OWN)


@every_method
def test_a_method_and_its_parameters_are_configured(service: Service, method: str) -> None:
    with Client(service.url) as client:
        stream = client.stream(f"configured-{method}")
        configured = stream.configure(method=method, **OWN[method])
        assert configured.config.items() >= ({"method": method} | OWN[method]).items()
        assert stream.bulk(ROWS).count == 50


@every_method
def test_a_profile_tells_the_kinds_of_sensors(service: Service, method: str) -> None:
    with Client(service.url) as client:
        stream = client.stream(f"profiled-{method}")
        stream.configure(method=method, **OWN[method])
        stream.bulk(ROWS)
        features = stream.profile().features
    assert {name: feature.kind for name, feature in features.items()} == {"temp": "continuous", "door": "two-level"}
    assert (features["door"].min, features["door"].max) == (0.0, 1.0)
    assert features["door"].kurtosis == pytest.approx(1, abs=0.1)


def test_both_clients_read_the_same_profile(service: Service) -> None:
    with Client(service.url) as client:
        client.stream("profiled").bulk(ROWS)
        told = client.stream("profiled").profile()

    async def read() -> Any:
        async with AsyncClient(service.url) as client:
            return await client.stream("profiled").profile()

    assert asyncio.run(read()) == told


def test_a_parameter_of_another_method_is_refused(service: Service) -> None:
    with Client(service.url) as client, pytest.raises(InvalidConfiguration, match="/window: is unknown"):
        client.stream("refused").configure(method="online", window=5)


def test_another_method_tells_that_the_statistics_began_anew(service: Service) -> None:
    with Client(service.url) as client:
        stream = client.stream("restarted")
        stream.bulk(ROWS)
        configured = stream.configure(method="adaptive")
    assert (configured.restarted, configured.reason) == (
        True,
        "the method adaptive keeps other statistics than online",
    )
