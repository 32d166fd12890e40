"""compose.yaml: what it gives its services is what they take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.broker import Broker, connected
from tests.support.processes import PATIENCE

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def mounts() -> list[tuple[str, str]]:
    """Return what is mounted, and where."""
    found = [volume.split(":")[:2] for service in SERVICES.values() for volume in service.get("volumes", ())]
    return [(source, target) for source, target in found]


def test_the_service_the_broker_prometheus_and_grafana_are_there() -> None:
    assert SERVICES.keys() == {"streamnorm", "prometheus-key", "mosquitto", "prometheus", "grafana"}


def test_files_and_volumes_that_are_mounted_exist() -> None:
    files = [source for source, _ in mounts() if source.startswith("./")]
    assert [file for file in files if not (ROOT / file).is_file()] == []
    assert {source for source, _ in mounts()} - set(files) == COMPOSE["volumes"].keys()


def test_services_depend_on_services_that_are_there() -> None:
    assert {other for service in SERVICES.values() for other in service.get("depends_on", ())} <= SERVICES.keys()


def test_ports_are_open_on_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_the_broker_takes_its_configuration(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    text = (ROOT / "deploy" / "mosquitto.conf").read_text()
    (tmp_path / "mosquitto.conf").write_text(
        text.replace("listener 1883", f"listener {broker.port}").replace("/mosquitto/data", str(tmp_path))
    )
    with broker, connected(broker) as client:
        assert client is not None


def test_prometheus_takes_its_configuration() -> None:
    command = ["promtool", "check", "config", "--syntax-only", str(ROOT / "deploy" / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603 - a tool
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_asks_the_service_with_the_key_that_is_made_for_it() -> None:
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["streamnorm:8000"]}]
    (command,) = SERVICES["prometheus-key"]["command"]
    assert command.endswith(f"--scope read > {job['authorization']['credentials_file']}")


def test_the_command_makes_a_key_once(tmp_path: Path) -> None:
    (command,) = SERVICES["prometheus-key"]["command"]
    made = command.replace("/keys/", f"{tmp_path}/").replace("streamnorm keys", f"{sys.executable} -m streamnorm keys")
    environment = {"STREAMNORM_DATA_DIR": str(tmp_path / "data"), "PATH": "/usr/bin:/bin"}
    keys = []
    for _ in range(2):
        subprocess.run(["/bin/sh", "-c", made], env=environment, timeout=PATIENCE, check=True)  # noqa: S603 - our own
        keys.append((tmp_path / "prometheus").read_text())
    assert keys[0] == keys[1]
    assert len(keys[0].split()) == 1


@pytest.mark.parametrize("name", ["datasource", "dashboards"])
def test_grafana_is_provisioned_by_files_of_its_form(name: str) -> None:
    given = yaml.safe_load((ROOT / "deploy" / "grafana" / f"{name}.yaml").read_text())
    assert given["apiVersion"] == 1


def test_grafana_finds_its_dashboard_and_its_source() -> None:
    (source,) = yaml.safe_load((ROOT / "deploy" / "grafana" / "datasource.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((ROOT / "deploy" / "grafana" / "dashboards.yaml").read_text())["providers"]
    dashboard = dict(mounts())["./docs/grafana.json"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert dashboard == SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(dashboard).parent == Path(provider["options"]["path"])
    variables = json.loads((ROOT / "docs" / "grafana.json").read_text())["templating"]["list"]
    assert {"datasource"} <= {variable["name"] for variable in variables}
