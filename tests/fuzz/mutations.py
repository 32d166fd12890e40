"""Damage to requests: of their bytes, and of what the bytes stand for."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import cbor2

from tests.fuzz.seeds import CLOSE, HTTPRequest, frame

TOKENS = [
    *(b"NaN", b"Infinity", b"-Infinity", b"null", b"1e400", b"-1e308", b"1e-400", b"-0", b"true", b'""', b"{}", b"[]"),
    *(b"9" * 400, b"18446744073709551616", b"-9223372036854775809", b"[" * 3000, b'{"a":' * 1500, b"\\ud800"),
    *(
        b"\xff\xfe",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\0",
        b"\r\n",
        b"\n",
        b"%00",
        b"%0a",
        b"%ff",
        b"\x1b[2J",
        b"\xef\xbb\xbf",
    ),
    *(b"\x9f" * 2000, b"\xbf" * 2000, b"\xc2\x5a" + b"\xff" * 300, b"\x9b" + b"\x7f" + b"\xff" * 7, b"\xd9\xd9\xf7"),
    *(b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\0" * 8, b"PK\x05\x06", b"\x93NUMPY", b"|O", b"<f8", b"'descr'"),
]
HEADERS = [
    *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 1e3"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Encoding: gzip"),
    *(b"Content-Encoding: br", b"Host: other", b"Expect: 100-continue", b"Expect: x", b"Accept: application/x-npy"),
    *(b"Accept: text/html;q=0", b"Accept: \xff", b"Content-Type: \xff/\xff", b"Content-Type: application/senml+cbor"),
    *(b"Authorization: Bearer \xff", b"Connection: close", b"Upgrade: websocket", b"X: " + b"x" * 9000, b": x", b"X"),
    *(b"If-Match: *", b"Idempotency-Key: \xff", b"X-Request-ID: a\x0bb", b"Last-Event-ID: -1", b"Range: bytes=0-"),
]
PARAMETERS = [
    *(b"learn=false", b"learn=maybe", b"learn=%ff", b"stats=1", b"streaming=true", b"limit=0", b"limit=1e9", b"x=y"),
    *(b"first_seq=-1", b"first_seq=99999999999999999999", b"features=", b"features=t,t", b"features=%00,%ff"),
    *(b"precision=auto", b"precision=%00", b"prefix=%ff", b"after=%00", b"after=%ed%a0%80", b"verbose=%ff", b"&&=&"),
]
NODES: list[Any] = [
    *(None, True, False, "", "NaN", "t", [], {}, [[]], 0, -1, 1e308, -1e308, 1e-308, 2**31, 2**53 + 1, 2**63),
    *(2**64, -(2**63), float("nan"), float("inf"), 10**300, "x" * 5000, "\0", "\ud800", [1.0] * 2000, {"a": {"a": {}}}),
]
Mutation = Callable[[Random, bytes], bytes]


def mutate(rng: Random, seed: HTTPRequest, others: Sequence[HTTPRequest]) -> bytes:
    """Damage a request in one to four ways; one in twenty is left as it is."""
    if rng.random() < 0.05:
        return seed.to_bytes()
    found = seed
    for _ in range(rng.choice((1, 1, 2, 3))):
        found = rng.choice(_OF_REQUESTS)(rng, found)
    whole = found.to_bytes()
    kind = rng.random()
    if kind < 0.15:
        whole = rng.choice(_OF_BYTES)(rng, whole)
    elif kind < 0.2:
        other = rng.choice(others).to_bytes()
        whole = whole[: rng.randrange(len(whole) + 1)] + other[rng.randrange(len(other) + 1) :]
    elif kind < 0.25:
        whole = whole[: rng.randrange(1, len(whole) + 1)]
    return whole


def _flip(rng: Random, data: bytes) -> bytes:
    found = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8))):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _overwrite(rng: Random, data: bytes) -> bytes:
    width = rng.choice((1, 2, 4, 8))
    at = rng.randrange(len(data) + 1)
    number = rng.choice((0, 1, 2**7, 2**15, 2**31 - 1, 2**31, 2**63, 2**64 - 1, rng.getrandbits(64)))
    raw: bytes = (int(number) % (1 << 8 * width)).to_bytes(width, rng.choice(("little", "big")))
    return data[:at] + raw + data[at + width :]


def _insert(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice((rng.randbytes(rng.choice((1, 4, 40))), rng.choice(TOKENS))) + data[at:]


def _replace(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + rng.choice(TOKENS) + data[end:]


def _delete(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _duplicate(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 50)) + data[end:]


def _span(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 5, 20, 100)))


_OF_BYTES: list[Mutation] = [_flip, _overwrite, _insert, _replace, _delete, _duplicate]


def _body(rng: Random, one: HTTPRequest) -> HTTPRequest:
    packed = b"Content-Encoding: gzip" in one.head and rng.random() < 0.7
    try:
        body = gzip.decompress(one.body) if packed else one.body
    except (OSError, EOFError, zlib.error):
        packed, body = False, one.body
    damaged = rng.choice(_OF_BYTES)(rng, body)
    if b"Upgrade: websocket" in one.head:
        return one._replace(body=damaged)
    return one.with_body(gzip.compress(damaged, mtime=0) if packed else damaged)


def _structure(rng: Random, one: HTTPRequest) -> HTTPRequest:
    """Put something else in a place of what the body stands for."""
    if b"Upgrade: websocket" in one.head:
        text = _encode(_altered(rng, {"stream": "fuzz-b", "values": {"t": 1.0}, "timestamp": 1.0, "seq": 1}))[:125]
        return one._replace(body=frame(text, rng.randrange(16)) + CLOSE)
    cbor = any(b"cbor" in line for line in one.head)
    try:
        data = cbor2.loads(one.body) if cbor else json.loads(one.body)
        damaged = _altered(rng, data)
        return one.with_body(cbor2.dumps(damaged) if cbor else _encode(damaged))
    except (ValueError, OverflowError, RecursionError, cbor2.CBORError):
        return _body(rng, one)


def _encode(data: Any) -> bytes:
    return json.dumps(data).encode()


def _altered(rng: Random, data: Any) -> Any:
    if isinstance(data, dict) and data and rng.random() < 0.9:
        key = rng.choice(list(data))
        if rng.random() < 0.1:
            return {
                **{name: each for name, each in data.items() if name != key},
                rng.choice(("", "x", "\0")): data[key],
            }
        if rng.random() < 0.1:
            return {name: each for name, each in data.items() if name != key}
        return {**data, key: _altered(rng, data[key])}
    if isinstance(data, list) and data and rng.random() < 0.9:
        at = rng.randrange(len(data))
        more = [data[at]] * rng.choice((0, 1, 1, 2))
        return [*data[:at], _altered(rng, data[at]), *more[1:], *data[at + 1 :]]
    return rng.choice(NODES)


def _head_line(rng: Random, one: HTTPRequest) -> HTTPRequest:
    at = rng.randrange(len(one.head))
    return one._replace(head=(*one.head[:at], rng.choice(_OF_BYTES)(rng, one.head[at]), *one.head[at + 1 :]))


def _header(rng: Random, one: HTTPRequest) -> HTTPRequest:
    line = rng.choice((rng.choice(HEADERS), rng.choice(one.head)))
    times = rng.choice((1, 1, 1, 200))
    return one._replace(head=(one.head[0], *[line] * times, *one.head[1:]))


def _parameter(rng: Random, one: HTTPRequest) -> HTTPRequest:
    method, _, rest = one.head[0].partition(b" ")
    path, _, version = rest.rpartition(b" ")
    joint = b"&" if b"?" in path else b"?"
    return one._replace(head=(method + b" " + path + joint + rng.choice(PARAMETERS) + b" " + version, *one.head[1:]))


def _method(rng: Random, one: HTTPRequest) -> HTTPRequest:
    method = rng.choice((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"CONNECT"))
    return one._replace(head=(method + b" " + one.head[0].partition(b" ")[2], *one.head[1:]))


def _chunked(rng: Random, one: HTTPRequest) -> HTTPRequest:
    """Send the body in chunks; of the chunks, one in two is damaged."""
    head = tuple(line for line in one.head if not line.lower().startswith(b"content-length:"))
    step = rng.choice((1, 7, 64, 4096))
    parts = [one.body[at : at + step] for at in range(0, min(len(one.body), 200 * step), step)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n"
    body += rng.choice((b"\r\n", b"\r\n", b"X: y\r\n\r\n", b"Content-Length: 3\r\n\r\n", b""))
    if rng.random() < 0.5:
        body = rng.choice(_OF_BYTES)(rng, body)
    return HTTPRequest((*head, b"Transfer-Encoding: chunked"), body)


_OF_REQUESTS: list[Callable[[Random, HTTPRequest], HTTPRequest]] = [
    *[_body] * 4,
    *[_structure] * 4,
    *(_head_line, _header, _parameter, _method, _chunked),
]
