"""A real Prometheus reads what the service counts, and writes to it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from streamnorm.auth.api_keys import SQLiteApiKeys
from tests.support.processes import PATIENCE, STEP, Service, free_port

CONFIG = """
scrape_configs:
  - job_name: streamnorm
    scrape_interval: 300ms
    scrape_timeout: 300ms
    authorization: {{credentials: {key}}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""

WRITES = """
global: {{scrape_interval: 300ms, scrape_timeout: 300ms, external_labels: {{site: "roof/2"}}}}
scrape_configs:
  - {{job_name: itself, static_configs: [{{targets: ["{address}"]}}]}}
remote_write:
  - url: {url}/v1/ingest/prometheus-remote-write
    authorization: {{credentials: {key}}}
    write_relabel_configs: [{{source_labels: [__name__], regex: "up|process_.*|scrape_.*", action: keep}}]
    queue_config: {{batch_send_deadline: 300ms}}
    metadata_config: {{send: {metadata}}}
"""


@contextmanager
def prometheus(folder: Path, config: str, **told: object) -> Iterator[str]:
    """Start a Prometheus server with a configuration that has its address, and what else is told; returns it."""
    address = f"127.0.0.1:{free_port()}"
    file = folder / "prometheus.yml"
    file.write_text(config.format(address=address, **told))
    command = [
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:  # noqa: S603 - as configured here
        try:
            yield f"http://{address}"
        finally:
            process.kill()


def until(address: str, query: str) -> float:
    """Ask Prometheus until it knows a figure, and give it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            found = httpx.get(f"{address}/api/v1/query", params={"query": query}).json()["data"]["result"]
        except (httpx.TransportError, ValueError):
            found = []
        if found:
            return float(found[0]["value"][1])
        time.sleep(STEP)
    raise AssertionError(f"Prometheus never knew {query}")


def test_prometheus_reads_the_figures_with_a_key(tmp_path: Path) -> None:
    key = SQLiteApiKeys(tmp_path / "data").create("prometheus", ["read"])
    sender = {"authorization": f"Bearer {SQLiteApiKeys(tmp_path / 'data').create('gauge', ['observe'])}"}
    with Service(tmp_path) as service:
        for stream in ("boiler-7", "pump-1", "pump-1"):
            path = f"{service.url}/v1/streams/{stream}/readings"
            assert httpx.post(path, json={"values": {"temp": 21.4}}, headers=sender).status_code == 200
        httpx.post(f"{service.url}/v1/streams/boiler-7/readings", content="{", headers=sender)
        with prometheus(tmp_path, CONFIG, key=key, port=service.port) as address:
            assert until(address, 'up{job="streamnorm"} == 1') == 1
            assert until(address, "streamnorm_readings_total") == 3
            assert until(address, 'streamnorm_refusals_total{reason="malformed-json"}') == 1
            assert until(address, "streamnorm_streams_resident") == 2
            assert until(address, "streamnorm_streams_evicted") == 0
            assert until(address, "streamnorm_streams_resting") == 0
            assert until(address, "streamnorm_store_lag_seconds") >= 0
            assert until(address, "streamnorm_commit_seconds_count > 0") > 0
            assert until(address, 'streamnorm_request_seconds_count{call="readings"}') == 4
            buckets = 'histogram_quantile(0.99, streamnorm_request_seconds_bucket{call="readings"})'
            assert until(address, buckets) > 0
            labels = httpx.get(f"{address}/api/v1/labels").json()["data"]
    assert {"stream", "id", "stream_id"}.isdisjoint(labels)


def test_prometheus_own_linter_finds_nothing_wrong(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        httpx.post(f"{service.url}/v1/streams/boiler-7/readings", json={"values": {"temp": 21.4}})
        text = httpx.get(f"{service.url}/metrics").content
    command = ["promtool", "check", "metrics"]
    ours = b"\n".join(line for line in text.splitlines() if b"streamnorm_" in line) + b"\n"
    result = subprocess.run(command, input=ours, capture_output=True, check=False, timeout=PATIENCE)  # noqa: S603 - the same
    assert (result.returncode, result.stdout + result.stderr) == (0, b"")


@pytest.mark.parametrize("metadata", ["true", "false"])
def test_prometheus_writes_what_it_scrapes(tmp_path: Path, metadata: str) -> None:
    keys = SQLiteApiKeys(tmp_path / "data")
    writer, reader = keys.create("prometheus", ["observe"]), {"authorization": f"Bearer {keys.create('me', ['read'])}"}
    with Service(tmp_path) as service:
        told = {"url": service.url, "key": writer, "metadata": metadata}
        with prometheus(tmp_path, WRITES, **told) as address:
            assert until(address, "prometheus_remote_storage_samples_total > 30") > 30
            assert until(address, "prometheus_remote_storage_samples_failed_total") == 0
            assert until(address, "prometheus_remote_storage_samples_retried_total") == 0
            stream = f"prometheus,instance={address.removeprefix('http://')},job=itself,site=roof~12"
            found = httpx.get(f"{service.url}/v1/streams/{quote(stream, safe='')}/profile", headers=reader).json()
    assert found["features"]["up"]["mean"] == 1.0
    assert found["features"]["process_resident_memory_bytes"]["mean"] > 1e6
