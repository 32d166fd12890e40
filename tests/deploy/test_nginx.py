"""nginx in front of two replicas, as deploy/nginx.conf has it: a stream goes to one replica, whatever the call."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import orjson
import prometheus_client.parser

from tests.support.processes import PATIENCE, Service, free_port
from tests.support.redis_servers import Server, replicas, wait_until

CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx.conf"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def nginx(folder: Path, ports: list[int]) -> Iterator[str]:
    """Run nginx in a folder of its own, before services on these ports; returns its address."""
    port = free_port()
    text = CONFIGURATION.read_text().replace("listen 8000", f"listen 127.0.0.1:{port}")
    text = text.replace("    server streamnorm-3:8000;\n", "")
    for number, own in enumerate(ports, 1):
        text = text.replace(f"streamnorm-{number}:8000", f"127.0.0.1:{own}")
    places = "".join(f"  {name}_temp_path {folder}/{name};\n" for name in TEMPORARY)
    text = text.replace("http {\n", f"http {{\n  access_log off;\n{places}")
    (folder / "nginx.conf").write_text(text)
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise RuntimeError("there is no nginx: apt-get install nginx-light")
    options = ["-e", "stderr", "-p", str(folder), "-c", "nginx.conf", "-g", f"daemon off; pid {folder}/nginx.pid;"]
    with subprocess.Popen([program, *options]) as process:  # noqa: S603 - a known program
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def observed(service: Service) -> float:
    """Return how many readings a replica has observed."""
    text = httpx.get(f"{service.url}/metrics").text
    families = prometheus_client.parser.text_string_to_metric_families(text)
    return next(family.samples[0].value for family in families if family.name == "streamnorm_readings")


def test_a_stream_keeps_to_one_replica_and_events_tell_of_all(tmp_path: Path) -> None:
    folder = tmp_path / "nginx"
    folder.mkdir()
    with ExitStack() as running:
        store = running.enter_context(Server(tmp_path / "store"))
        first, second = running.enter_context(replicas(tmp_path, store.url, 2))
        url = running.enter_context(nginx(folder, [first.port, second.port]))
        client = running.enter_context(httpx.Client(base_url=url))
        wait_until(lambda: up(client))
        for _ in range(10):
            assert client.post("/v1/streams/boiler-7/readings", json={"values": [1.0]}).is_success
        assert sorted([observed(first), observed(second)]) == [0, 10]
        for number in range(40):
            call = f"/v1/streams/s-{number}/bulk"
            assert client.post(call, json={"values": [[1.0]]}).json()["count"] == 1
        assert min(observed(first), observed(second)) > 0
        assert client.get("/v1/streams/boiler-7").json()["count"] == 10
        watched = {event(f"{replica.url}/v1/events", client) for replica in (first, second)}
        assert watched == {"boiler-7"}


def event(url: str, client: httpx.Client) -> str:
    """Watch at a replica until a reading is told, which goes to one of the two; returns its stream."""
    with httpx.stream("GET", url, timeout=PATIENCE) as events, ThreadPoolExecutor(1) as pool:
        lines = events.iter_lines()
        told = pool.submit(lambda: next(line for line in lines if line.startswith("data: ")))
        while not told.done():
            client.post("/v1/streams/boiler-7/readings", json={"values": [1.0]}).raise_for_status()
            time.sleep(0.1)
        stream: str = orjson.loads(told.result().removeprefix("data: "))["stream"]
        return stream


def up(client: httpx.Client) -> bool:
    """Return whether nginx and a replica behind it answer."""
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False
