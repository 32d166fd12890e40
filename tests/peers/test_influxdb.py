"""InfluxDB's own client, unchanged, writes to the service; and InfluxDB itself takes what the service forwards."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamnorm import Normalizer
from streamnorm_client import Client
from tests.support.broker import until
from tests.support.docs_page import ROOT, examples
from tests.support.processes import PATIENCE, Service, free_port

PYTHON = ROOT / ".venv-peers" / "bin" / "python"
RUN = "import doctest, sys; sys.exit(doctest.testfile(sys.argv[1], module_relative=False).failed)"
BATCHING = """
import sys
from influxdb_client import InfluxDBClient, WriteOptions
with InfluxDBClient(sys.argv[1], token="unused", org="home") as client:
    with client.write_api(write_options=WriteOptions(batch_size=50, flush_interval=100)) as api:
        for n in range(500):
            point = {"measurement": "m", "tags": {"host": "a b"}, "fields": {"n": n}, "time": n + 1}
            api.write("sensors", record=point)
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Run a service."""
    with Service(tmp_path) as running:
        yield running


def run(*arguments: str) -> None:
    """Run Python with InfluxDB's client."""
    done = subprocess.run([PYTHON, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_the_page(tmp_path: Path, service: Service) -> None:
    (example,) = (each for each in examples() if each.peer == "influxdb-client")
    session = tmp_path / "session.txt"
    session.write_text(example.text.replace("http://127.0.0.1:8000", service.url))
    run("-c", RUN, str(session))
    with Client(service.url) as client:
        assert client.stream("weather,place=yard").info().count == 3


def test_batches_arrive_in_order(service: Service) -> None:
    run("-c", BATCHING, service.url)
    normalizer = Normalizer()
    normalizer.observe_block([[float(n)] for n in range(500)], features=["n"])
    with Client(service.url) as client:
        found = client.stream("m,host=a b").snapshot()["features"][0]
    assert [found[name] for name in ("count", "last", "mean")] == [
        normalizer.snapshot()["features"][0][name] for name in ("count", "last", "mean")
    ]


CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[http]
  bind-address = "127.0.0.1:{http}"
"""


@pytest.fixture
def influxdb(tmp_path: Path) -> Iterator[str]:
    """Run InfluxDB 1, Debian's, with a database."""
    http = free_port()
    config = tmp_path / "influxdb.conf"
    config.write_text(CONFIG.format(folder=tmp_path / "influx", rpc=free_port(), http=http))
    url = f"http://127.0.0.1:{http}"
    with (tmp_path / "influxd.log").open("wb") as log:
        process = subprocess.Popen(["influxd", "-config", str(config)], stdout=log, stderr=log)  # noqa: S603, S607
    try:
        until(lambda: _up(url))
        asked(url, "CREATE DATABASE normalized", "POST")
        yield url
    finally:
        process.kill()
        process.wait(PATIENCE)


def test_what_is_forwarded_can_be_queried(tmp_path: Path, influxdb: str) -> None:
    with Service(tmp_path, STREAMNORM_FORWARD=f"{influxdb}/write?db=normalized") as service:
        run("-c", BATCHING, service.url)
        until(lambda: _count(influxdb) == 500)
    rows = asked(influxdb, "SELECT n FROM m WHERE host = 'a b' ORDER BY time LIMIT 3")
    normalizer = Normalizer()
    expected = [[n + 1, normalizer.observe([float(n)]).values[0]] for n in range(3)]
    assert rows["results"][0]["series"][0]["values"] == expected


def asked(url: str, query: str, method: str = "GET") -> Any:
    """Ask InfluxDB."""
    parameters = urllib.parse.urlencode({"db": "normalized", "epoch": "ns", "q": query})
    request = urllib.request.Request(f"{url}/query?{parameters}", method=method)  # noqa: S310 - on this machine
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
        return json.load(answer)


def _count(url: str) -> int:
    found = asked(url, "SELECT count(n) FROM m")["results"][0].get("series")
    return int(found[0]["values"][0][1]) if found else 0


def _up(url: str) -> bool:
    try:
        asked(url, "SHOW DATABASES")
    except OSError:
        return False
    return True


def test_the_peers_have_an_environment_of_their_own() -> None:
    assert Path(sys.executable).parent != PYTHON.parent
