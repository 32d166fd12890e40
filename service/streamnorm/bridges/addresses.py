"""Addresses of brokers and receivers in settings: validated at the start, and never shown with a password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from streamnorm.errors import InvalidConfiguration

_CREDENTIALS = re.compile(r"^(?P<scheme>[A-Za-z0-9+.-]+:/+)?.*@", re.DOTALL)
#: an invalid port: it may be a password whose host was omitted
_NO_PORT = re.compile(r":(?!\d{1,6}(?:[/?#]|$)).*$", re.DOTALL)
#: the characters that stay unchanged in the path and the query of a URL; all others are percent-encoded as UTF-8
_PATH = "/%:@!$&'()*+,;=~"
_QUERY = _PATH + "?"


@dataclass(frozen=True)
class Address:
    """The address of a bridge's peer."""

    scheme: str
    host: str
    port: int
    #: the percent-encoded path and query
    target: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return the address without its credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def address(text: str, setting: str, ports: Mapping[str, int], target: str = "") -> Address:
    """Parse the address `text` of a `setting`; `ports` maps the supported schemes to their default ports.

    `target` is the path of an address without one.

    Raises:
        InvalidConfiguration: the address is invalid; the error names the setting, and shows neither user nor password.

    """
    shown = redacted(text)

    def wrong(detail: str) -> InvalidConfiguration:
        return InvalidConfiguration.at(f"/{setting}", f"{shown!r} {detail}")

    schemes = " or ".join(f"{scheme}://" for scheme in ports)
    try:
        parts = urlsplit(text)
    except ValueError:
        raise wrong(f"is no {schemes} address") from None
    if parts.scheme not in ports or not parts.netloc:
        raise wrong(f"is no {schemes} address")
    if "@" in text[len(parts.scheme) + 3 + len(parts.netloc) :].partition("?")[0] and "@" not in parts.netloc:
        raise wrong("is ambiguous: / ? # and @ in a user or password are written %2F %3F %23 and %40")
    try:
        host = (parts.hostname or "").encode("idna" if not (parts.hostname or "").isascii() else "ascii").decode()
    except UnicodeError:
        raise wrong("has no valid host") from None
    if not host or re.search(r"[\s\x00-\x1f]", host):
        raise wrong("has no valid host")
    try:
        port = ports[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        raise wrong("has no valid port: it must be a number from 1 to 65535") from None
    if not port:
        raise wrong("has no valid port: it must be a number from 1 to 65535")
    path = quote(parts.path or target, safe=_PATH) + (f"?{quote(parts.query, safe=_QUERY)}" if parts.query else "")
    user = None if parts.username is None else unquote(parts.username)
    return Address(parts.scheme, host, port, path, user, None if parts.password is None else unquote(parts.password))


def redacted(text: str) -> str:
    """Return an address, valid or not, without any user, password or token.

    >>> redacted("mqtt//user:secret@host:1883"), redacted("mqtt://user:secret"), redacted("http://host/write?p=secret")
    ('***@host:1883', 'mqtt://user:***', 'http://host/write')
    """
    shown = _CREDENTIALS.sub(lambda match: f"{match['scheme'] or ''}***@", text).partition("?")[0]
    scheme, separator, rest = shown.rpartition("://")
    return scheme + separator + _NO_PORT.sub(":***", rest) if not rest.startswith("[") else shown
