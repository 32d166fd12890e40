"""A call of the service without I/O: what to send, and how to parse the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from streamnorm_client._errors import InvalidArgument, UnexpectedAnswer
from streamnorm_client._problems import Problem, problem

T = TypeVar("T")

JSON = "application/json"
ERRORS_FROM = 400
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class Response(NamedTuple):
    """A raw HTTP response; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        """The id of the request in the service's log."""
        return self.headers.get("x-request-id")

    def json(self) -> Any:
        """Return the body's JSON.

        Raises:
            UnexpectedAnswer: the body is not valid JSON.

        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise UnexpectedAnswer(f"the answer is not valid JSON: {self.body[:80]!r}", response=self) from error


@dataclass  # unchanged once built; a frozen one takes four times as long to build
class Call(Generic[T]):
    """One HTTP request and how to parse its answer; `repeatable`: it is idempotent."""

    method: str
    #: percent-encoded
    path: str
    read: Callable[[Any], T]
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True
    content_type: str = JSON

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to the body and the answer."""
        return {"accept": JSON} | ({} if self.body is None else {"content-type": self.content_type})

    @property
    def target(self) -> str:
        """The path and the query."""
        return f"{self.path}?{urlencode(self.params)}" if self.params else self.path

    def answer(self, response: Response) -> T:
        """Parse a successful answer.

        Raises:
            UnexpectedAnswer: it is not from a streamnorm service.

        """
        try:
            return self.read(json.loads(response.body) if response.body else None)
        except (ValueError, KeyError, TypeError, AttributeError, UnexpectedAnswer) as error:
            raise self.unexpected(response) from error

    def unexpected(self, response: Response) -> UnexpectedAnswer:
        """Build the error for an answer that cannot be parsed."""
        place = response.headers.get("location")
        what = f"was redirected to {place}" if place else f"was answered with {response.body[:80]!r}"
        return UnexpectedAnswer(f"{self.method} {self.path} {what}: is this a streamnorm service?", response=response)


@dataclass
class RawCall(Call[Response]):
    """A call that returns the raw response."""

    def answer(self, response: Response) -> Response:
        """Return the response."""
        return response


def problem_of(response: Response) -> Problem | None:
    """Build the error of a response; None for a success.

    >>> problem_of(Response(200, {}, b"{}")) is None
    True
    >>> problem_of(Response(502, {"retry-after": "3"}, b"<html>bad gateway</html>")).retry_after
    3.0
    """
    if response.status < ERRORS_FROM:
        return None
    try:
        members = json.loads(response.body)
    except ValueError:
        members = {}
    error = problem(response.status, members if isinstance(members, dict) else {}, _seconds(response.headers))
    error.response = response
    return error


def _seconds(headers: Mapping[str, str]) -> float | None:
    """Parse Retry-After in seconds; a date is ignored, because it would need synchronized clocks."""
    text = headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


def encode(value: Any) -> bytes:
    """Encode as compact JSON.

    >>> encode({"temp": 21.4, "door": None})
    b'{"temp":21.4,"door":null}'
    """
    try:
        return _ENCODER.encode(value).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidArgument(f"{value!r:.200} cannot be encoded as JSON: {error}") from error
