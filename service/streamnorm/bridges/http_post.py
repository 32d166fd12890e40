"""A single POST over HTTP/1.1, which can be cancelled without leaking a thread or a socket (h11 on asyncio)."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from typing import NamedTuple

import h11

from streamnorm.bridges.addresses import Address

#: Seconds for a whole exchange.
TIMEOUT = 30.0
#: Bytes that are read of a response: enough for any error message.
ANSWER_BYTES = 64 * 1024
PIECE = 64 * 1024


class Answer(NamedTuple):
    """The receiver's response; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: str


async def post(address: Address, headers: Mapping[str, str], body: bytes, tls: ssl.SSLContext | None) -> Answer:
    """Post a `body` with `headers` to an `address` and return the response; `tls` is the context for HTTPS.

    Raises:
        OSError: the receiver cannot be reached, or does not answer in time (TimeoutError).
        h11.RemoteProtocolError: the response is not HTTP.

    """
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection(address.host, address.port, ssl=tls)
        try:
            connection = h11.Connection(h11.CLIENT)
            host = f"[{address.host}]" if ":" in address.host else address.host
            fields = {"Host": f"{host}:{address.port}", "Connection": "close", "Content-Length": str(len(body))}
            request = h11.Request(method="POST", target=address.target, headers=[*fields.items(), *headers.items()])
            writer.write(connection.send(request) or b"")
            writer.write(connection.send(h11.Data(data=body)) or b"")
            writer.write(connection.send(h11.EndOfMessage()) or b"")
            return await _answer(connection, reader)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    response: h11.Response | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(PIECE))
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
        if response is not None and (isinstance(event, h11.EndOfMessage) or len(body) > ANSWER_BYTES):
            named = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
            return Answer(response.status_code, named, body[:ANSWER_BYTES].decode("utf-8", "replace"))
