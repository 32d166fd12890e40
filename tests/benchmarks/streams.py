"""Readings a second over NDJSON, a WebSocket, MQTT and line protocol: `python -m tests.benchmarks.streams`."""

from __future__ import annotations

import json
import os
import socket
import threading
from http.client import HTTPConnection
from itertools import count

import numpy as np

from tests.benchmarks import line_protocol, mqtt
from tests.benchmarks.report import Row, in_turns, show
from tests.benchmarks.servers import LOAD, Address, ours, peer, worked

FEATURES = 8
READINGS = 100_000
STREAMS = 100
MESSAGES = 40_000
IN_FLIGHT = 50
ROUNDS = 5
_names = (f"s-{n}" for n in count())


def lines(*, many: bool = False) -> bytes:
    """Write readings of eight features, of one stream or of many in turn."""
    rows = np.random.default_rng(0).normal(20.0, 3.0, (READINGS, FEATURES)).round(3).tolist()
    made = []
    for n, row in enumerate(rows):
        reading = {"values": {f"feature-{place}": value for place, value in enumerate(row)}}
        made.append(json.dumps({"stream": f"m-{n % STREAMS}", **reading} if many else reading, separators=(",", ":")))
    return "\n".join(made).encode()


def one_request(address: Address, path: str, body: bytes) -> float:
    """Send a body in one request while its answer is read; returns the lines answered a second of processor time."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    before = worked(address.process)
    with socket.create_connection(("127.0.0.1", address.port)) as connection:
        sender = threading.Thread(target=lambda: connection.sendall(head.encode() + body))
        sender.start()
        answer = bytearray()
        while data := connection.recv(1 << 20):
            answer += data
        sender.join()
    answered = answer.count(b'"count"')
    if answered != READINGS:
        raise RuntimeError(f"{answered} of {READINGS} lines were answered")
    return READINGS / (worked(address.process) - before)


def framed(message: bytes) -> bytes:
    """Write a WebSocket frame of text, masked by zeros."""
    return b"\x81" + bytes([0x80 | len(message)]) + bytes(4) + message


class Frames:
    """Counts the frames of a stream of bytes."""

    def __init__(self) -> None:
        self._rest = b""

    def count(self, data: bytes) -> int:
        """Count those that end in these bytes."""
        data = self._rest + data
        at = found = 0
        while at + 4 <= len(data):
            size = data[at + 1] & 0x7F
            start = at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            if start + size > len(data):
                break
            at, found = start + size, found + 1
        self._rest = data[at:]
        return found


def messages(address: Address) -> float:
    """Keep so many messages in flight; returns those answered a second of the server's processor time."""
    stream = next(_names)
    path = f"/v1/streams/{stream}/live"
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    frame = framed(b'{"values":{"temp":21.4,"door":0,"light":3.5}}')
    with socket.create_connection(("127.0.0.1", address.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head.encode())
        if b" 101 " not in connection.recv(4096):
            raise RuntimeError("no WebSocket")
        frames = Frames()
        before = worked(address.process)
        connection.sendall(frame * IN_FLIGHT)
        answered = 0
        while answered < MESSAGES:
            new = frames.count(connection.recv(1 << 16))
            answered += new
            if answered + IN_FLIGHT <= MESSAGES + new:
                connection.sendall(frame * new)
        return answered / (worked(address.process) - before)


def ndjson() -> list[Row]:
    """Compare the ways of NDJSON with the fastest one."""
    one, many = lines(), lines(many=True)
    with ours() as us:
        one_request(us, f"/v1/streams/{next(_names)}/bulk?streaming=true", one)
        streamed, *others = in_turns(
            ROUNDS,
            lambda: one_request(us, f"/v1/streams/{next(_names)}/bulk?streaming=true", one),
            lambda: one_request(us, f"/v1/streams/{next(_names)}/bulk", one),
            lambda: one_request(us, "/v1/bulk?streaming=true", many),
            lambda: one_request(us, "/v1/bulk", many),
        )
    note = f"one request of {READINGS} readings of {FEATURES} features, server and load on a core each"
    rows = [Row("NDJSON, answered line by line", "", [], streamed, "/s", "≥ 100 000 /s", note)]
    whats = ("as a whole or not at all", f"of {STREAMS} streams in turn, line by line", f"of {STREAMS}, as a whole")
    for what, mine in zip(whats, others, strict=True):
        rows.append(Row(f"NDJSON, {what}", "one stream, line by line", streamed, mine, "/s", "≥ 0.8"))
    return rows


def posted(address: Address, path: str, media: str, bodies: list[bytes]) -> float:
    """Post bodies over one connection; returns the readings answered a second of processor time."""
    connection = HTTPConnection("127.0.0.1", address.port)
    answered = 0
    before = worked(address.process)
    for body in bodies:
        connection.request("POST", path, body, {"content-type": media})
        answered += connection.getresponse().read().count(b'"count"')
    spent = worked(address.process) - before
    connection.close()
    return answered / spent


def bulks() -> Row:
    """Compare bulks of a reading of each of many streams with as many POSTs."""
    one, many = lines().split(b"\n"), lines(many=True).split(b"\n")
    together = [b"\n".join(many[start : start + STREAMS]) for start in range(0, READINGS // 2, STREAMS)]
    with ours() as us:
        alone, mine = in_turns(
            ROUNDS,
            lambda: posted(us, f"/v1/streams/{next(_names)}/readings", "application/json", one[: READINGS // 10]),
            lambda: posted(us, "/v1/bulk", "application/x-ndjson", together),
        )
    what = f"NDJSON, a reading of each of {STREAMS} streams a request"
    return Row(what, "one reading a POST", alone, mine, "/s", "", f"{FEATURES} features, one connection")


def websocket() -> Row:
    """Compare messages with a bare echo of theirs."""
    with ours() as us, peer("echo") as echo:
        for address in (us, echo):
            messages(address)
        theirs, mine = in_turns(ROUNDS, lambda: messages(echo), lambda: messages(us))
    ws = f"{IN_FLIGHT} in flight, server and load on a core each"
    return Row("WebSocket", "bare echo of the message", theirs, mine, "/s", "≥ 0.95", ws)


def measure() -> list[Row]:
    """Compare."""
    os.sched_setaffinity(0, {LOAD})
    return [*ndjson(), bulks(), websocket(), *mqtt.measure(), *line_protocol.measure()]


def main() -> None:
    """Print the table."""
    show(measure())


if __name__ == "__main__":
    main()
