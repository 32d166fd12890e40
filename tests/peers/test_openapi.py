"""Clients that others' generators make of the OpenAPI document compile, and send a reading."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.docs_page import ROOT
from tests.support.processes import PATIENCE, Service

PEERS = ROOT / ".venv-peers"
GENERATOR = PEERS / "generator" / "bin"
MODULES = PEERS / "node" / "node_modules"
SEND = Path(__file__).with_name("send.ts")
OPTIONS = {
    "strict": True,
    "target": "es2022",
    "module": "nodenext",
    "lib": ["es2022", "dom"],
    "types": ["node"],
    "skipLibCheck": True,
}
PROGRAM = """
import json, sys
from streamnorm_http_api_client import Client
from streamnorm_http_api_client.api.readings import observe, observe_bulk
from streamnorm_http_api_client.api.streams import configure, describe
from streamnorm_http_api_client.models import BlockBody, OnlineConfiguration, ReadingBody, ReadingBodyValuesType0

client = Client(sys.argv[1])
configure.sync("python", client=client, body=OnlineConfiguration(method="online", horizon=50.0))
reading = ReadingBody(ReadingBodyValuesType0.from_dict({"temp": 21.4, "door": 0}), seq=1)
answer = observe.sync("python", client=client, body=reading, stats=True)
block = observe_bulk.sync("python", client=client, body=BlockBody([[21.5, 1]], features=["temp", "door"]))
refused = observe.sync("python", client=client, body=ReadingBody(ReadingBodyValuesType0()))
print(json.dumps([answer.values.to_dict(), block.count, refused.status, describe.sync("python", client=client).count]))
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service."""
    with Service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def document(service: Service, tmp_path: Path) -> Path:
    """Write the service's document to a file."""
    file = tmp_path / "openapi.json"
    file.write_text(httpx.get(f"{service.url}/openapi.json").raise_for_status().text)
    return file


def ran(*command: str | Path, folder: Path) -> str:
    """Run a program in a folder; returns what it prints."""
    environment = {**os.environ, "PATH": f"{GENERATOR}:{PEERS / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(  # noqa: S603 - installed by the Makefile
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_openapi_python_client(service: Service, document: Path, tmp_path: Path) -> None:
    told = ran(GENERATOR / "openapi-python-client", "generate", "--path", document, folder=tmp_path)
    package = tmp_path / "streamnorm-http-api-client"
    problems = [line for line in told.splitlines() if line.startswith(("WARNING", "ERROR")) and "/bulk" not in line]
    assert problems == [], told  # arrays and lines, which it does not know, belong to bulk calls
    ran(GENERATOR / "python", "-W", "error", "-m", "compileall", "-q", package, folder=tmp_path)
    values, count, status, total = json.loads(ran(GENERATOR / "python", "-c", PROGRAM, service.url, folder=package))
    assert (values, count, status, total) == ({"temp": 0.0, "door": 0.0}, 2, 422, 2)


def test_openapi_typescript(service: Service, document: Path, tmp_path: Path) -> None:
    binaries = MODULES / ".bin"
    ran(binaries / "openapi-typescript", document, "-o", "schema.d.ts", "--default-non-nullable=false", folder=tmp_path)
    (tmp_path / "node_modules").symlink_to(MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS}))
    (tmp_path / SEND.name).write_text(SEND.read_text())
    ran(binaries / "tsc", "-p", ".", folder=tmp_path)
    told = [json.loads(line) for line in ran("node", "send.js", service.url, folder=tmp_path).splitlines()]
    assert told == [{"count": 1, "values": {"temp": 0, "door": 0}}, {"status": 422}]
