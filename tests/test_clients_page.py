"""Every example of docs/clients.md is run; what needs a heavy peer is run by tests/peers (`make test-peers`)."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.broker import Broker
from tests.support.docs_page import PAGE, Example, check_session, commands, examples, printed
from tests.support.processes import PATIENCE, Service

FLOW = PAGE.parent / "examples" / "node-red.json"
POINTS = "cpu,host=edge usage=20,busy=t 1700000000000000000\ncpu,host=edge usage=22,busy=f 1700000010000000000\n"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run a broker."""
    with Broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Iterator[Service]:
    """Run a service that speaks to the broker."""
    folder = tmp_path_factory.mktemp("service")
    with Service(folder, STREAMNORM_MQTT=broker.url, STREAMNORM_MQTT_DISCOVERY="homeassistant") as running:
        yield running


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of one's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def adapted(text: str, service: Service, broker: Broker) -> str:
    """Put the real addresses in."""
    return text.replace("http://127.0.0.1:8000", service.url).replace("-p 1883", f"-p {broker.port}")


def of(kind: str) -> list[Example]:
    """Return the blocks of a kind that need no peer."""
    return [example for example in examples() if example.kind == kind and example.peer is None]


def test_every_way_in_has_its_example() -> None:
    headings = {example.heading for example in examples()}
    assert headings >= {
        "curl", "Python", "NDJSON and WebSockets", "NumPy files", "asyncio", "pandas", "In process", "scikit-learn",
        "river", "Gymnasium", "Recorded files", "Pipes", "MQTT", "Line protocol: Telegraf and InfluxDB clients",
        "SenML",
    }  # fmt: skip
    assert {example.kind for example in examples()} == {"console", "python", "toml"}


def test_the_sessions_in_python_show_what_the_page_shows(here: Path, service: Service, broker: Broker) -> None:
    assert here.is_dir()
    scope: dict[str, object] = {"__name__": "__main__"}
    for example in of("python"):
        check_session(adapted(example.text, service, broker), scope)


@pytest.mark.parametrize("example", of("console"), ids=lambda example: example.heading)
def test_the_commands_print_what_the_page_shows(here: Path, service: Service, broker: Broker, example: Example) -> None:
    for command, output in commands(adapted(example.text, service, broker)):
        if not command.startswith("streamnorm serve"):  # it runs already
            assert printed(command, here).rstrip("\n") == output.rstrip("\n")


def telegraf() -> dict[str, Any]:
    """Return Telegraf's configuration."""
    (example,) = of("toml")
    return tomllib.loads(example.text)


def test_telegrafs_processor_is_fed_and_read_as_telegraf_does(here: Path) -> None:
    (processor,) = telegraf()["processors"]["execd"]
    program = str(Path(sys.executable).with_name(processor["command"][0]))
    done = subprocess.run(  # noqa: S603 - our own program
        [program, *processor["command"][1:]], input=POINTS, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.stdout.splitlines()[1].startswith("cpu,host=edge usage=22.0,busy=false,usage_normalized=0.99")
    assert (here / "telegraf-state.json").exists()


def test_telegrafs_output_is_taken(service: Service, broker: Broker) -> None:
    (output,) = telegraf()["outputs"]["influxdb_v2"]
    response = httpx.post(
        adapted(output["urls"][0], service, broker) + "/api/v2/write",
        params={"org": output["organization"], "bucket": output["bucket"]},
        content=gzip.compress(POINTS.encode()),
        headers={"Authorization": "Token any", "Content-Encoding": "gzip", "User-Agent": "Telegraf/1.36 Go/1.25"},
    )
    assert response.status_code == 204, response.text
    assert httpx.get(f"{service.url}/v1/streams/cpu,host=edge").json()["count"] == 2


def test_the_flow_for_node_red_is_whole() -> None:
    flow = json.loads(FLOW.read_text())
    ids = {node["id"] for node in flow}
    assert {target for node in flow for wire in node.get("wires", []) for target in wire} <= ids
    assert {node["z"] for node in flow if "z" in node} == {node["id"] for node in flow if node["type"] == "tab"}
    assert {"inject", "http request", "debug"} <= {node["type"] for node in flow}


def test_the_tools_of_the_page_are_here() -> None:
    assert all(map(shutil.which, ("curl", "mosquitto_rr")))
