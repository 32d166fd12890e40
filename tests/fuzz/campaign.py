"""A long series of damaged requests to a real service, and what must be true after each of them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import httpx

from tests.faults.wire import resident
from tests.fuzz.exchange import Answer, Exchange, exchange, messages
from tests.fuzz.mutations import mutate
from tests.fuzz.seeds import WATCHED, seeds
from tests.support.processes import PATIENCE, Service

CORPUS = Path(__file__).parent / "corpus"
#: Seconds that a small request may take; a busy machine is asked again before that is held against the service.
LONGEST = 1.0
RETRIES = 3
#: Bytes that the service may grow by once it has seen a tenth of the requests.
MOST_GROWTH = 256 * 1024 * 1024
#: Streams beyond which those that damaged names have made are deleted.
MOST_STREAMS = 30
#: Requests that are tried while one that fails is cut down.
MOST_CUTS = 150
#: The answer to a coding of transfer that is not known (RFC 9112, section 6.1).
NOT_IMPLEMENTED = 501
#: Requests after which the watched streams begin anew.
FRESH = 10
#: Of a write of line protocol and of streamed lines, what can be taken is; and a reset has no body to wait for.
TAKEN_IN_PARTS = (b"write", b"streaming=", b"/reset", b"DELETE")


class Finding(NamedTuple):
    """What went wrong, and the bytes that do it."""

    what: str
    request: bytes


class Campaign:
    """Damaged requests to one service, drawn from a seed."""

    def __init__(self, service: Service, seed: int) -> None:
        self.seen: Counter[str] = Counter()
        #: what went wrong while a request that fails was cut down
        self.others: list[Finding] = []
        self._service = service
        self._http = httpx.Client(base_url=service.url, timeout=PATIENCE)
        self._rng = Random(seed)
        self.snapshots = self._prepared()
        self._seeds = seeds(self.snapshots)
        self._state = self._states()
        self._grown_from = 0

    def run(self, requests: int, seconds: float = float("inf")) -> Iterator[Finding]:
        """Send so many requests, or as many as there is time for; yields what goes wrong."""
        deadline = time.monotonic() + seconds
        for number in range(requests):
            if time.monotonic() > deadline:
                break
            if number == requests // 10:
                self._grown_from = resident(self._service)
            if number % FRESH == 0:
                self.restore()
            data = mutate(self._rng, self._rng.choice(self._seeds), self._seeds)
            if what := self.check(data):
                yield Finding(what, self._cut_down(data, what))
                yield from self.others
                self.others.clear()
        if self._grown_from and resident(self._service) - self._grown_from > MOST_GROWTH:
            yield Finding(f"the service grew from {self._grown_from} to {resident(self._service)} bytes", b"")

    def restore(self) -> None:
        """Put the watched streams back where they began: a high sequence number would have all that follows refused."""
        for stream, snapshot in self.snapshots.items():
            self._http.put(f"/v1/streams/{stream}", json=WATCHED[stream]).raise_for_status()
            self._http.put(f"/v1/streams/{stream}/snapshot", content=snapshot).raise_for_status()
        self._state = self._states()

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def check(self, data: bytes) -> str:
        """Send one request; returns what went wrong, or nothing."""
        found = exchange(self._service.port, data)
        self.seen["requests"] += 1
        for answer in found.answers or [Answer()]:
            self.seen[f"{answer.status // 100}xx" if answer.status else "cut off"] += 1
        return self._wrong(data, found) or self._slow(data, found) or self._changed(data, found)

    def _wrong(self, data: bytes, found: Exchange) -> str:
        for answer in found.answers:
            if answer.status >= 500 and not (answer.status == NOT_IMPLEMENTED and described(data, answer)):
                return f"status {answer.status}"
            if answer.status >= 400 and data[:5] != b"HEAD " and not described(data, answer):
                return f"status {answer.status} without a problem"
        for message in messages(found.messages):
            if json.loads(message).get("status", 200) >= 500:
                return f"a message with status {json.loads(message)['status']}"
        return ""

    def _slow(self, data: bytes, found: Exchange) -> str:
        for _ in range(RETRIES):
            if found.seconds < LONGEST and not found.unanswered:
                return ""
            found = exchange(self._service.port, data)
            self._state = self._states()
        return "a hang"

    def _changed(self, data: bytes, found: Exchange) -> str:
        before, self._state = self._state, self._states()
        if before == self._state or not refused(data, found):
            return ""
        for _ in range(RETRIES):  # a request before this one, that was cut off, may have ended meanwhile
            self._learn()
            before = self._states()
            found = exchange(self._service.port, data)
            self._state = self._states()
            if before == self._state:
                return ""
        return "a refusal that changes a stream"

    def _learn(self) -> None:
        """Have each watched stream learn from a reading, so that a reset shows."""
        for stream in WATCHED:
            self._http.post(f"/v1/streams/{stream}/readings", json={"values": {"t": 20.0}})

    def _prepared(self) -> dict[str, bytes]:
        """Make the watched streams, with readings enough for each part of their state to be filled."""
        found = {}
        for stream, config in WATCHED.items():
            at = f"/v1/streams/{stream}"
            self._http.put(at, json=config).raise_for_status()
            rows = [[20 + n % 7, n % 2] for n in range(40)]
            self._http.post(f"{at}/bulk", json={"features": ["t", "d"], "values": rows}).raise_for_status()
            found[stream] = self._http.get(f"{at}/snapshot").content
        return found

    def _states(self) -> list[bytes]:
        """Return what the service knows, with the watched streams to the bit."""
        listed = self._http.get("/v1/streams?limit=1000")
        streams = [each["stream"] for each in listed.json()["streams"]]
        if len(streams) > MOST_STREAMS:
            for name in streams:
                if name not in WATCHED:
                    self._http.delete(f"/v1/streams/{name}")
            listed = self._http.get("/v1/streams?limit=1000")
        return [listed.content, *(self._http.get(f"/v1/streams/{name}/snapshot").content for name in WATCHED)]

    def _cut_down(self, data: bytes, what: str) -> bytes:
        """Leave out what the failure does not need."""
        step, left = len(data) // 2, MOST_CUTS
        while step and left:
            for at in range(0, len(data), step):
                shorter = data[:at] + data[at + step :]
                left -= 1
                again = self.check(shorter) if shorter else ""
                if again and again != what:
                    self.others.append(Finding(again, shorter))
                if again == what:
                    data = shorter
                    break
                if not left:
                    break
            else:
                step //= 2
        return data


def refused(data: bytes, found: Exchange) -> bool:
    """Return whether nothing of a request may have been taken."""
    if any(part in data for part in TAKEN_IN_PARTS):
        return False
    heard = messages(found.messages)
    return found.refused or (bool(heard) and all(json.loads(each).get("status", 200) >= 400 for each in heard))


def described(data: bytes, answer: Answer) -> bool:
    """Return whether a refusal says what is wrong, in the form of its call."""
    if answer.headers.get("content-length") == "0" and data[:4] == b"HEAD":
        return True
    try:
        told = json.loads(answer.body)
    except ValueError:
        return False
    if answer.headers.get("content-type") == "application/problem+json":
        return told["status"] == answer.status and {"type", "title"} <= set(told)
    return "error" in told or {"code", "message"} <= set(told)
