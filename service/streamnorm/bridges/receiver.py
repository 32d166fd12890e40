"""A receiver of line protocol over HTTP, and the interpretation of its responses."""

from __future__ import annotations

import base64
import gzip
import re
import ssl
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from time import time
from urllib.parse import urljoin

import h11

from streamnorm.bridges.addresses import Address, address
from streamnorm.bridges.http_post import Answer, post
from streamnorm.errors import InvalidConfiguration

PORTS = {"http": 80, "https": 443}
DEFAULT_TARGET = "/api/v2/write"
REDIRECTS = frozenset({301, 302, 307, 308})
MAX_REDIRECTS = 3
#: Statuses for invalid points. InfluxDB 2 answers 422 for a field whose type has changed.
REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
#: Limit in seconds of the delay that a response may request.
MAX_RETRY_AFTER = 600.0
_VISIBLE = re.compile(r"[\x21-\x7e]*")


class Verdict(Enum):
    """The outcome of a write."""

    TAKEN = "taken"
    #: some of the points, or all, are invalid
    REFUSED = "refused"
    TOO_LARGE = "too large"


class Unavailable(Exception):
    """The receiver cannot accept points now; `retry_after` is the delay that it requests, in seconds."""

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Receiver:
    """The address of a receiver, and the headers and TLS context for it."""

    address: Address
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None

    async def write(self, lines: list[bytes]) -> tuple[Verdict, str]:
        """Write lines; return the outcome, and the receiver's message.

        Raises:
            Unavailable: the receiver cannot accept them now; they should be retried.

        """
        body = gzip.compress(b"\n".join(lines), 1)
        target = self.address
        for _ in range(1 + MAX_REDIRECTS):
            try:
                answer = await post(target, self.headers, body, self.tls if target.scheme == "https" else None)
            except TimeoutError:
                raise Unavailable(f"{target} does not answer in time") from None
            except (OSError, h11.RemoteProtocolError) as error:
                raise Unavailable(f"{target}: {error}") from error
            if answer.status not in REDIRECTS:
                return verdict(answer)
            target = redirected(target, answer)
        raise Unavailable(f"{self.address} redirects more than {MAX_REDIRECTS} times")


def receiver(url: str, token: str, username: str, password: str) -> Receiver:
    """Build the receiver at `url`, with a `token`, or with a `username` and `password`; each may be empty.

    Raises:
        InvalidConfiguration: a setting is invalid; the error names it.

    """
    target = address(url, "forward", PORTS, DEFAULT_TARGET)
    if target.username and username:
        raise InvalidConfiguration.at("/forward_username", "is in the address of --forward already")
    if password and not username:
        raise InvalidConfiguration.at("/forward_password", "needs --forward-username")
    if not username:
        username, password = target.username or "", target.password or ""
    if token and username:
        raise InvalidConfiguration.at("/forward_token", "there is a user too: one of the two is sent")
    if not _VISIBLE.fullmatch(token):
        raise InvalidConfiguration.at("/forward_token", "must be visible ASCII characters without a space")
    if ":" in username:
        raise InvalidConfiguration.at("/forward_username", "cannot have a colon (RFC 7617)")
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8", "User-Agent": "streamnorm"}
    if token:
        headers["Authorization"] = f"Token {token}"
    elif username:
        headers["Authorization"] = f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
    return Receiver(replace(target, username=None, password=None), headers, ssl.create_default_context())


def verdict(answer: Answer) -> tuple[Verdict, str]:
    """Classify a response.

    Raises:
        Unavailable: the failure can be temporary: a wrong token, a missing bucket, an overloaded receiver.

    """
    message = f"{answer.status} {answer.body.strip()}".strip()
    if answer.status in range(200, 300) and "html" not in answer.headers.get("content-type", ""):
        return Verdict.TAKEN, message
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Verdict.TOO_LARGE, message
    if answer.status in REFUSALS:
        return Verdict.REFUSED, message
    raise Unavailable(f"it answers {message[:300]}", retry_after(answer.headers.get("retry-after", ""), time()))


def redirected(source: Address, answer: Answer) -> Address:
    """Return the target of a redirect, which must be the same call at the same host.

    Raises:
        Unavailable: the target differs; neither points nor credentials are sent there.

    """
    location = answer.headers.get("location", "")
    try:
        target = address(urljoin(f"{source}{source.target}", location), "forward", PORTS)
    except (InvalidConfiguration, ValueError):
        raise Unavailable(f"it redirects ({answer.status}) to no address") from None
    path, wanted = (item.target.partition("?")[0].rstrip("/") for item in (target, source))
    safe = target.host == source.host and path.endswith(wanted)
    if not safe or (source.scheme == "https" and target.scheme == "http"):
        shown = f"{target}{target.target.partition('?')[0]}"
        raise Unavailable(f"it redirects ({answer.status}) to {shown}: set --forward to that address if it is right")
    query = source.target.partition("?")[1:]
    return target if "?" in target.target else replace(target, target=target.target + "".join(query))


def retry_after(value: str, now: float) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date; None if it is neither.

    >>> retry_after("120", 0), retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 50), retry_after("soon", 0)
    (120.0, 10.0, None)
    """
    try:
        seconds = float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - now
    except ValueError:
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
