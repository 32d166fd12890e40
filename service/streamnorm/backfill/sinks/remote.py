"""A running service as the place where readings go, over the standard library's HTTP: the SDK need not be installed."""

from __future__ import annotations

import http.client
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
import orjson

from streamnorm.backfill.reading.readings import Part
from streamnorm.engine.reading import Array
from streamnorm.errors import InvalidReading, StreamnormError, StreamNotFound

KEY: Final = "STREAMNORM_KEY"
#: retries: about a minute and a half, in which a service restarts
RETRIES: Final = 40
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
TIMEOUT: Final = 120.0
#: streams asked for at once
PAGE: Final = 1000
#: what may pass: a request that took too long, too many requests, a service that restarts
PASSING: Final = frozenset({408, 429, 502, 503, 504})
NOT_FOUND: Final = 404
CONFLICT: Final = 409


class NoAnswer(StreamnormError):
    """The service cannot be reached, or is none of ours."""


class Refused(StreamnormError):
    """The service answered with a problem (RFC 9457): its `status` and `members`."""

    def __init__(self, status: int, members: Mapping[str, Any], what: str) -> None:
        super().__init__(str(members.get("detail") or members.get("title") or f"{what} was answered with {status}"))
        self.status = status
        self.members = members


class Remote:
    """A running service at `url`; streams that are new get the configuration `config`."""

    remote = True

    def __init__(self, url: str, config: Mapping[str, Any], retries: int = RETRIES) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise NoAnswer(f"--url: {url!r} is not the address of a service, such as http://127.0.0.1:8000")
        self._url = url.rstrip("/")
        self._config = config
        self._retries = retries
        key = os.environ.get(KEY)
        self._headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def last_seq(self, stream: str) -> int:
        """Return a stream's last number, creating the stream where it has a configuration."""
        try:
            return int(self._call("GET", _path(stream))["last_seq"] or 0)
        except StreamNotFound:
            if self._config:
                self._call("PUT", _path(stream), self._config)
            return 0

    def observe(self, part: Part, first_seq: int) -> tuple[Array, int]:
        """Send a block; where only its answer was lost, it is normalized once more without learning.

        Raises:
            InvalidReading: a value is infinite, which JSON cannot tell from a missing one.

        """
        if np.isinf(part.values).any():
            raise InvalidReading(f"the readings of {part.stream!r} hold an infinite value")
        path = f"{_path(part.stream)}/bulk"
        body: dict[str, Any] = {
            "features": part.names,
            "values": np.ascontiguousarray(part.values),
            "first_seq": first_seq,
        }
        if part.times is not None:
            body["timestamps"] = np.ascontiguousarray(part.times)
        doubtful: list[bool] = []
        try:
            answer = self._call("POST", path, body, doubtful)
        except Refused as error:
            applied = error.members.get("last_seq") == first_seq + len(part.values) - 1
            if not (doubtful and error.status == CONFLICT and applied):
                raise
            del body["first_seq"]
            answer = self._call("POST", f"{path}?learn=false", body)
        return np.array(answer["values"], dtype=np.float64), int(answer.get("gap", 0))

    def commit(self) -> None:
        """Leave it to the service: it keeps its streams as it is told to."""

    def kinds(self, stream: str) -> dict[str, str]:
        """Return the kinds of a stream's features."""
        found = self._call("GET", f"{_path(stream)}/profile")["features"]
        return {name: str(each["kind"]) for name, each in found.items()}

    def check(self) -> None:
        """Check that a service answers."""
        self._call("GET", "/healthz")

    def streams(self, prefix: str) -> Iterator[str]:
        """Yield the ids of all streams that begin with a prefix."""
        after: str | None = ""
        while after is not None:
            page = self._call("GET", f"/v1/streams?{urlencode({'prefix': prefix, 'after': after, 'limit': PAGE})}")
            yield from (str(each["stream"]) for each in page["streams"])
            after = page["next"]

    def advice(self, stream: str) -> str:
        """Return the advice on a stream, as rules."""
        return str(self._call("GET", f"{_path(stream)}/advice")["toml"])

    def _call(self, method: str, path: str, body: object = None, doubtful: list[bool] | None = None) -> Any:
        """Return the answer's JSON; retries what may pass, and notes in `doubtful` that a request may have arrived."""
        data = None if body is None else orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        headers = self._headers if data is None else self._headers | {"Content-Type": "application/json"}
        # the address was checked: no other scheme is opened
        request = urllib.request.Request(f"{self._url}{path}", data, headers, method=method)  # noqa: S310
        for attempt in range(self._retries + 1):
            try:
                return self._sent(request)
            except Refused as error:
                if error.status not in PASSING or attempt == self._retries:
                    raise
            except NoAnswer:
                if attempt == self._retries:
                    raise
            if doubtful is not None:
                doubtful.append(True)
            time.sleep(random.random() * min(LONGEST_DELAY, FIRST_DELAY * 2.0**attempt))  # noqa: S311 - spreads load
        raise NoAnswer(self._url)

    def _sent(self, request: urllib.request.Request) -> Any:
        what = f"{request.method} {request.full_url}"
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 - as above
                return orjson.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                members = _members(error)
            if error.code == NOT_FOUND and str(members.get("type", "")).endswith("/stream-not-found"):
                raise StreamNotFound(urlsplit(request.full_url).path) from None
            raise Refused(error.code, members, what) from None
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise NoAnswer(f"no answer from {self._url}: {reason}") from None
        except orjson.JSONDecodeError:
            raise NoAnswer(f"{what} was not answered with JSON: is this a streamnorm service?") from None


def _members(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        members = orjson.loads(error.read())
    except (orjson.JSONDecodeError, OSError, http.client.HTTPException):
        return {}
    return members if isinstance(members, dict) else {}


def _path(stream: str) -> str:
    return f"/v1/streams/{quote(stream, safe='~:')}"


@contextmanager
def remote(url: str, config: Mapping[str, Any]) -> Iterator[Remote]:
    """Reach a service; the key comes from STREAMNORM_KEY.

    Raises:
        NoAnswer: it does not answer; one that restarts later is waited for.

    """
    Remote(url, config, retries=0).check()
    yield Remote(url, config)
