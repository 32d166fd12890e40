"""Clients that are gone, that do not read, that send too much: others are served, and what was heard is observed."""

from __future__ import annotations

import json
import socket
import struct
import time
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.streaming.peers import BINARY, CLOSE, PING, PONG, TEXT, Peer, frame, send_until_stuck
from tests.support.processes import PATIENCE, STEP, Service

MEGABYTE = 1024 * 1024


def reading(n: int, **more: object) -> bytes:
    """Write a reading."""
    return json.dumps({"values": {"temp": n % 7}, **more}).encode()


def live(stream: str) -> str:
    return f"/v1/streams/{stream}/live"


def count(service: Service, stream: str) -> int:
    """Ask how many readings a stream has had."""
    return int(httpx.get(f"{service.url}/v1/streams/{stream}").json().get("count", 0))


def wait_for_count(service: Service, stream: str, expected: int) -> None:
    """Wait until a stream has had so many readings."""
    deadline = time.monotonic() + PATIENCE
    while count(service, stream) != expected:
        assert time.monotonic() < deadline, f"{count(service, stream)} of {expected} readings"
        time.sleep(STEP)


def resident(service: Service) -> int:
    """Return the service's memory in bytes."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{service.pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def quiet(service: Service) -> bool:
    """Return whether nothing went wrong inside."""
    return service.alive() and "Traceback" not in service.log.read_text()


def test_a_frame_is_written_as_the_standard_says() -> None:
    assert frame(b"{}").hex() == "8182000000007b7d"


def test_what_was_heard_is_observed_though_nobody_waits_for_the_answers(service: Service, stream: str) -> None:
    with Peer(service, live(stream)) as peer:
        peer.send(*(reading(n, seq=n) for n in range(1000)))
        peer.send(b"", opcode=CLOSE)
    wait_for_count(service, stream, 1000)
    assert quiet(service)


def test_a_client_that_vanishes_leaves_whole_readings_and_the_service_well(service: Service, stream: str) -> None:
    for _ in range(20):
        peer = Peer(service, live(stream))
        peer.send(*(reading(n) for n in range(100)))
        peer.socket.sendall(frame(reading(0))[:-3])
        peer.vanish()
    assert count(service, stream) <= 2000
    assert quiet(service)


def test_who_does_not_read_is_not_listened_to_and_finds_all_answers_in_order(service: Service, stream: str) -> None:
    with Peer(service, live(stream)) as peer:
        peer.send(reading(0))
        peer.answer()
        before = resident(service)
        message = reading(1, timestamp=1000.0)
        taken = send_until_stuck(peer.socket, frame(message) * 400_000)
        assert taken < 400_000 * len(frame(message))
        assert httpx.get(f"{service.url}/healthz", timeout=PATIENCE).is_success
        assert resident(service) - before < 32 * MEGABYTE
        whole = taken // len(frame(message))
        assert [peer.answer()["count"] for _ in range(whole)] == list(range(2, whole + 2))
    assert quiet(service)


def test_large_messages_that_are_not_read_fill_no_memory(tmp_path: Path) -> None:
    with Service(tmp_path) as service, Peer(service, live("wide")) as peer:
        message = json.dumps({"values": {"image": [20.5 + n % 9 for n in range(150_000)]}}).encode()
        peer.send(message)
        peer.answer()
        before = resident(service)
        assert send_until_stuck(peer.socket, frame(message) * 60) < 60 * len(message)
        assert resident(service) - before < 100 * MEGABYTE
        assert quiet(service)


def test_a_message_far_too_large_ends_the_connection_quietly_whatever_was_said_before(
    service: Service, stream: str
) -> None:
    with Peer(service, live(stream)) as peer:
        peer.send(*(reading(n) for n in range(10)), b" " * 50_000)
        opcode, said = 0, b""
        while opcode != CLOSE:
            opcode, said = peer.receive()
        assert int.from_bytes(said[:2], "big") == 1009
    assert quiet(service)


def test_a_message_may_come_in_frames(service: Service, stream: str) -> None:
    with Peer(service, live(stream)) as peer:
        whole = reading(1)
        peer.socket.sendall(frame(whole[:5], final=False) + frame(whole[5:9], 0, final=False) + frame(whole[9:], 0))
        assert peer.answer()["count"] == 1


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 100_000])
def test_frames_may_come_in_pieces_of_any_size(service: Service, stream: str, size: int) -> None:
    long, mask = reading(3, timestamp=" " * 150), b"\xa5\x00\xff\x81"
    sent = b"".join(
        [
            frame(reading(0), mask=mask),
            frame(reading(1)),
            frame(b"there?", PING, mask=mask),
            frame(reading(2)[:5], final=False, mask=mask),
            frame(b"", PING),
            frame(reading(2)[5:], 0, mask=mask),
            frame(long.replace(b" " * 150, b"2026-11-01T00:00:00Z").ljust(150), mask=mask),
            frame(reading(4), BINARY, mask=mask),
            frame(reading(5).ljust(15_000)),
            frame(reading(6), mask=mask),
        ]
    )
    with Peer(service, live(stream)) as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), size) if size > 64 else [*range(0, 600, size)]:
            peer.socket.sendall(sent[start : start + size])
        peer.socket.sendall(sent[start + size :])
        answers = [peer.receive() for _ in range(9)]
    assert [said for opcode, said in answers if opcode == PONG] == [b"there?", b""]
    found = [json.loads(said) for opcode, said in answers if opcode == TEXT]
    assert [each["count"] for each in found] == [*range(1, 8)]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (b"\x81\x05", 1002),  # not masked
        (frame(b"{", 3), 1002),
        (b"\xc1" + frame(b"{}")[1:], 1002),
        (frame(b"{", final=False) + frame(b"{}"), 1002),
    ],
)
def test_what_is_no_frame_ends_the_connection_and_what_came_before_is_answered(
    service: Service, stream: str, wrong: bytes, code: int
) -> None:
    with Peer(service, live(stream)) as peer:
        peer.send(reading(1))
        assert peer.answer()["count"] == 1
        peer.socket.sendall(wrong + frame(reading(2)))
        opcode, said = peer.receive()
        assert (opcode, int.from_bytes(said[:2], "big")) == (CLOSE, code)
    assert count(service, stream) == 1


def test_bytes_that_are_no_text_are_refused_and_the_connection_stays(service: Service, stream: str) -> None:
    with Peer(service, live(stream)) as peer:
        peer.send(b'{"values": {"\xff": 1}}', b"\x93NUMPY\x01\x00", opcode=BINARY)
        assert [peer.answer()["type"] for _ in range(2)] == ["/problems/malformed-json"] * 2
        peer.send(reading(1), opcode=BINARY)
        assert peer.answer()["count"] == 1


@pytest.mark.parametrize("wrong", [frame(b"{\xff}"), frame(b"{\xe2\x82", final=False) + frame(b"}", 0)])
def test_text_that_is_none_ends_the_connection_quietly(service: Service, stream: str, wrong: bytes) -> None:
    with Peer(service, live(stream)) as peer:
        peer.send(reading(1))
        assert peer.answer()["count"] == 1
        peer.socket.sendall(wrong + frame(reading(2)))
        opcode, said = peer.receive()
        assert (opcode, int.from_bytes(said[:2], "big")) == (CLOSE, 1007)
    assert (count(service, stream), quiet(service)) == (1, True)


def test_a_ping_among_readings_is_answered(service: Service, stream: str) -> None:
    with Peer(service, live(stream)) as peer:
        peer.socket.sendall(frame(reading(1)) + frame(b"still there?", PING) + frame(reading(2)))
        said = [peer.receive() for _ in range(3)]
    assert (PONG, b"still there?") in said
    assert [json.loads(text)["count"] for opcode, text in said if opcode != PONG] == [1, 2]


def test_fifty_in_flight_of_many_streams_keep_their_order(service: Service, stream: str) -> None:
    names = [f"{stream}-{n}" for n in range(7)]
    with Peer(service, "/v1/live") as peer:
        answers: list[Any] = []
        sent = 0
        while len(answers) < 2000:
            while sent < 2000 and sent - len(answers) < 50:
                peer.send(reading(sent, stream=names[sent * sent % 7], seq=sent))
                sent += 1
            answers.append(peer.answer())
    assert [answer["seq"] for answer in answers] == list(range(2000))
    assert [answer["stream"] for answer in answers] == [names[n * n % 7] for n in range(2000)]
    each = {name: [answer["count"] for answer in answers if answer["stream"] == name] for name in names}
    assert all(counts == list(range(1, len(counts) + 1)) for counts in each.values())


def test_a_bad_reading_among_many_in_flight_is_refused_alone(service: Service, stream: str) -> None:
    with Peer(service, "/v1/live") as peer:
        wrong = {40: b"no JSON", 41: reading(1), 60: reading(1, stream=f"{stream}-0", seq=1)}
        peer.send(*(wrong.get(n) or reading(n, stream=f"{stream}-{n % 2}", seq=n) for n in range(100)))
        answers = [peer.answer() for _ in range(100)]
    refused = {n: answer["type"].rpartition("/")[2] for n, answer in enumerate(answers) if "type" in answer}
    assert refused == {40: "malformed-json", 41: "invalid-reading", 60: "stale-sequence"}
    assert [answer["seq"] for n, answer in enumerate(answers) if n not in wrong] == [
        n for n in range(100) if n not in wrong
    ]


def test_who_streams_lines_and_does_not_read_is_not_listened_to(service: Service, stream: str) -> None:
    line = reading(1, timestamp=1000.0) + b"\n"
    head = f"POST /v1/streams/{stream}/bulk?streaming=true HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/x-ndjson\r\nContent-Length: {400_000 * len(line)}\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", service.port))
        connection.sendall(head.encode())
        before = resident(service)
        taken = send_until_stuck(connection, line * 400_000)
        assert taken < 400_000 * len(line)
        assert httpx.get(f"{service.url}/healthz", timeout=PATIENCE).is_success
        assert resident(service) - before < 32 * MEGABYTE
        answer = HTTPResponse(connection)
        answer.begin()
        whole = taken // len(line)
        assert [json.loads(answer.readline())["count"] for _ in range(whole)] == list(range(1, whole + 1))
    assert quiet(service)


def test_a_line_without_end_is_refused_before_it_is_whole(service: Service, stream: str) -> None:
    head = f"POST /v1/streams/{stream}/bulk?streaming=true HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/x-ndjson\r\nContent-Length: {10**12}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        connection.sendall(head.encode() + reading(1) + b"\n" + b" " * 30_000)
        answer = HTTPResponse(connection)
        answer.begin()
        first, problem = (json.loads(line) for line in answer.read().splitlines())
    assert (first["count"], problem["type"]) == (1, "/problems/body-too-large")


def test_lines_that_break_off_leave_whole_readings(service: Service, stream: str) -> None:
    head = f"POST /v1/streams/{stream}/bulk?streaming=true HTTP/1.1\r\nHost: localhost\r\n"
    head += "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    lines = b"".join(reading(n) + b"\n" for n in range(100)) + b'{"values": {"te'
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        connection.sendall(head.encode() + b"%x\r\n%b\r\n" % (len(lines), lines))
        wait_for_count(service, stream, 100)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert count(service, stream) == 100
    assert quiet(service)
