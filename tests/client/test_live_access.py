"""Live connections with keys, over TLS, and behind a path of a proxy."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm_client import AsyncClient, Client, ConnectionFailed, Forbidden, Unauthorized
from tests.streaming.peers import Peer
from tests.support.certificates import certificate
from tests.support.processes import PATIENCE, STEP, Service, free_port

PATIENT = 1000  # retries: far more than a test has time for
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, dict[str, str]]]:
    """Run a service with keys."""
    folder = tmp_path_factory.mktemp("keyed")
    keys = SQLiteApiKeys(folder / "data")
    made = {
        "all": keys.create("all", ["observe"]),
        "boilers": keys.create("boilers", ["observe"], "boiler-"),
        "reader": keys.create("reader", ["read"]),
    }
    with Service(folder) as service:
        yield service, made


def test_the_key_goes_with_the_connection(keyed: tuple[Service, dict[str, str]]) -> None:
    service, keys = keyed
    with Client(service.url, key=keys["boilers"]) as client, client.stream("boiler-7").live() as live:
        assert live.observe({"temp": 21.4}, seq=1).count == 1


@pytest.mark.parametrize(
    ("key", "error"), [(None, Unauthorized), ("sn_wrong", Unauthorized), ("boilers", Forbidden), ("reader", Forbidden)]
)
def test_a_key_that_is_not_good_for_it_is_told_and_not_tried_again(
    keyed: tuple[Service, dict[str, str]], key: str | None, error: type[Exception]
) -> None:
    service, keys = keyed
    shown = None if key is None else keys.get(key, key)
    with Client(service.url, key=shown, retries=PATIENT) as client, client.stream("pump-1").live() as live:
        with pytest.raises(error, match="key"):
            live.observe([1], seq=1)
        with pytest.raises(error, match="key"):
            list(live.observe_many([[1], [2]]))


async def test_with_asyncio_a_wrong_key_is_told(keyed: tuple[Service, dict[str, str]]) -> None:
    service, _ = keyed
    async with AsyncClient(service.url, key="sn_wrong", retries=PATIENT) as client, client.stream("a").live() as live:
        with pytest.raises(Unauthorized):
            await live.observe([1], seq=1)


def test_a_key_with_a_prefix_is_good_for_its_streams_only(keyed: tuple[Service, dict[str, str]]) -> None:
    service, keys = keyed
    with Peer(service, "/v1/live", keys["boilers"]) as peer:
        peer.send(*(b'{"stream": "%b", "values": [1]}' % name for name in (b"boiler-1", b"pump-1", b"boiler-1")))
        answers = [peer.answer() for _ in range(3)]
    assert [answer.get("count") for answer in answers] == [1, None, 2]
    assert answers[1]["type"] == "/problems/forbidden"


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [
        ("", "/v1/live", 401),
        ("sn_wrong", "/v1/live", 401),
        ("reader", "/v1/live", 403),
        ("reader", "/v1/streams/boiler-7/live", 403),
        ("boilers", "/v1/streams/pump-1/live", 403),
        ("boilers", "/v1/streams/boiler-7/live", 101),
        ("all", "/v1/live", 101),
    ],
)
def test_a_handshake_is_refused_as_a_request_is(
    keyed: tuple[Service, dict[str, str]], key: str, path: str, status: int
) -> None:
    service, keys = keyed
    with Peer(service, path, keys.get(key, key)) as peer:
        assert peer.status == status


def wait_until_it_listens(port: int) -> None:
    """Wait until somebody listens on a port."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(STEP)
        else:
            return


@contextmanager
def nginx(folder: Path, service: Service) -> Iterator[str]:
    """Run nginx, which speaks TLS, with the service behind a path of its own; returns its address."""
    port = free_port()
    cert, key = certificate(folder)
    places = "".join(f"  {name}_temp_path {folder}/{name};\n" for name in TEMPORARY)
    (folder / "nginx.conf").write_text(f"""
events {{}}
http {{
  access_log off;
{places}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {cert};
    ssl_certificate_key {key};
    location /sensors/norm/ {{
      proxy_pass http://127.0.0.1:{service.port}/;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }}
  }}
}}
""")
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert program, "there is no nginx: apt-get install nginx-light"
    options = ["-e", "stderr", "-p", str(folder), "-c", "nginx.conf", "-g", f"daemon off; pid {folder}/nginx.pid;"]
    with subprocess.Popen([program, *options]) as process:  # noqa: S603 - a known program
        try:
            wait_until_it_listens(port)
            yield f"https://localhost:{port}/sensors/norm"
        finally:
            process.terminate()


def test_over_tls_behind_a_path_of_a_proxy(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nginx(tmp_path, service) as url:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        with Client(url, retries=PATIENT) as client, client.stream("behind").live() as live:
            assert [answer.count for answer in live.observe_many([[1], [2], [3]])] == [1, 2, 3]
        with Client(service.url) as client:
            assert client.stream("behind").info().count == 3


async def test_with_asyncio_over_tls(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nginx(tmp_path, service) as url:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        async with AsyncClient(url, retries=PATIENT) as client, client.stream("asynchronous").live() as live:
            assert (await live.observe([1])).count == 1


def test_a_certificate_that_is_not_known_is_told(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nginx(tmp_path, service) as url:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with Client(url, retries=1) as client:
            live = client.stream("unknown").live()
            with pytest.raises(ConnectionFailed, match="certificate"):
                live.observe([1], seq=1)
