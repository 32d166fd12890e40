"""The service's HTTP calls as plain descriptions: what to send, and how to read the answer; nothing here sends.

A body's bytes and the reading of an answer's bytes meet only in a `Call`, so another encoding of blocks is another
pair of functions beside `block_call`, and nothing else changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Generic, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from streamnorm_client._errors import InvalidArgument, Problem, UnexpectedAnswer, problem
from streamnorm_client._json_values import instant, plain
from streamnorm_client._models import (
    Block,
    Configured,
    Denormalized,
    Health,
    Normalized,
    Page,
    Profile,
    StreamInfo,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")

STREAM_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:~-]{1,128}")
ERRORS_FROM = 400
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})  # RFC 9110, 9.2.2
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
PAGE_SIZE = 1000  # the most that the service lists at once: fewer round trips, and a page is still small


class Response(NamedTuple):
    """An HTTP response as it came; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        """The id under which the service's log has the request."""
        return self.headers.get("x-request-id")

    def json(self) -> Any:
        """Return the body's JSON.

        Raises:
            UnexpectedAnswer: it is none.

        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise UnexpectedAnswer(f"the answer is no JSON: {self.body[:80]!r}", response=self) from error


@dataclass(frozen=True)
class Call(Generic[T]):
    """One HTTP request and how to read its answer; `repeatable` if sending it twice does what sending it once does."""

    method: str
    path: str
    read: Callable[[Any], T]
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to the body and the answer."""
        return {"accept": "application/json"} | ({} if self.body is None else {"content-type": "application/json"})

    @property
    def quoted_path(self) -> str:
        """The path as a URL has it."""
        return quote(self.path, safe="/:~")

    @property
    def target(self) -> str:
        """The quoted path and the query."""
        return f"{self.quoted_path}?{urlencode(self.params)}" if self.params else self.quoted_path

    def answer(self, response: Response) -> T:
        """Read a successful answer.

        Raises:
            UnexpectedAnswer: it is none of a streamnorm service's.

        """
        try:
            return self.read(json.loads(response.body) if response.body else None)
        except (ValueError, KeyError, TypeError, AttributeError, UnexpectedAnswer) as error:
            raise self.unexpected(response) from error

    def unexpected(self, response: Response) -> UnexpectedAnswer:
        """Build the error of an answer that cannot be read."""
        place = response.headers.get("location")
        what = f"was redirected to {place}" if place else f"was answered with {response.body[:80]!r}"
        return UnexpectedAnswer(f"{self.method} {self.path} {what}: is this a streamnorm service?", response=response)


def problem_of(response: Response) -> Problem | None:
    """Build the error of an answer; None for a success.

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
    """Read Retry-After in seconds; a date is left alone, for the answer to it needs a clock."""
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
        raise InvalidArgument(f"{value!r:.200} is no JSON: {error}") from error


@lru_cache(maxsize=1024)
def stream_path(stream: str) -> str:
    """Build a stream's path.

    >>> stream_path("boiler-7")
    '/v1/streams/boiler-7'
    >>> stream_path("boiler 7")
    Traceback (most recent call last):
    streamnorm_client._errors.InvalidArgument: stream 'boiler 7' is no stream id: 1 to 128 of A-Z a-z 0-9 . _ : ~ -
    """
    if not isinstance(stream, str) or not STREAM_ID.fullmatch(stream):
        raise InvalidArgument(f"stream {stream!r} is no stream id: 1 to 128 of A-Z a-z 0-9 . _ : ~ -")
    return f"/v1/streams/{stream}"


def reading(values: Any, timestamp: Any) -> dict[str, Any]:
    """Build a reading's body; what no sensor gives is refused here."""
    try:
        body = {"values": plain(values)}
    except RecursionError as error:
        raise InvalidArgument("/values: is nested too deeply, or holds itself") from error
    return body if timestamp is None else body | {"timestamp": instant(timestamp)}


def observe(stream: str, reading: Mapping[str, Any], *, stats: bool, seq: int | None = None) -> Call[Normalized]:
    """Normalize a reading and learn from it; repeatable if it is numbered."""
    params = {"stats": "true"} if stats else {}
    body = encode({**reading, "seq": seq} if seq is not None else reading)
    path = f"{stream_path(stream)}/readings"
    return Call("POST", path, Normalized.from_json, params, body, repeatable=seq is not None)


def normalize(stream: str, reading: Mapping[str, Any], *, stats: bool) -> Call[Normalized]:
    """Normalize a reading; the state stays untouched."""
    params = {"learn": "false"} | ({"stats": "true"} if stats else {})
    return Call("POST", f"{stream_path(stream)}/readings", Normalized.from_json, params, encode(reading))


def denormalize(stream: str, values: Any) -> Call[Denormalized]:
    """Bring normalized values back into the sensor's units."""
    body = encode({"values": plain(values)})
    return Call("POST", f"{stream_path(stream)}/denormalize", Denormalized.from_json, body=body)


class EncodedBlock(NamedTuple):
    """Rows of one stream on their way: encoded one by one, so that their size is known before they are sent."""

    features: Sequence[str] | None
    rows: Sequence[bytes]
    timestamps: Sequence[Any] | None


def block_call(stream: str, block: EncodedBlock, *, learn: bool, first_seq: int | None = None) -> Call[Block]:
    """Normalize a block, and learn from it unless `learn` is False; repeatable if it is numbered or does not learn."""
    members: dict[str, Any] = {}
    if block.features is not None:
        members["features"] = block.features
    if block.timestamps is not None:
        members["timestamps"] = block.timestamps
    if first_seq is not None:
        members["first_seq"] = first_seq
    fields = [encode(name) + b":" + encode(member) for name, member in members.items()]
    body = b"{" + b",".join([*fields, b'"values":[' + b",".join(block.rows) + b"]"]) + b"}"
    params = {} if learn else {"learn": "false"}
    repeatable = first_seq is not None or not learn
    return Call("POST", f"{stream_path(stream)}/bulk", Block.from_json, params, body, repeatable=repeatable)


def many(readings: Iterable[Mapping[str, Any]]) -> Call[list[Normalized]]:
    """Observe readings of many streams; repeatable if they are numbered."""
    addressed = [_addressed(each) for each in readings]
    repeatable = all("seq" in each for each in addressed)
    return Call("POST", "/v1/bulk", _normalized_list, body=encode({"readings": addressed}), repeatable=repeatable)


def configure(stream: str, config: Mapping[str, Any]) -> Call[Configured]:
    """Create a stream, or replace its configuration."""
    return Call("PUT", stream_path(stream), Configured.from_json, body=encode(config))


def info(stream: str) -> Call[StreamInfo]:
    """Read a stream's configuration and counters."""
    return Call("GET", stream_path(stream), StreamInfo.from_json)


def profile(stream: str) -> Call[Profile]:
    """Read what is known of a stream's features."""
    return Call("GET", f"{stream_path(stream)}/profile", Profile.from_json)


def delete(stream: str) -> Call[None]:
    """Delete a stream."""
    return Call("DELETE", stream_path(stream), _nothing)


def reset(stream: str) -> Call[StreamInfo]:
    """Discard a stream's statistics."""
    return Call("POST", f"{stream_path(stream)}/reset", StreamInfo.from_json)


def snapshot(stream: str) -> Call[dict[str, Any]]:
    """Export a stream."""
    return Call("GET", f"{stream_path(stream)}/snapshot", dict)


def restore(stream: str, state: Mapping[str, Any]) -> Call[StreamInfo]:
    """Put a snapshot in the stream's place."""
    return Call("PUT", f"{stream_path(stream)}/snapshot", StreamInfo.from_json, body=encode(state))


def merge(stream: str, state: Mapping[str, Any]) -> Call[StreamInfo]:
    """Merge a snapshot into the stream; twice would count it twice, so it is not repeatable."""
    return Call("POST", f"{stream_path(stream)}/merge", StreamInfo.from_json, body=encode(state), repeatable=False)


def streams(prefix: str, after: str, size: int = PAGE_SIZE) -> Call[Page]:
    """List a page of streams."""
    params = {"limit": str(size)} | {name: text for name, text in (("prefix", prefix), ("after", after)) if text}
    return Call("GET", "/v1/streams", Page.from_json, params)


def health() -> Call[Health]:
    """Ask whether the service is alive."""
    return Call("GET", "/healthz", Health.from_json)


def events(streams: Sequence[str], prefix: str, *, history: bool, latest: bool) -> tuple[tuple[str, str], ...]:
    """Return the query of the event stream."""
    flags = (("history", history), ("latest", latest))
    named = [("stream", _known(stream)) for stream in streams]
    return (*named, *((("prefix", prefix),) if prefix else ()), *((name, "true") for name, wanted in flags if wanted))


@dataclass(frozen=True)
class RawCall(Call[Response]):
    """A call whose response is the answer, as it came."""

    def answer(self, response: Response) -> Response:
        """Return the response."""
        return response


def any_path(method: str, path: str, params: Mapping[str, str] | None, body: bytes | None) -> RawCall:
    """Describe a call of any path of the service."""
    if not path.startswith("/"):
        raise InvalidArgument(f"path {path!r} does not begin with /")
    return RawCall(
        method.upper(), path, lambda answer: answer, params or {}, body, repeatable=method.upper() in IDEMPOTENT
    )


def _known(stream: str) -> str:
    stream_path(stream)
    return stream


def _addressed(each: Mapping[str, Any]) -> dict[str, Any]:
    for member in ("stream", "values"):
        if not isinstance(each, Mapping) or member not in each:
            raise InvalidArgument(f"{each!r:.200} is no reading of a stream: it has no {member!r}")
    content = reading(each["values"], each.get("timestamp"))
    numbered = {"seq": each["seq"]} if each.get("seq") is not None else {}
    return {"stream": each["stream"], **content, **numbered}


def _normalized_list(data: Any) -> list[Normalized]:
    return [Normalized.from_json(each) for each in data["readings"]]


def _nothing(_: Any) -> None:
    """Read the answer that says nothing."""
