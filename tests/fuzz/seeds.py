"""Good requests that others are made of: one for each call and each form of readings, gzipped too."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any, NamedTuple

import cbor2
import numpy as np

from streamnorm.formats import senml

JSON, NDJSON = "application/json", "application/x-ndjson"
NPY, NPZ = "application/x-npy", "application/x-npz"
#: streams that are looked at after every refusal, each with its configuration
WATCHED = {"fuzz-a": {"method": "online"}, "fuzz-b": {"method": "adaptive", "horizon": 50}}
ROWS = [[20.5, 1.0], [21.5, 0.0], [19.0, 1.0]]
VALUES = {"t": 20.5, "d": 1.0}
LINES = b"fuzz,place=roof t=20.5,d=t 1000\nfuzz,place=roof t=21.5,d=f 2000\n"
HANDSHAKE = (
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"


class HTTPRequest(NamedTuple):
    """A request in parts: its first line and headers, and what follows them."""

    head: tuple[bytes, ...]
    body: bytes

    def with_body(self, body: bytes) -> HTTPRequest:
        """Return the request with another body, and the length that it has."""
        kept = tuple(line for line in self.head if not line.lower().startswith(b"content-length:"))
        return HTTPRequest((*kept, b"Content-Length: %d" % len(body)), body)

    def to_bytes(self) -> bytes:
        """Return what is sent."""
        return b"\r\n".join((*self.head, b"", self.body))


def request(method: str, path: str, body: bytes | None = None, media_type: str = "", *more: bytes) -> HTTPRequest:
    """Build a request."""
    head = (f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", *more)
    if body is None:
        return HTTPRequest(head, b"")
    if media_type:
        head = (*head, f"Content-Type: {media_type}".encode())
    return HTTPRequest(head, b"").with_body(body)


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """Build a WebSocket frame of less than 126 bytes, masked with zeros."""
    return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def seeds(snapshots: dict[str, bytes]) -> list[HTTPRequest]:
    """Build the good requests; snapshots of the watched streams are among what they send."""
    found = [*_readings(), *_upgrades()]
    found += [
        one.with_body(gzip.compress(one.body, mtime=0))._replace(
            head=(*one.with_body(gzip.compress(one.body, mtime=0)).head, b"Content-Encoding: gzip")
        )
        for one in _readings()
    ]
    for stream, config in WATCHED.items():
        at = f"/v1/streams/{stream}"
        found += [
            request("PUT", at, json.dumps(config).encode(), JSON),
            request("PUT", f"{at}/snapshot", snapshots[stream], JSON),
            request("POST", f"{at}/merge", snapshots[stream], JSON),
            request("POST", f"{at}/denormalize", _json({"values": {"t": 0.5}}), JSON),
            request("POST", f"{at}/reset", b""),
            *(request("GET", at + rest) for rest in ("", "/profile", "/advice", "/snapshot")),
        ]
    calls = ["/v1/streams?prefix=fuzz&after=a&limit=10", "/v1/events?prefix=fuzz", "/healthz", "/readyz", "/metrics"]
    calls += ["/ping?verbose=true", "/health", "/ready", "/openapi.json", "/query?q=SHOW%20DATABASES"]
    found += [request("GET", path) for path in calls]
    form = "application/x-www-form-urlencoded"
    return [
        *found,
        request("DELETE", "/v1/streams/fuzz-gone"),
        request("HEAD", "/ping"),
        request("POST", "/query", b"q=CREATE+DATABASE+x", form),
    ]


def _readings() -> list[HTTPRequest]:
    named = [{"stream": stream, "values": VALUES} for stream in WATCHED]
    table = {"features": ["t", "d"], "values": ROWS, "first_seq": 1}
    pack: list[dict[str, Any]] = [{"bn": "fuzz:", "n": "t", "v": 20.5, "u": "Cel"}, {"n": "d", "vb": True, "t": -5}]
    found = [
        request("POST", path, body, media_type)
        for path, body, media_type in [
            ("/v1/bulk", _json({"readings": named}), JSON),
            ("/v1/bulk", _lines(named), NDJSON),
            ("/v1/bulk?streaming=true", _lines(named), NDJSON),
            ("/v1/bulk", _npz(streams=np.array(list(WATCHED)), values=np.ones((2, 3, 2))), NPZ),
            ("/write?precision=s", LINES, "text/plain"),
            ("/api/v2/write?org=o&bucket=b&precision=ns", LINES, "text/plain"),
            ("/api/v3/write_lp?db=x", LINES, "text/plain"),
        ]
    ]
    for stream in WATCHED:
        at = f"/v1/streams/{stream}"
        found += [
            request("POST", at + path, body, media_type)
            for path, body, media_type in [
                ("/readings", _json({"values": VALUES, "timestamp": 1000.5, "seq": 5}), JSON),
                ("/readings?learn=false&stats=true", _json({"values": {"t": [1.0, 2.0]}}), JSON),
                ("/readings", _json(pack), senml.JSON),
                ("/readings", cbor2.dumps(senml.numbered(pack)), senml.CBOR),
                ("/bulk", _json(table), JSON),
                ("/bulk", _lines([{"values": VALUES, "seq": n} for n in range(3)]), NDJSON),
                ("/bulk?streaming=true", _lines([{"values": VALUES}] * 3), NDJSON),
                ("/bulk?features=t,d&first_seq=7", _npy(np.array(ROWS)), NPY),
                ("/bulk", _json(pack), senml.JSON),
                ("/bulk?learn=false", cbor2.dumps(senml.numbered(pack)), senml.CBOR),
            ]
        ]
    return found


def _upgrades() -> list[HTTPRequest]:
    said = frame(_json({"values": VALUES})) + frame(_json({"values": VALUES, "seq": 3}), 2) + frame(b"!", 9) + CLOSE
    named = frame(_json({"stream": "fuzz-a", "values": VALUES})) + CLOSE
    return [
        request("GET", "/v1/streams/fuzz-a/live", None, "", *HANDSHAKE)._replace(body=said),
        request("GET", "/v1/streams/fuzz-b/live?learn=false", None, "", *HANDSHAKE)._replace(body=said),
        request("GET", "/v1/live", None, "", *HANDSHAKE)._replace(body=named),
    ]


def _json(data: object) -> bytes:
    return json.dumps(data).encode()


def _lines(items: list[dict[str, Any]]) -> bytes:
    return b"".join(_json(item) + b"\n" for item in items)


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()
