"""NDJSON both ways at once: a line is answered while the request is still being sent."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.processes import PATIENCE, Service

NDJSON = {"content-type": "application/x-ndjson"}


class Conversation:
    """A request that is sent piece by piece, and its answer read meanwhile."""

    def __init__(self, connection: socket.socket, path: str) -> None:
        self._connection = connection
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        self._answer: HTTPResponse | None = None

    def send(self, *lines: object, end: str = "\n") -> None:
        """Send lines."""
        body = "".join(line if isinstance(line, str) else json.dumps(line) + end for line in lines).encode()
        self._connection.sendall(b"%x\r\n%b\r\n" % (len(body), body))

    def end(self) -> None:
        """Send the end of the request."""
        self._connection.sendall(b"0\r\n\r\n")

    @property
    def answer(self) -> HTTPResponse:
        """The answer, from its head on."""
        if self._answer is None:
            self._answer = HTTPResponse(self._connection)
            self._answer.begin()
        return self._answer

    def line(self) -> Any:
        """Read a line of the answer."""
        return json.loads(self.answer.readline())

    def rest(self) -> list[Any]:
        """Read the answer's other lines."""
        return [json.loads(line) for line in self.answer.read().splitlines()]


@contextmanager
def talking(service: Service, path: str) -> Iterator[Conversation]:
    """Begin a request."""
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        yield Conversation(connection, f"{path}?streaming=true")


def bulk(stream: str) -> str:
    return f"/v1/streams/{stream}/bulk"


def info(service: Service, stream: str) -> Any:
    return httpx.get(f"{service.url}/v1/streams/{stream}").json()


def whole(service: Service, path: str, *lines: object, **headers: str) -> list[Any]:
    """Send lines in one request; returns the answer's."""
    body = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode()
    if headers.get("content-encoding") == "gzip":
        body = gzip.compress(body)
    response = httpx.post(f"{service.url}{path}", content=body, headers=NDJSON | headers, timeout=PATIENCE)
    assert response.is_success, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def test_a_line_is_answered_before_the_next_one_is_sent(service: Service, stream: str) -> None:
    with talking(service, bulk(stream)) as talk:
        for n in range(3):
            talk.send({"values": {"a": n}, "seq": n})
            assert talk.line()["count"] == n + 1
        talk.end()
        assert talk.rest() == []


def test_a_line_may_come_in_pieces(service: Service, stream: str) -> None:
    with talking(service, bulk(stream)) as talk:
        talk.send('{"values": {"a"')
        talk.send(': 1}}\n{"val')
        assert talk.line()["count"] == 1
        talk.send('ues": {"a": 1}}')
        talk.end()
        assert [line["count"] for line in talk.rest()] == [2]


def test_the_answer_says_what_it_is(service: Service, stream: str) -> None:
    with talking(service, bulk(stream)) as talk:
        talk.end()
        assert (talk.answer.status, talk.answer.headers["content-type"]) == (200, "application/x-ndjson")
        assert talk.rest() == []


def test_many_lines_are_answered_as_in_one_block(service: Service, stream: str) -> None:
    rows = np.random.default_rng(0).normal(20.0, 3.0, (3000, 3)).tolist()
    lines = [{"values": dict(zip("abc", row, strict=True)), "seq": n} for n, row in enumerate(rows, 1)]
    streamed = whole(service, f"{bulk(stream)}?streaming=true", *lines)
    block = whole(service, bulk(f"{stream}-block"), *lines)
    assert [line | {"stream": ""} for line in streamed] == [line | {"stream": ""} for line in block]


def test_lines_of_many_streams_are_answered_in_order(service: Service, stream: str) -> None:
    lines = [{"stream": f"{stream}-{n % 3}", "values": [n], "seq": n} for n in range(300)]
    answers = whole(service, "/v1/bulk?streaming=true", *lines)
    assert [(line["stream"], line["seq"], line["count"]) for line in answers] == [
        (line["stream"], n, n // 3 + 1) for n, line in enumerate(lines)
    ]


BAD = {
    "no JSON": ('{"values"\n', "malformed-json", None),
    "no reading": ("[1]\n", "invalid-reading", "/2"),
    "text": ('{"values": {"a": "warm"}}\n', "invalid-reading", "/2/values/a"),
    "a number applied before": ('{"values": {"a": 1}, "seq": 1}\n', "stale-sequence", None),
    "another shape": ('{"values": {"a": [1, 2]}}\n', "invalid-reading", "/2/values/a"),
    "too large": ('{"values": {"a": 1}}' + " " * 30_000 + "\n", "body-too-large", None),
}


@pytest.mark.parametrize(("line", "slug", "pointer"), BAD.values(), ids=list("abcdef"))
def test_a_bad_line_is_answered_by_its_problem_which_is_the_last_line(
    service: Service, stream: str, line: str, slug: str, pointer: str | None
) -> None:
    good = {"values": {"a": 1}}
    with talking(service, bulk(stream)) as talk:
        talk.send(good | {"seq": 1}, "\n", good | {"seq": 2}, line, good, good)
        first, second, problem = talk.rest()
        talk.end()
    assert (first["count"], second["count"], problem["type"]) == (1, 2, f"/problems/{slug}")
    assert [fault["pointer"] for fault in problem.get("errors", ())] == ([pointer] if pointer else [])
    assert info(service, stream)["count"] == 2


def test_the_first_line_of_a_stream_that_is_refused_makes_no_stream(service: Service, stream: str) -> None:
    whole(service, f"{bulk(stream)}?streaming=true", {"values": {"": 1}})
    assert info(service, stream)["status"] == 404


def test_a_stale_number_among_many_streams_names_its_stream(service: Service, stream: str) -> None:
    line = {"stream": stream, "values": [1], "seq": 5}
    problem = whole(service, "/v1/bulk?streaming=true", line, line | {"seq": 4})[-1]
    assert (problem["last_seq"], stream in problem["detail"]) == (5, True)


@pytest.mark.parametrize("refused", [None, 47])
def test_long_runs_of_streams_in_turn_are_answered_as_if_each_came_alone(
    service: Service, stream: str, refused: int | None
) -> None:
    names = [f"{stream}-{place}" for place in "ab"]
    sent = [{"stream": names[n % 2], "values": {"temp": n * n % 17}, "seq": n + 1} for n in range(80)]
    for name in names:
        whole(service, bulk(name), {"values": {"temp": 1.0}, "seq": 0})
        whole(service, bulk(f"{name}-alone"), {"values": {"temp": 1.0}, "seq": 0})
    if refused is not None:
        sent[refused]["seq"] = 0
    answers = whole(service, "/v1/bulk?streaming=true", *sent)
    taken = sent[:refused]
    assert len(answers) == len(taken) + (refused is not None)
    for line, answer in zip(taken, answers, strict=False):
        (alone,) = whole(service, bulk(f"{line['stream']}-alone"), {"values": line["values"], "seq": line["seq"]})
        assert answer == alone | {"stream": line["stream"]}
    assert [info(service, name)["count"] for name in names] == [
        info(service, f"{name}-alone")["count"] for name in names
    ]


def test_the_same_number_again_is_answered_as_before(service: Service, stream: str) -> None:
    line = {"values": [1], "seq": 5}
    first, again = whole(service, f"{bulk(stream)}?streaming=true", line, line)
    assert again == first | {"replayed": True}


def test_lines_may_be_normalized_only(service: Service, stream: str) -> None:
    whole(service, bulk(stream), {"values": [1]}, {"values": [3]})
    answers = whole(service, f"{bulk(stream)}?streaming=true&learn=false", {"values": [1]}, {"values": [3]})
    assert (len(answers), info(service, stream)["count"]) == (2, 2)


def test_lines_may_be_packed(service: Service, stream: str) -> None:
    lines = [{"values": [n]} for n in range(2000)]
    answers = whole(service, f"{bulk(stream)}?streaming=true", *lines, **{"content-encoding": "gzip"})
    assert [line["count"] for line in answers] == list(range(1, 2001))


def test_what_is_no_gzip_ends_the_answer(service: Service, stream: str) -> None:
    headers = NDJSON | {"content-encoding": "gzip"}
    response = httpx.post(f"{service.url}{bulk(stream)}?streaming=true", content=b"{}", headers=headers)
    assert response.json()["type"] == "/problems/malformed-gzip"


@pytest.mark.parametrize("header", [{"content-type": "application/json"}, NDJSON | {"accept": "application/json"}])
def test_streaming_takes_and_gives_lines_only(service: Service, stream: str, header: dict[str, str]) -> None:
    response = httpx.post(f"{service.url}{bulk(stream)}?streaming=true", content=b"{}", headers=header)
    assert response.status_code in {406, 415}


def test_a_connection_that_breaks_off_leaves_what_was_answered(service: Service, stream: str) -> None:
    with talking(service, bulk(stream)) as talk:
        talk.send({"values": [1]}, {"values": [2]}, '{"values"')
        assert [talk.line()["count"] for _ in range(2)] == [1, 2]
    assert info(service, stream)["count"] == 2
    assert "Traceback" not in service.log.read_text()
