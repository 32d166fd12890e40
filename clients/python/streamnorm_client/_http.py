"""Between the package's own descriptions and httpx's: what both clients translate alike."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from streamnorm_client._calls import Reply
from streamnorm_client._errors import ConnectionFailed, TimedOut, TransportError

if TYPE_CHECKING:
    from streamnorm_client._calls import Call

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_TIMEOUT = 30.0  # seconds; a block of wide rows takes a busy edge box a few

# What httpx raises where no answer came; other errors of httpx are mistakes in the request and pass through.
NO_ANSWER = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError)
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def options(url: str | None, key: str | None, timeout: float) -> dict[str, Any]:
    """Build the options of an httpx client; `url` and `key` default to STREAMNORM_URL and STREAMNORM_KEY.

    >>> options("localhost:8000", None, 1.0)
    Traceback (most recent call last):
    ValueError: url 'localhost:8000' is no http:// or https:// address
    """
    url = url or os.environ.get("STREAMNORM_URL") or DEFAULT_URL
    key = key or os.environ.get("STREAMNORM_KEY")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"url {url!r} is no http:// or https:// address")
    return {"base_url": url, "headers": {"authorization": f"Bearer {key}"} if key else {}, "timeout": timeout}


def request(call: Call[Any]) -> dict[str, Any]:
    """Build the arguments of httpx's `request`."""
    return {
        "method": call.method,
        "url": call.path,
        "params": call.params,
        "content": call.body,
        "headers": call.headers,
    }


def reply(response: httpx.Response) -> Reply:
    """Take over an answer."""
    return Reply(response.status_code, response.headers, response.content)


def failure(error: httpx.HTTPError, url: httpx.URL) -> TransportError:
    """Build the error of a call that no answer came to."""
    kind = TimedOut if isinstance(error, httpx.TimeoutException) else ConnectionFailed
    reason = str(error) or type(error).__name__
    return kind(f"no answer from {url}: {reason}", maybe_applied=not isinstance(error, NEVER_SENT))
