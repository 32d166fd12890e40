"""Large bodies of known length, which go from the socket to where they are decoded, over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
import uvloop
from uvicorn.server import ServerState

from streamnorm import server
from streamnorm.api.dependencies import AppState
from streamnorm.app import application
from streamnorm.compat import uvicorn
from streamnorm.settings import Settings
from tests.support.certificates import certificate
from tests.support.guarded_app import lifespan
from tests.support.processes import Service

Run = Callable[[Coroutine[Any, Any, None]], None]
Answer = tuple[int, dict[bytes, bytes], bytes]

VALUES = np.random.default_rng(0).normal(20.0, 3.0, (40_000, 10))
HEAD = b"POST /v1/streams/%b/bulk HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-npy\r\n"
NEXT = b"GET /v1/streams/other HTTP/1.1\r\nhost: localhost\r\n\r\n"


def npy(values: Any) -> bytes:
    """Write an npy file."""
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


BODY = npy(VALUES)
HALF = len(BODY) // 2


def head(stream: bytes = b"boiler-7", more: bytes = b"") -> bytes:
    """Return the head of a request with the body."""
    return (HEAD % stream) + b"content-length: %d\r\n%b\r\n" % (len(BODY), more)


class Served(NamedTuple):
    """A server in this process, and the receivers that it has made."""

    port: int
    context: AppState
    receivers: list[uvicorn.BodyReceiver]
    #: set whenever a receiver gets something
    progress: asyncio.Event
    tls: ssl.SSLContext | None
    clients: list[Client]

    async def connect(self) -> Client:
        """Connect."""
        name = None if self.tls is None else "localhost"
        self.clients.append(
            Client(*await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls, server_hostname=name))
        )
        return self.clients[-1]

    async def received(self, size: int) -> uvicorn.BodyReceiver:
        """Wait for a receiver that has so many bytes."""
        while not self.receivers or self.receivers[-1].received < size:
            await self.progress.wait()
            self.progress.clear()
        return self.receivers[-1]

    def known(self, stream: str) -> bool:
        """Return whether there is a stream."""
        return self.context.service.streams.peek(stream) is not None


class Client(NamedTuple):
    """A connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *data: bytes) -> None:
        """Send data, sooner or later."""
        self.writer.write(b"".join(data))

    async def answer(self) -> Answer:
        """Read an answer."""
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).strip().split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines)
        return int(status.split()[1]), headers, await self.reader.readexactly(int(headers.get(b"content-length", 0)))

    async def close(self) -> None:
        """Close the connection, be it open or not."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def has_ended(self) -> bool:
        """Wait for the end of the connection; nothing comes before."""
        return not await self.reader.read()


@asynccontextmanager
async def serving(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> AsyncIterator[Served]:
    """Serve everything on a real socket of the running loop."""
    receivers: list[uvicorn.BodyReceiver] = []
    progress = asyncio.Event()

    class Noted(uvicorn.BodyReceiver):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            receivers.append(self)

        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            progress.set()

    monkeypatch.setattr(uvicorn, "BodyReceiver", Noted)
    settings = Settings(data_dir=folder, store="memory", insecure=True, **options)
    front, context = application(settings)
    config = server.configuration(front.app, front.at_once, settings)
    kind: Any = config.http_protocol_class

    def connection() -> Any:
        return kind(config=config, server_state=ServerState(), app_state={})

    loop = asyncio.get_running_loop()
    async with lifespan(front.app):
        listener = await loop.create_server(connection, "127.0.0.1", 0, ssl=config.ssl)
        trusted = ssl.create_default_context(cafile=settings.ssl_certfile) if config.ssl else None
        served = Served(listener.sockets[0].getsockname()[1], context, receivers, progress, trusted, [])
        try:
            yield served
        finally:
            for client in served.clients:
                await client.close()
            listener.close()
            await listener.wait_closed()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Return what runs a coroutine on each kind of loop."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


async def in_chunks(served: Served) -> bytes:
    """Return the answer to the body of another stream, sent in chunks."""
    client = await served.connect()
    client.send(HEAD % b"chunked", b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(BODY), BODY, b"\r\n0\r\n\r\n")
    status, _, body = await client.answer()
    assert status == 200
    return body


def test_a_body_is_received_where_it_is_decoded(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, monkeypatch) as served:
            expected = await in_chunks(served)
            assert not served.receivers
            client = await served.connect()
            client.send(head(), BODY)
            status, _, body = await client.answer()
            assert (status, body) == (200, expected)
            assert served.receivers[0].received > uvicorn.LEAST_REST

    run(scenario())


@pytest.mark.parametrize("cut", [0, 1, HALF, len(BODY) - 1, len(BODY)])
def test_a_connection_goes_on_after_a_body(run: Run, cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, monkeypatch) as served:
            client = await served.connect()
            for stream in (b"one", b"two", b"one"):
                client.send(head(stream), BODY[:cut])
                await asyncio.sleep(0.01)
                client.send(BODY[cut:], NEXT, NEXT)
                assert [(await client.answer())[0] for _ in range(3)] == [200, 404, 404]
            assert len(served.receivers) == 3

    run(scenario())


def test_a_body_is_asked_for(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, monkeypatch) as served:
            client = await served.connect()
            client.send(head(more=b"expect: 100-continue\r\n"))
            assert (await client.answer())[0] == 100
            client.send(BODY)
            assert (await client.answer())[0] == 200
            assert served.receivers

    run(scenario())


def test_a_connection_that_is_to_end_does(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, monkeypatch) as served:
            client = await served.connect()
            client.send(head(more=b"connection: close\r\n"), BODY, NEXT)
            assert (await client.answer())[0] == 200
            assert served.receivers
            assert await client.has_ended()

    run(scenario())


@pytest.mark.parametrize("how", ["write_eof", "abort"])
def test_a_client_that_goes_away_changes_nothing(
    run: Run, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, monkeypatch, max_requests=1) as served:
            client = await served.connect()
            client.send(head(), BODY[:-1])
            await served.received(HALF)
            client.writer.write_eof() if how == "write_eof" else client.writer.transport.abort()
            client, status = await served.connect(), 503
            while status == 503:  # until the memory is free again
                assert not served.known("boiler-7")
                client.send(head(), BODY)
                status, *_ = await client.answer()
            assert status == 200

    run(scenario())


def test_a_slow_body_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, monkeypatch, body_timeout=0.5, body_rate=1e9) as served:
            client = await served.connect()
            client.send(head(), BODY[:HALF])
            status, headers, _ = await client.answer()
            assert (status, headers[b"connection"]) == (408, b"close")
            assert await client.has_ended()
            assert served.receivers
            assert not served.known("boiler-7")

    run(scenario())


def test_bodies_are_bounded_together(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        limit = len(BODY) * 3 // 2
        async with serving(tmp_path, monkeypatch, max_pending_bytes=limit) as served:
            first, second = await served.connect(), await served.connect()
            first.send(head(), BODY[:-1])
            await served.received(HALF)
            second.send(head(b"two"), BODY)
            assert (await second.answer())[0] == 503
            first.send(BODY[-1:])
            assert (await first.answer())[0] == 200
            second.send(NEXT, head(b"two"), BODY)
            assert [(await second.answer())[0] for _ in range(2)] == [404, 200]

    run(scenario())


def test_an_encrypted_body_comes_by_the_parser(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        cert, key = certificate(tmp_path)
        async with serving(tmp_path, monkeypatch, ssl_certfile=str(cert), ssl_keyfile=str(key)) as served:
            client = await served.connect()
            client.send(head(), BODY, NEXT)
            assert [(await client.answer())[0] for _ in range(2)] == [200, 404]
            assert not served.receivers

    run(scenario())


async def test_a_service_stops_while_it_receives(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        client = Client(*await asyncio.open_connection("127.0.0.1", service.port))
        client.send(head(), BODY[:HALF])
        await client.writer.drain()
        await asyncio.to_thread(httpx.get, f"{service.url}/healthz")  # the service has seen the head, then
        assert await asyncio.to_thread(service.stop) == 0
        await client.close()
