"""Authorization of calls by API key and scope.

Rules:

1. The health probes and the pages are public; pages contain no data.
2. All paths below /v1 require a key with a scope; those that are not in the tables below require `admin`.
3. A key with a prefix only grants access to streams whose ids begin with it; a call without a stream in its path checks
   that itself, by the `caller` in its scope.
4. Without any keys, the service listens on loopback and rejects cross-site requests, which it detects by `Origin` (a
   form, a script) or by a foreign name in `Host` (DNS rebinding).
"""

from __future__ import annotations

import base64
import binascii
import functools
import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.types import Scope

from streamnorm.api.http.problems import PROBES
from streamnorm.auth.api_keys import ANYONE, ApiKey
from streamnorm.auth.ports import ApiKeys
from streamnorm.errors import Forbidden, StoreError, Unauthorized

Headers = dict[bytes, bytes]

OBSERVE: Final = ("observe",)
READ: Final = ("read",)
EITHER: Final = ("observe", "read")
ADMIN: Final = ("admin",)

#: (method, path after the stream's id) -> scopes, any of which suffices
OF_STREAM: Final = {
    ("POST", "readings"): OBSERVE,
    ("POST", "bulk"): OBSERVE,
    ("GET", "live"): OBSERVE,
    ("POST", "denormalize"): EITHER,
    ("GET", ""): EITHER,  # devices query the last applied sequence number
    ("GET", "profile"): READ,
    ("GET", "advice"): READ,
    ("GET", "rules"): READ,
    ("GET", "snapshot"): READ,
}
#: (method, path) -> scopes, for calls without a stream in their path
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
#: Calls for many streams that accept `learn=false`.
LEARN_OR_NOT: Final = frozenset({"/v1/bulk", "/v1/live"})
#: The path before a mapping's name; what is sent there is observed.
INGEST: Final = "/v1/ingest/"
#: Capacity of the authorization cache; further keys are authorized by the full check.
MAX_CACHED_DECISIONS: Final = 10_000
#: Seconds between checks for changed keys, in addition to the keys' own interval.
KEY_CHECK_INTERVAL: Final = 0.1
_STREAM = re.compile(r"/v1/streams/([^/]+)(?:/([a-z]+))?")
#: What devices send that know no other scheme: the key is the password, of any user.
BASIC: Final = "basic"
SCHEMES: Final = frozenset({"bearer", "token"})  # `Token` is what InfluxDB's clients send
#: Calls of InfluxDB 1, whose clients may send the password in the query, as `p`.
PASSWORD_IN_QUERY: Final = frozenset({"/write", "/query"})


class Authorizer:
    """Authorizes calls by the API `keys`.

    With `open_to_all` no call needs a key; with `loopback` calls need one only if any exists. `origins` are the sites
    whose pages may call a service without keys.
    """

    def __init__(
        self, keys: ApiKeys, *, loopback: bool = True, open_to_all: bool = False, origins: Collection[str] = ()
    ) -> None:
        self._keys = keys
        self._loopback = loopback
        self._open = open_to_all
        self._origins = origins
        #: the authorization cache: prefixes of keys that may observe, by Authorization header, since the last change
        self._seen: dict[bytes, str] = {}
        self._seen_of: Mapping[str, ApiKey] = {}
        self._look_at = 0.0
        self._keyless = False

    def authorize(self, scope: Scope, headers: Headers) -> ApiKey:
        """Authenticate and authorize a call; return its key.

        Raises:
            Unauthorized: the call has no valid key.
            Forbidden: the key does not permit this call, or the request is cross-site.

        """
        if self._open or scope["path"] in PROBES:  # probes are answered even while keys cannot be read
            return ANYONE
        if self._loopback:
            self._take(self._keys.known)  # what is answered here holds on the fast path, too
            if self._keyless:
                self._refuse_cross_site(headers)
                return ANYONE
        method = scope.get("method", "GET")  # WebSocket scopes have none
        needed, stream_id = required_scopes(method, scope["path"], scope["query_string"])
        if needed is None:
            return ANYONE
        key = self._presented_key(scope, headers)
        if not key.may(needed):
            raise Forbidden(f"the key {key.name!r} lacks the scope {' or '.join(needed)}")
        check_streams(key, () if stream_id is None else (stream_id,))
        credential = headers.get(b"authorization")
        cacheable = needed is OBSERVE and len(self._seen) < MAX_CACHED_DECISIONS
        if cacheable and credential is not None and self._keys.known is self._seen_of:
            self._seen[credential] = key.prefix
        if scope["path"] == "/metrics" and key.prefix:
            raise Forbidden(f"the key {key.name!r} is for some streams only, and the metrics are of all")
        return key

    def revised(self, scope: Scope, headers: Headers) -> None:
        """Authorize a call in progress again.

        Raises:
            Unauthorized: the key was revoked, or a key is required now.
            Forbidden: the key no longer permits this call, or its prefix has changed.

        """
        if self.authorize(scope, headers).prefix != scope["caller"].prefix:
            raise Forbidden("the streams that the key is for have changed")

    @property
    def version(self) -> object:
        """A new object whenever the keys may have changed.

        Raises:
            StoreError: the keys cannot be read.

        """
        return None if self._open else self._keys.known

    def is_preauthorized(self, headers: Headers, stream_id: str, now: float) -> bool:
        """Check the authorization cache for an `observe` decision on this credential and stream.

        The Authorization header in `headers` is looked up by its hash, so the lookup time reveals nothing about valid
        keys. `stream_id` is the stream to observe; `now` is the time in seconds of any monotonic clock.
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
        """Raise the StoreError that prevents authentication, if there is one."""
        if not self._open:
            self._keys.any()

    def _invalidate_if_changed(self, now: float) -> None:
        """Invalidate the authorization cache when the key set changes."""
        self._look_at = now + KEY_CHECK_INTERVAL
        try:
            known = self._keys.known
        except StoreError:  # `authorize` reports it
            self._seen.clear()
            self._seen_of = {}
            self._keyless = False
            return
        self._take(known)

    def _take(self, known: Mapping[str, ApiKey]) -> None:
        """Decide by the keys that are `known` from now on."""
        if known is not self._seen_of:
            self._seen.clear()
            self._seen_of = known
        self._keyless = self._loopback and not known

    def _presented_key(self, scope: Scope, headers: Headers) -> ApiKey:
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        in_query = () if scheme or scope["path"] not in PASSWORD_IN_QUERY else parse_qs(scope["query_string"]).get(b"p")
        if in_query:
            token = in_query[0].decode("latin-1")
        elif scheme.lower() == BASIC:
            token = password_of(token)
        elif scheme.lower() not in SCHEMES:
            raise Unauthorized("a key is needed: Authorization: Bearer … (`streamnorm keys create` makes one)")
        key = self._keys.find(token.strip())
        self._take(self._keys.known)  # as above
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
    """Check that the caller's key grants access to streams.

    Raises:
        Forbidden: it does not cover one of them.

    """
    for stream_id in stream_ids if caller.prefix else ():
        if not caller.covers(stream_id):
            raise Forbidden(f"the key {caller.name!r} is for streams whose ids begin with {caller.prefix!r}")


def password_of(credentials: str) -> str:
    """Return the password of the credentials of HTTP's Basic scheme; empty if they are none.

    >>> password_of("c2Vuc29yOnNuX2tleQ==")
    'sn_key'
    """
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def restrict_prefix(caller: ApiKey, prefix: str) -> str | None:
    """Restrict a requested prefix to the caller's streams; None if they do not overlap.

    >>> restrict_prefix(ApiKey("", "gauge", frozenset(), "boiler-"), "boil")
    'boiler-'
    """
    if prefix.startswith(caller.prefix):
        return prefix
    return caller.prefix if caller.prefix.startswith(prefix) else None


def required_scopes(method: str, path: str, query: bytes) -> tuple[Collection[str] | None, str | None]:
    """Return the scopes, any of which a call requires, and the stream in its `path`; None for public calls.

    `method` is the HTTP method, `query` the raw query string.
    """
    match = _STREAM.fullmatch(path)
    if match:
        needed: Collection[str] = OF_STREAM.get((method, match[2] or ""), ADMIN)
        if needed is OBSERVE and not learns(query):
            needed = EITHER
        return needed, match[1]
    if path == "/metrics":
        return READ, None
    ingests = path.startswith(INGEST) and method == "POST"
    known: Collection[str] | None = OBSERVE if ingests else OF_SERVICE.get((method, path))
    if known is OBSERVE and (ingests or path in LEARN_OR_NOT) and not learns(query):
        known = EITHER
    if known is None and not path.startswith("/v1") and method in {"GET", "HEAD"}:
        return None, None
    return known or ADMIN, None


def learns(query: bytes) -> bool:
    """Return whether a call may learn from its readings: unless its query has exactly `learn=false`.

    Callers without the scope `observe` must use this spelling, whatever others the call itself accepts.

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
