"""Between the package's own descriptions and websockets': what both live connections translate alike."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from streamnorm_client._calls import Reply
from streamnorm_client._errors import ConnectionFailed, TimedOut, TransportError

if TYPE_CHECKING:
    from streamnorm_client._calls import Call

# What websockets logs of connections that break is raised, or mended, here; only who asks for it sees it.
LOG = logging.getLogger(__name__)
LOG.addHandler(logging.NullHandler())

OK = 200
CLOSE_TIMEOUT = 1.0  # seconds; who is gone is not waited for
TIMED_OUT = (TimeoutError, asyncio.TimeoutError)  # one and the same from Python 3.11 on


def is_reading(call: Call[Any]) -> bool:
    """Return whether a call can go over the connection: one that observes a reading and asks for nothing else."""
    return call.method == "POST" and call.path.endswith("/readings") and not call.params


def options(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> dict[str, Any]:
    """Build the options of a connection: the address, the key, the certificates and the patience of the client."""
    address = urlsplit(str(http.base_url))
    secure = address.scheme == "https"
    path = address.path.rstrip("/") + call.path[: -len("readings")] + "live"
    return {
        "uri": urlunsplit(("wss" if secure else "ws", address.netloc, path, "", "")),
        "additional_headers": {name: http.headers[name] for name in ("authorization",) if name in http.headers},
        "logger": LOG,
        "open_timeout": http.timeout.connect,
        "close_timeout": CLOSE_TIMEOUT,
        "compression": None,  # a reading is shorter than what packing it would save
        "max_size": None,  # the answer to an image is larger than the image
        "max_queue": None,  # a window bounds it, and a service that cannot answer would not listen
        **({"ssl": httpx.create_ssl_context()} if secure else {}),  # those that the client's requests go by
    }


def is_lost(connection: Any) -> bool:
    """Return whether a connection has come to its end."""
    return connection is not None and connection.close_code is not None


def text_of(call: Call[Any]) -> str:
    """Return a call's body as the text of a message."""
    return (call.body or b"").decode()


def reply(text: str | bytes) -> Reply:
    """Take an answer over; a problem says its status itself."""
    body = text.encode() if isinstance(text, str) else text
    try:
        answer = json.loads(body)
    except ValueError:
        return Reply(OK, {}, body)  # whoever reads it tells that it is no answer
    problem = isinstance(answer, dict) and "type" in answer and "stream" not in answer
    return Reply(int(answer["status"]) if problem else OK, {}, body)


def refused(error: Any) -> Reply:
    """Take over the answer to a handshake that was refused: the key is wrong, the service starts."""
    response = error.response
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return Reply(response.status_code, headers, response.body or b"")


def failure(error: Exception, http: httpx.Client | httpx.AsyncClient, *, maybe_applied: bool) -> TransportError:
    """Build the error of a reading that no answer came to."""
    kind = TimedOut if isinstance(error, TIMED_OUT) else ConnectionFailed
    reason = str(error) or type(error).__name__
    return kind(f"no answer from {http.base_url}: {reason}", maybe_applied=maybe_applied)


def sockets() -> Any:
    """Return what is needed of websockets.

    Raises:
        ImportError: saying how to install it.

    """
    try:
        return importlib.import_module("streamnorm_client._sockets")
    except ImportError as error:
        raise ImportError("a live connection needs websockets: pip install 'streamnorm-client[live]'") from error
