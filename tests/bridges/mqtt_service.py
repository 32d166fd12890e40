"""A service that talks to a broker, and how it says that it fares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.support.broker import until
from tests.support.processes import PATIENCE, Service


def service_of(url: str, folder: Path, **settings: str) -> Service:
    """Build a service that is to talk to a broker."""
    return Service(
        folder, STREAMNORM_MQTT=url, **{f"STREAMNORM_{name.upper()}": value for name, value in settings.items()}
    )


def ready(service: Service) -> Any:
    """Ask how the service fares."""
    return httpx.get(f"{service.url}/readyz", timeout=PATIENCE).json()


def until_connected(service: Service) -> str:
    """Wait until the broker is there; returns how the service puts it."""
    until(lambda: ready(service).get("bridges", {}).get("mqtt", "").startswith("connected"))
    told: str = ready(service)["bridges"]["mqtt"]
    return told


def figures(service: Service) -> dict[str, float]:
    """Read the metrics of MQTT."""
    lines = httpx.get(f"{service.url}/metrics", timeout=PATIENCE).text.splitlines()
    pairs = (line.rpartition(" ") for line in lines if line.startswith(("streamnorm_mqtt", "streamnorm_bridge")))
    return {name: float(value) for name, _, value in pairs}


def counted(service: Service, name: str) -> float:
    """Read one metric; 0 where it is not there yet."""
    return figures(service).get(name, 0.0)


def refused(service: Service) -> dict[str, float]:
    """Read how many messages were refused, by the labels that tell of some."""
    name = "streamnorm_mqtt_refused_total"
    return {
        each.removeprefix(name): value for each, value in figures(service).items() if each.startswith(name) and value
    }
