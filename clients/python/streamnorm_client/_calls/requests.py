"""The service's HTTP calls as plain descriptions without I/O: what to send, and how to parse the answer.

Only a `Call` combines encoding and decoding, so another encoding of blocks is another function like `block_call`, and
nothing else changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from unicodedata import is_normalized
from urllib.parse import quote

from streamnorm_client._calls.call import JSON, Call, RawCall, encode
from streamnorm_client._calls.json_values import instant, plain
from streamnorm_client._errors import InvalidArgument
from streamnorm_client._models import (
    Advice,
    Block,
    Configured,
    Denormalized,
    Health,
    Normalized,
    Page,
    Profile,
    Refusal,
    ReloadedConfig,
    StreamInfo,
    StreamRules,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST_ID = 128
#: sent as they are in ids, so that the service's fast path knows them
UNQUOTED = ":~"
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})  # RFC 9110, 9.2.2
PAGE_SIZE = 1000  # the service's maximum: few round trips, and a page is still small


def id_fault(stream: object) -> str:
    """Return why something is not a stream id, by the service's rule; empty if it is one."""
    if not isinstance(stream, str) or not 0 < len(stream) <= LONGEST_ID or not stream.isprintable():
        return f"it must be 1 to {LONGEST_ID} printable characters"
    if "/" in stream:
        return "it has a slash, which ~1 stands for"
    if "\ufffd" in stream:
        return "it has characters that were not UTF-8"
    if stream in {".", ".."}:
        return "a path cannot end in it"
    return "" if is_normalized("NFC", stream) else "it is not in Unicode's normalization form C"


@lru_cache(maxsize=1024)
def stream_path(stream: str) -> str:
    """Build a stream's path, percent-encoded.

    >>> stream_path("boiler-7"), stream_path("客厅")
    ('/v1/streams/boiler-7', '/v1/streams/%E5%AE%A2%E5%8E%85')
    >>> stream_path("attic/lamp")
    Traceback (most recent call last):
    streamnorm_client._errors.InvalidArgument: stream 'attic/lamp' is not a stream id: it has a slash, which ~1 stands for
    """  # noqa: E501
    fault = id_fault(stream)
    if fault:
        raise InvalidArgument(f"stream {stream!r} is not a stream id: {fault}")
    return f"/v1/streams/{quote(stream, safe=UNQUOTED)}"


def reading(values: Any, timestamp: Any) -> dict[str, Any]:
    """Build a reading's body, and validate its values."""
    try:
        body = {"values": plain(values)}
    except RecursionError as error:
        raise InvalidArgument("/values: is nested too deeply, or contains itself") from error
    return body if timestamp is None else body | {"timestamp": instant(timestamp)}


def observe(stream: str, reading: Mapping[str, Any], *, stats: bool, seq: int | None = None) -> Call[Normalized]:
    """Build the call that normalizes a reading and learns from it; repeatable if it is numbered."""
    params = {"stats": "true"} if stats else {}
    body = encode({**reading, "seq": seq} if seq is not None else reading)
    path = f"{stream_path(stream)}/readings"
    return Call("POST", path, Normalized.from_json, params, body, repeatable=seq is not None)


def normalize(stream: str, reading: Mapping[str, Any], *, stats: bool) -> Call[Normalized]:
    """Build the call that normalizes a reading without changing the state."""
    params = {"learn": "false"} | ({"stats": "true"} if stats else {})
    return Call("POST", f"{stream_path(stream)}/readings", Normalized.from_json, params, encode(reading))


def denormalize(stream: str, values: Any) -> Call[Denormalized]:
    """Build the call that converts normalized values back to the sensor's units."""
    body = encode({"values": plain(values)})
    return Call("POST", f"{stream_path(stream)}/denormalize", Denormalized.from_json, body=body)


class EncodedBlock(NamedTuple):
    """Rows of one stream, encoded one by one, so that their size is known before sending."""

    features: Sequence[str] | None
    rows: Sequence[bytes]
    timestamps: Sequence[Any] | None


def block_call(stream: str, block: EncodedBlock, *, learn: bool, first_seq: int | None = None) -> Call[Block]:
    """Build the call of a block; `learn=False` only normalizes. Repeatable if it is numbered or does not learn."""
    members: dict[str, Any] = {}
    if block.features is not None:
        members["features"] = block.features
    if block.timestamps is not None:
        members["timestamps"] = block.timestamps
    if first_seq is not None:
        members["first_seq"] = first_seq
    fields = [encode(name) + b":" + encode(member) for name, member in members.items()]
    body = b"{" + b",".join([*fields, b'"values":[' + b",".join(block.rows) + b"]"]) + b"}"
    params = _learning(learn=learn)
    repeatable = first_seq is not None or not learn
    return Call("POST", f"{stream_path(stream)}/bulk", Block.from_json, params, body, repeatable=repeatable)


def many(readings: Iterable[Mapping[str, Any]], *, learn: bool = True) -> Call[list[Normalized]]:
    """Build the call of readings of many streams; repeatable if all are numbered, or it does not learn."""
    addressed = [_addressed(item) for item in readings]
    repeatable = not learn or all("seq" in item for item in addressed)
    body = encode({"readings": addressed})
    return Call("POST", "/v1/bulk", _normalized_list, _learning(learn=learn), body, repeatable=repeatable)


def ingest(
    mapping: str, message: Any, content_type: str | None, topic: str, names: Mapping[str, str], *, learn: bool
) -> Call[list[Normalized]]:
    """Build the call that sends a device's own message, from which a mapping makes readings; not repeatable."""
    raw = message.encode() if isinstance(message, str) and content_type else message
    body = raw if isinstance(raw, bytes) else encode(raw)
    params = {**names, **({"topic": topic} if topic else {}), **_learning(learn=learn)}
    path = f"/v1/ingest/{quote(mapping, safe=UNQUOTED)}"
    return Call("POST", path, _normalized_list, params, body, repeatable=not learn, content_type=content_type or JSON)


def configure(stream: str, config: Mapping[str, Any]) -> Call[Configured]:
    """Build the call that creates a stream, or replaces its configuration."""
    return Call("PUT", stream_path(stream), Configured.from_json, body=encode(config))


def info(stream: str) -> Call[StreamInfo]:
    """Build the call that reads a stream's configuration and counters."""
    return Call("GET", stream_path(stream), StreamInfo.from_json)


def profile(stream: str) -> Call[Profile]:
    """Build the call that reads a stream's profile."""
    return Call("GET", f"{stream_path(stream)}/profile", Profile.from_json)


def advice(stream: str) -> Call[Advice]:
    """Build the call that asks for suggestions for a stream's features."""
    return Call("GET", f"{stream_path(stream)}/advice", Advice.from_json)


def rules(stream: str) -> Call[StreamRules]:
    """Build the call that asks which rules and mappings matched a stream."""
    return Call("GET", f"{stream_path(stream)}/rules", StreamRules.from_json)


def delete(stream: str) -> Call[None]:
    """Build the call that deletes a stream."""
    return Call("DELETE", stream_path(stream), _nothing)


def reset(stream: str) -> Call[StreamInfo]:
    """Build the call that discards a stream's statistics."""
    return Call("POST", f"{stream_path(stream)}/reset", StreamInfo.from_json)


def snapshot(stream: str) -> Call[dict[str, Any]]:
    """Build the call that exports a stream."""
    return Call("GET", f"{stream_path(stream)}/snapshot", dict)


def restore(stream: str, state: Mapping[str, Any]) -> Call[StreamInfo]:
    """Build the call that replaces the stream by a snapshot."""
    return Call("PUT", f"{stream_path(stream)}/snapshot", StreamInfo.from_json, body=encode(state))


def merge(stream: str, state: Mapping[str, Any]) -> Call[StreamInfo]:
    """Build the call that merges a snapshot into the stream; not repeatable, because it would count twice."""
    return Call("POST", f"{stream_path(stream)}/merge", StreamInfo.from_json, body=encode(state), repeatable=False)


def streams(prefix: str, after: str, size: int = PAGE_SIZE, *, kinds: bool = False) -> Call[Page]:
    """Build the call that lists a page of streams."""
    texts = (("prefix", prefix), ("after", after), ("kinds", "true" if kinds else ""))
    params = {"limit": str(size)} | {name: text for name, text in texts if text}
    return Call("GET", "/v1/streams", Page.from_json, params)


def health() -> Call[Health]:
    """Build the call that checks whether the service is alive."""
    return Call("GET", "/healthz", Health.from_json)


def ready() -> Call[Health]:
    """Build the call that checks whether the service accepts readings."""
    return Call("GET", "/readyz", Health.from_json)


def reload_config() -> Call[ReloadedConfig]:
    """Build the call that reloads the service's configuration file."""
    return Call("POST", "/v1/config/reload", ReloadedConfig.from_json)


def refusals() -> Call[list[Refusal]]:
    """Build the call that lists what the service refused."""
    return Call("GET", "/v1/refusals", lambda data: [Refusal.from_json(item) for item in data["refusals"]])


def events(streams: Sequence[str], prefix: str, *, history: bool, latest: bool) -> tuple[tuple[str, str], ...]:
    """Return the query of the event stream."""
    flags = (("history", history), ("latest", latest))
    named = [("stream", _known(stream)) for stream in streams]
    return (*named, *((("prefix", prefix),) if prefix else ()), *((name, "true") for name, wanted in flags if wanted))


def any_path(method: str, path: str, params: Mapping[str, str] | None, body: bytes | None) -> RawCall:
    """Build a call of any path of the service."""
    if not path.startswith("/"):
        raise InvalidArgument(f"path {path!r} does not begin with /")
    method, path = method.upper(), quote(path, safe="/:~")
    return RawCall(method, path, lambda answer: answer, params or {}, body, repeatable=method in IDEMPOTENT)


def _learning(*, learn: bool) -> dict[str, str]:
    return {} if learn else {"learn": "false"}


def _known(stream: str) -> str:
    stream_path(stream)
    return stream


def _addressed(item: Mapping[str, Any]) -> dict[str, Any]:
    for member in ("stream", "values"):
        if not isinstance(item, Mapping) or member not in item:
            raise InvalidArgument(f"{item!r:.200} is not a reading of a stream: {member!r} is missing")
    content = reading(item["values"], item.get("timestamp"))
    numbered = {"seq": item["seq"]} if item.get("seq") is not None else {}
    return {"stream": item["stream"], **content, **numbered}


def _normalized_list(data: Any) -> list[Normalized]:
    return [Normalized.from_json(item) for item in data["readings"]]


def _nothing(_: Any) -> None:
    """Ignore the empty answer."""
