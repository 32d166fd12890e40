"""nginx in front of two replicas, or of two services with a folder each, as its configurations in deploy have it."""

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

from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm_client import Client
from tests.support.processes import PATIENCE, Service, free_port
from tests.support.redis_servers import Server, replicas, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def replicas_configuration(ports: list[int]) -> str:
    """Return the configuration for replicas, here with two on these ports."""
    text = (DEPLOY / "nginx.conf").read_text().replace("    server streamnorm-3:8000;\n", "")
    for number, port in enumerate(ports, 1):
        text = text.replace(f"streamnorm-{number}:8000", f"127.0.0.1:{port}")
    return text


def one_machine_configuration(ports: list[int]) -> str:
    """Return the configuration for services with a folder each, here on these ports."""
    text = (DEPLOY / "nginx-one-machine.conf").read_text()
    for number, port in enumerate(ports, 1):
        text = text.replace(f"127.0.0.1:{8000 + number}", f"127.0.0.1:{port}")
    return text


@contextmanager
def nginx(folder: Path, text: str) -> Iterator[str]:
    """Run nginx with a configuration, in a folder of its own; returns its address."""
    folder.mkdir()
    port = free_port()
    text = text.replace("listen 8000", f"listen 127.0.0.1:{port}")
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
    with ExitStack() as running:
        store = running.enter_context(Server(tmp_path / "store"))
        first, second = running.enter_context(replicas(tmp_path, store.url, 2))
        url = running.enter_context(nginx(tmp_path / "nginx", replicas_configuration([first.port, second.port])))
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


def streams(client: httpx.Client, path: str) -> set[str]:
    """Return the ids of the streams that a service lists."""
    return {found["stream"] for found in client.get(f"{path}/v1/streams").raise_for_status().json()["streams"]}


def test_services_of_one_machine_have_a_folder_and_streams_of_their_own(tmp_path: Path) -> None:
    first, second = Service(tmp_path / "1"), Service(tmp_path / "2")
    for service in (first, second):
        (service.folder / "data").mkdir(parents=True)
    token = SQLiteApiKeys(first.folder / "data").create("all", ["admin"])
    (second.folder / "data/keys.db").symlink_to(first.folder / "data/keys.db")
    ids = {f"s-{number}" for number in range(40)} | {"客厅"}
    with ExitStack() as running:
        for service in (first, second):
            running.enter_context(service)
        url = running.enter_context(nginx(tmp_path / "nginx", one_machine_configuration([first.port, second.port])))
        client = running.enter_context(httpx.Client(base_url=url))
        wait_until(lambda: up(client, "/services/2/readyz"))

        def counted(name: str) -> int | None:
            """Observe a reading of a stream; returns how many it then has, None while its service is away."""
            try:
                answer = client.post(f"/v1/streams/{name}/readings", json={"values": [1.0]})
            except httpx.RemoteProtocolError:  # nginx hangs up where it has nobody to pass a body on to
                return None
            if answer.status_code == httpx.codes.BAD_GATEWAY:
                return None
            count: int = answer.raise_for_status().json()["count"]
            return count

        def counts() -> dict[str, int]:
            """Observe a reading of each stream; returns how many each then has, of those that are answered."""
            return {name: count for name in ids if (count := counted(name)) is not None}

        assert client.get("/v1/streams/s-1").status_code == httpx.codes.UNAUTHORIZED
        client.headers["authorization"] = f"Bearer {token}"
        assert counts() == dict.fromkeys(ids, 1)
        here, there = streams(client, "/services/1"), streams(client, "/services/2")
        assert here
        assert there
        assert not here & there
        assert here | there == ids
        second.stop()
        assert counts() == dict.fromkeys(here, 2)
        assert streams(client, "/services/1") == here
        second.start()
        assert counts() == dict.fromkeys(here, 3) | dict.fromkeys(there, 2)
        with Client(url, key=token) as sdk, sdk.stream("s-0").live() as live:
            assert live.observe([1.0]).count == counts()["s-0"] - 1
        assert client.get("/services/2/").is_success
        moved = client.post("/services/2/v1/streams/s-0/readings", json={"values": [1.0]})
        assert moved.status_code == httpx.codes.FORBIDDEN
        many = client.post("/v1/bulk", json={"readings": [{"stream": "s-0", "values": [1.0]}]})
        assert many.status_code == httpx.codes.NOT_FOUND
        keys = SQLiteApiKeys(first.folder / "data")
        assert keys.revoke(keys.all()[0].id)
        paths = [f"/v1/streams/{min(some)}" for some in (here, there)]
        wait_until(lambda: {client.get(path).status_code for path in paths} == {httpx.codes.UNAUTHORIZED})


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


def up(client: httpx.Client, path: str = "/readyz") -> bool:
    """Return whether nginx and what is behind it answer."""
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False
