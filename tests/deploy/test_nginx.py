"""nginx in front of two replicas, as deploy/nginx.conf has it: a stream goes to one replica, whatever the call."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import prometheus_client.parser

from tests.processes import Service, free_port
from tests.servers import Server, wait_until

CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx.conf"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def nginx(folder: Path, ports: list[int]) -> Iterator[str]:
    """Run nginx in a folder of its own, before services on these ports; gives its address."""
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
    """Give how many readings a replica has observed."""
    text = httpx.get(f"{service.url}/metrics").text
    families = prometheus_client.parser.text_string_to_metric_families(text)
    return next(family.samples[0].value for family in families if family.name == "streamnorm_readings")


def test_a_stream_keeps_to_one_replica_and_streams_spread_over_both(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("store", "first", "second", "nginx")]
    for folder in folders:
        folder.mkdir()
    with ExitStack() as running:
        environment = {"STREAMNORM_STORE": running.enter_context(Server(folders[0])).url}
        first, second = (running.enter_context(Service(folder, **environment)) for folder in folders[1:3])
        url = running.enter_context(nginx(folders[3], [first.port, second.port]))
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


def up(client: httpx.Client) -> bool:
    """Tell whether nginx and a replica behind it answer."""
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False
