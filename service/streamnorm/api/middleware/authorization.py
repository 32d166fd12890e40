"""Who may make which call.

Rules:

1. Alive, ready and the pages are open to all; a page has no data in it.
2. Everything below /v1 needs a key with a scope; what is not in the table below needs `admin`.
3. A key with a prefix is only good for streams whose ids begin with it; a call that names none in its path sees to that
   itself, by the `caller` in its scope.
4. Where no key was ever made, the service listens on loopback, and pages of other sites are kept out: they are known
   by `Origin` (a form, a script) or by a foreign name in `Host` (a name made to lead to this machine).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.types import Scope

from streamnorm.auth.api_keys import ANYONE, ApiKey, SQLiteApiKeys
from streamnorm.errors import Forbidden, StoreError, Unauthorized

Headers = dict[bytes, bytes]

PROBES: Final = frozenset({"/healthz", "/readyz"})
OBSERVE: Final = ("observe",)
READ: Final = ("read",)
EITHER: Final = ("observe", "read")
ADMIN: Final = ("admin",)

#: (method, what follows the stream's id) -> scopes, any of which is enough
OF_STREAM: Final = {
    ("POST", "readings"): OBSERVE,
    ("POST", "bulk"): OBSERVE,
    ("GET", "live"): OBSERVE,
    ("POST", "denormalize"): EITHER,
    ("GET", ""): EITHER,  # a device asks for the last number that was applied
    ("GET", "profile"): READ,
    ("GET", "snapshot"): READ,
}
#: (method, path) -> the same, for calls that name no stream in their path
OF_SERVICE: Final = {
    ("POST", "/v1/bulk"): OBSERVE,
    ("GET", "/v1/live"): OBSERVE,
    ("POST", "/write"): OBSERVE,
    ("POST", "/api/v2/write"): OBSERVE,
    ("POST", "/api/v3/write_lp"): OBSERVE,
    ("POST", "/query"): OBSERVE,
    ("GET", "/v1/streams"): READ,
    ("GET", "/v1/events"): READ,
}
#: Calls for many streams that may be told not to learn.
LEARN_OR_NOT: Final = frozenset({"/v1/bulk", "/v1/live"})
#: More keys than most have; those beyond take the longer way.
MAX_CACHED_DECISIONS: Final = 10_000
#: Seconds between two looks whether keys have changed, beside those that the keys themselves take.
KEY_CHECK_INTERVAL: Final = 0.1
_STREAM = re.compile(r"/v1/streams/([^/]+)(?:/([a-z]+))?")
SCHEMES: Final = frozenset({"bearer", "token"})  # `Token` is what InfluxDB's clients send


class Authorizer:
    """Decides about calls; `open_to_all` asks for no key at all, `loopback` only where there is one."""

    def __init__(
        self, keys: SQLiteApiKeys, *, loopback: bool = True, open_to_all: bool = False, origins: Collection[str] = ()
    ) -> None:
        self._keys = keys
        self._loopback = loopback
        self._open = open_to_all
        self._origins = origins
        #: prefixes of the keys that may observe, by the header that showed them, since the keys were changed last
        self._seen: dict[bytes, str] = {}
        self._seen_of: Mapping[str, ApiKey] = {}
        self._look_at = 0.0
        self._keyless = False

    def authorize(self, scope: Scope, headers: Headers) -> ApiKey:
        """Tell who calls.

        Raises:
            Unauthorized: a key is needed.
            Forbidden: the key is not good for this call, or the call comes from another site's page.

        """
        if self._open or scope["path"] in PROBES:  # those are answered even where no key can be read
            return ANYONE
        if self._loopback and not self._keys.any():
            self._refuse_cross_site(headers)
            return ANYONE
        method = scope.get("method", "GET")  # a WebSocket's has none
        needed, stream_id = required_scopes(method, scope["path"], scope["query_string"])
        if needed is None:
            return ANYONE
        key = self._presented_key(headers)
        if not key.may(needed):
            raise Forbidden(f"the key {key.name!r} has not the scope {' or '.join(needed)}")
        check_streams(key, () if stream_id is None else (stream_id,))
        if needed is OBSERVE and len(self._seen) < MAX_CACHED_DECISIONS and self._keys.known is self._seen_of:
            self._seen[headers[b"authorization"]] = key.prefix
        if scope["path"] == "/metrics" and key.prefix:
            raise Forbidden(f"the key {key.name!r} is for some streams only, and the metrics are of all")
        return key

    def revised(self, scope: Scope, headers: Headers) -> None:
        """Decide about a call again, while it goes on.

        Raises:
            Unauthorized: the key was revoked, or is needed by now.
            Forbidden: the key is not good for this call any more, or for other streams than it was.

        """
        if self.authorize(scope, headers).prefix != scope["caller"].prefix:
            raise Forbidden("the streams that the key is for have changed")

    @property
    def version(self) -> object:
        """Another object where keys may have changed.

        Raises:
            StoreError: they cannot be read.

        """
        return None if self._open else self._keys.known

    def is_preauthorized(self, headers: Headers, stream_id: str, now: float) -> bool:
        """Return whether the caller may observe a stream, as far as that can be told from what was decided before.

        A header that is known as good is found by its whole hash: how long that takes tells nothing of its letters.
        `now` is in seconds, whatever they count from.
        """
        if self._open:
            return True
        if now >= self._look_at:
            self._invalidate_if_changed(now)
        if self._keyless:
            return b"origin" not in headers and _is_here(headers.get(b"host", b"").decode("latin-1"))
        prefix = self._seen.get(headers.get(b"authorization", b""))
        return prefix is not None and stream_id.startswith(prefix)

    def check(self) -> None:
        """Raise the StoreError that keeps callers from being told apart, if there is one."""
        if not self._open:
            self._keys.any()

    def _invalidate_if_changed(self, now: float) -> None:
        """Discard what was decided where keys have changed since."""
        self._look_at = now + KEY_CHECK_INTERVAL
        try:
            known = self._keys.known
        except StoreError:  # `caller` tells; until then nobody was seen
            self._seen.clear()
            self._seen_of = {}
            self._keyless = False
            return
        if known is not self._seen_of:
            self._seen.clear()
            self._seen_of = known
        self._keyless = self._loopback and not known

    def _presented_key(self, headers: Headers) -> ApiKey:
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() not in SCHEMES:
            raise Unauthorized("a key is needed: Authorization: Bearer … (`streamnorm keys create` makes one)")
        key = self._keys.find(token.strip())
        if key is None:
            raise Unauthorized("the key is not known here, or was revoked")
        return key

    def _refuse_cross_site(self, headers: Headers) -> None:
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin.partition("://")[2] != host and origin not in self._origins:
            raise Forbidden(f"pages of {origin} may not call this service (cors_origins)")
        if host and not _is_here(host):
            raise Forbidden(f"without keys this service answers to localhost only, not to {host}")


def check_streams(caller: ApiKey, stream_ids: Iterable[str]) -> None:
    """Refuse streams that are not the caller's.

    Raises:
        Forbidden: one is not.

    """
    for stream_id in stream_ids if caller.prefix else ():
        if not caller.covers(stream_id):
            raise Forbidden(f"the key {caller.name!r} is for streams whose ids begin with {caller.prefix!r}")


def restrict_prefix(caller: ApiKey, prefix: str) -> str | None:
    """Narrow a prefix asked for down to the caller's streams; None where there are none.

    >>> restrict_prefix(ApiKey("", "gauge", frozenset(), "boiler-"), "boil")
    'boiler-'
    """
    if prefix.startswith(caller.prefix):
        return prefix
    return caller.prefix if caller.prefix.startswith(prefix) else None


def required_scopes(method: str, path: str, query: bytes) -> tuple[Collection[str] | None, str | None]:
    """Tell which scopes a call needs, any of them, and the stream it names; no scopes where it is open to all."""
    found = _STREAM.fullmatch(path)
    if found:
        needed: Collection[str] = OF_STREAM.get((method, found[2] or ""), ADMIN)
        if needed is OBSERVE and not learns(query):
            needed = EITHER
        return needed, found[1]
    if path == "/metrics":
        return READ, None
    known: Collection[str] | None = OF_SERVICE.get((method, path))
    if known is OBSERVE and path in LEARN_OR_NOT and not learns(query):
        known = EITHER
    if known is None and not path.startswith("/v1") and method in {"GET", "HEAD"}:
        return None, None
    return known or ADMIN, None


def learns(query: bytes) -> bool:
    """Return whether a call may learn from its readings: unless its query says `learn=false`, and nothing else of it.

    What a call does by other spellings is its own affair: who may not observe has this one.

    >>> learns(b"learn=false"), learns(b"learn=false&learn=true"), learns(b"learn=0"), learns(b"stats=true")
    (False, True, True, True)
    """
    return parse_qs(query, keep_blank_values=True).get(b"learn") != [b"false"]


@functools.lru_cache(maxsize=64)
def _is_here(host: str) -> bool:
    """Return whether a Host header names this machine by an address or as localhost."""
    name = re.sub(r":\d*$", "", host).strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
