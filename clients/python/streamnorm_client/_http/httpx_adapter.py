"""The adapter to httpx: conversions that both clients share."""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Union
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpcore
import httpx

from streamnorm_client._calls.call import Response
from streamnorm_client._errors import ConnectionFailed, InvalidArgument, TimedOut, TransportError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

    from streamnorm_client._calls.call import Call

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_TIMEOUT = 30.0  # seconds; a block of wide rows takes a busy edge device a few

Timeout = Union[float, httpx.Timeout, None]
Verify = Union[bool, str, "ssl.SSLContext"]
Cert = Union[str, "tuple[str, str]", "tuple[str, str, str]", None]

# Errors without an answer. The streams of an upgraded connection raise httpcore's own errors.
NO_ANSWER = (httpx.TransportError, httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)
NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
)
TIMED_OUT = (httpx.TimeoutException, httpcore.TimeoutException)

_RECORDING: ContextVar[list[Response] | None] = ContextVar("streamnorm_client_responses", default=None)


class Connection(NamedTuple):
    """The connection settings of a client, and the headers of every request."""

    url: str
    headers: dict[str, str]
    timeout: httpx.Timeout
    verify: ssl.SSLContext | bool
    proxy: str | None
    #: whether the caller passed a timeout, which overrides that of the caller's own httpx client
    timeout_given: bool

    @property
    def is_proxied(self) -> bool:
        """Whether a proxy may be used; httpx decides for which addresses."""
        return self.proxy is not None or bool(getproxies().keys() & {"http", "https", "all"})

    def client_options(self) -> dict[str, Any]:
        """Return the arguments of an httpx client with these settings."""
        return {"timeout": self.timeout, "verify": self.verify, "proxy": self.proxy}

    def request(self, call: Call[Any], timeout: Timeout = None) -> dict[str, Any]:
        """Build the arguments of httpx's `request`."""
        arguments: dict[str, Any] = {
            "method": call.method,
            "url": self.url + call.path,
            "params": call.params,
            "content": call.body,
            "headers": {**self.headers, **call.headers},
        }
        if timeout is not None or self.timeout_given:
            arguments["timeout"] = self.timeouts(timeout)
        return arguments

    def timeouts(self, timeout: Timeout) -> httpx.Timeout:
        """Return a call's own timeout, or the client's."""
        return self.timeout if timeout is None else httpx.Timeout(timeout)

    def failure(self, error: Exception) -> TransportError:
        """Build the error of a call without an answer."""
        timed_out = isinstance(error, (*TIMED_OUT, TimeoutError))
        kind = TimedOut if timed_out else ConnectionFailed
        reason = str(error) or type(error).__name__
        failure = kind(f"no answer from {self.url}: {reason}", maybe_applied=not isinstance(error, NEVER_SENT))
        failure.__cause__ = error
        return failure


def connection(  # noqa: PLR0917 - the clients' arguments, in the same order
    url: str | None,
    key: str | None,
    timeout: Timeout,
    headers: Mapping[str, str] | None = None,
    verify: Verify = True,  # noqa: FBT002 - httpx's own argument
    cert: Cert = None,
    proxy: str | None = None,
) -> Connection:
    """Build the connection settings of a client; `url` and `key` default to STREAMNORM_URL and STREAMNORM_KEY.

    Raises:
        InvalidArgument: the URL is not an HTTP URL, or a certificate cannot be read.

    >>> connection("localhost:8000", None, 1.0)
    Traceback (most recent call last):
    streamnorm_client._errors.InvalidArgument: url 'localhost:8000' is not an http:// or https:// URL
    """
    url = (url or os.environ.get("STREAMNORM_URL") or DEFAULT_URL).rstrip("/")
    key = key or os.environ.get("STREAMNORM_KEY")
    try:
        parts = urlsplit(url)
        wrong = parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0
    except ValueError:
        wrong = True
    if wrong:
        raise InvalidArgument(f"url {url!r} is not an http:// or https:// URL")
    authorization = {"authorization": f"Bearer {key}"} if key else {}
    sent = {**authorization, **{name.lower(): value for name, value in (headers or {}).items()}}
    return Connection(
        url,
        sent,
        httpx.Timeout(DEFAULT_TIMEOUT if timeout is None else timeout),
        _ssl_context(verify, cert) if parts.scheme == "https" or proxy else True,
        proxy,
        timeout is not None,
    )


def _ssl_context(verify: Verify, cert: Cert) -> ssl.SSLContext:
    """Return the SSL context of calls and live connections.

    Raises:
        InvalidArgument: a certificate cannot be read.

    """
    import ssl  # noqa: PLC0415 - slow to import, and not needed for plain HTTP

    if isinstance(verify, ssl.SSLContext):
        context = verify
    elif isinstance(verify, str):
        place = "capath" if os.path.isdir(verify) else "cafile"  # noqa: PTH112 - a string, as OpenSSL takes it
        context = _loaded(ssl.create_default_context, **{place: verify})
    else:
        context = httpx.create_ssl_context(verify=verify)
    if cert is not None:
        _loaded(context.load_cert_chain, *((cert,) if isinstance(cert, str) else cert))
    return context


def _loaded(load: Any, *arguments: Any, **named: Any) -> Any:
    try:
        return load(*arguments, **named)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidArgument(f"the certificate {(arguments or tuple(named.values()))[0]!r}: {error}") from error


def response_of(response: httpx.Response) -> Response:
    """Convert an httpx response."""
    return Response(response.status_code, dict(response.headers), response.content)


@contextmanager
def record_responses() -> Iterator[list[Response]]:
    """Record the responses to calls of this thread or task, including retries."""
    responses: list[Response] = []
    token = _RECORDING.set(responses)
    try:
        yield responses
    finally:
        _RECORDING.reset(token)


def record(response: Response) -> Response:
    """Add a response to the record, if there is one."""
    recorded = _RECORDING.get()
    if recorded is not None:
        recorded.append(response)
    return response
