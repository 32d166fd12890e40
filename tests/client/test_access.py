"""TLS with a private authority, certificates of the client's own, headers, proxies: for calls and live connections."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.server import ServerConnection, serve

from streamnorm_client import AsyncClient, Client, ConnectionFailed
from tests.client.forward import ForwardProxy
from tests.support.processes import Service, free_port


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)  # noqa: S603, S607 - made here


def signed(folder: Path, name: str, subject: str) -> tuple[Path, Path]:
    """Build a certificate that the authority of the folder signs, and its key."""
    key, request, cert = (folder / f"{name}.{ending}" for ending in ("key", "csr", "pem"))
    names = folder / f"{name}.ext"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", *curve, "-keyout", key, "-out", request, "-subj", subject)
    authority = ("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial")
    openssl("x509", "-req", "-in", request, *authority, "-days", "2", "-extfile", names, "-out", cert)
    return cert, key


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a private authority, and give the folder that it signs in."""
    folder = tmp_path_factory.mktemp("authority")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl("req", "-x509", *curve, "-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-subj", "/CN=our own")
    return folder


@pytest.fixture(scope="module")
def secure(authority: Path) -> Iterator[Service]:
    """Run a service with a certificate of the private authority."""
    cert, key = signed(authority, "service", "/CN=localhost")
    service = Service(authority, STREAMNORM_SSL_CERTFILE=str(cert), STREAMNORM_SSL_KEYFILE=str(key))
    service.url = f"https://localhost:{service.port}"
    service.verify = httpx.create_ssl_context(verify=False)
    with service:
        yield service


def test_calls_and_live_connections_verify_by_the_authority_that_is_named(secure: Service, authority: Path) -> None:
    with Client(secure.url, verify=str(authority / "ca.pem")) as client:
        assert client.stream("tls").observe([1]).count == 1
        with client.stream("tls").live() as live:
            assert [answer.count for answer in live.observe_many([[1], [2]])] == [2, 3]
        assert next(client.events("tls", history=True)).data["stream"] == "tls"


async def test_with_asyncio_they_do_too(secure: Service, authority: Path) -> None:
    async with AsyncClient(secure.url, verify=str(authority / "ca.pem")) as client:
        assert (await client.stream("tls-async").observe([1])).count == 1
        async with client.stream("tls-async").live() as live:
            assert (await live.observe([2])).count == 2


@pytest.mark.parametrize("way", ["http_client", "transport", "context", "nothing"])
def test_live_connections_verify_as_calls_do_however_it_is_said(secure: Service, authority: Path, way: str) -> None:
    context = ssl.create_default_context(cafile=authority / "ca.pem")
    options: dict[str, dict[str, Any]] = {
        "http_client": {"http_client": httpx.Client(verify=context)},
        "transport": {"transport": httpx.HTTPTransport(verify=context)},
        "context": {"verify": context},
        "nothing": {"verify": False},
    }
    with Client(secure.url, **options[way]) as client, client.stream(f"said-{way}").live() as live:
        assert client.stream(f"said-{way}").observe([1]).count == 1
        assert live.observe([2]).count == 2
    if way == "http_client":
        assert not options[way]["http_client"].is_closed
        options[way]["http_client"].close()


def test_an_unknown_authority_is_refused_by_both(secure: Service) -> None:
    with Client(secure.url, retries=0) as client:
        with pytest.raises(ConnectionFailed, match="certificate"):
            client.health()
        with pytest.raises(ConnectionFailed, match="certificate"):
            client.stream("tls").live().observe([1], seq=1)


@contextmanager
def demanding(authority: Path) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Play a service that wants a certificate of its clients; returns its address, and the headers that came."""
    cert, key = signed(authority, "demanding", "/CN=localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority / "ca.pem")
    context.load_cert_chain(cert, key)
    context.verify_mode = ssl.CERT_REQUIRED
    seen: list[dict[str, str]] = []

    def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(dict(connection.request.headers.raw_items()))
        connection.recv()
        connection.send('{"stream": "a", "seq": 1, "count": 1, "ready": false, "values": [0.0]}')
        connection.close()

    with serve(talk, "127.0.0.1", 0, ssl=context) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://localhost:{server.socket.getsockname()[1]}", seen
        finally:
            server.shutdown()
            thread.join()


def test_live_connections_show_the_clients_certificate_and_headers(authority: Path) -> None:
    cert, key = signed(authority, "device", "/CN=device")
    with demanding(authority) as (url, seen):
        options: Any = {
            "verify": str(authority / "ca.pem"),
            "cert": (str(cert), str(key)),
            "headers": {"X-Site": "north"},
        }
        with Client(url, key="sn_k", **options) as client, client.stream("a").live() as live:
            assert live.observe([1], seq=1).count == 1
    assert {name.lower(): value for name, value in seen[0].items()}.items() >= {
        ("x-site", "north"),
        ("authorization", "Bearer sn_k"),
    }


@pytest.mark.parametrize("transport", [None, "mock"])
def test_headers_go_with_every_call(service: Service, transport: str | None) -> None:
    options: dict[str, Any] = {}
    if transport:
        options = {
            "transport": httpx.MockTransport(lambda request: httpx.Response(200, json={}, headers=request.headers))
        }
    client = Client(service.url, headers={"X-Request-ID": "ours"}, **options)
    with client, client.record_responses() as responses:
        client.health()
    assert responses[0].request_id == "ours"


def test_calls_and_live_connections_go_through_the_proxy(secure: Service, authority: Path) -> None:
    with ForwardProxy() as proxy, Client(secure.url, verify=str(authority / "ca.pem"), proxy=proxy.url) as client:
        assert client.stream("proxied").observe([1]).count == 1
        with client.stream("proxied").live() as live:
            assert live.observe([2]).count == 2
    assert set(proxy.asked) == {f"localhost:{secure.port}"}


def test_a_proxy_of_the_environment_is_used(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with Client(service.url, retries=0) as client, pytest.raises(ConnectionFailed):
        client.health()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Client(service.url) as client:
        assert client.health().status == "ok"
