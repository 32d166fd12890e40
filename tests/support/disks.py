"""Disks that fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
import numpy as np

from streamnorm.engine.blocks.block import Block, observe_block
from streamnorm.engine.blocks.parse import parse_number_rows
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.snapshot import export
from streamnorm.engine.streams.stream import Stream

LIMITS = Limits()
FEATURES = ["temp", "door", "flow"]
ROWS = 5  # of a block


class Sent(NamedTuple):
    """A request: readings numbered from `first` on, one as a reading, several as a block."""

    first: int
    rows: list[list[float | None]]

    @property
    def last(self) -> int:
        """The number of its last reading."""
        return self.first + len(self.rows) - 1


class Acknowledged(NamedTuple):
    """A request, its answer, and when that came."""

    sent: Sent
    answer: dict[str, Any]
    moment: float


class Device:
    """One stream: sends a request after the other, and keeps what was acknowledged."""

    def __init__(self, stream: str, seed: int) -> None:
        self.stream = stream
        self.rng = np.random.default_rng(seed)
        self.acknowledged: list[Acknowledged] = []
        #: sent, and not answered
        self.pending: Sent | None = None
        self.twin = Stream(plan(configuration({}, {})))
        self.next_seq = 0

    def send(self, client: httpx.Client) -> None:
        """Send the request that is pending again, or the next one.

        Raises:
            httpx.TransportError: no answer came; the request stays pending.

        """
        sent = self.pending = self.pending or self._next()
        path = f"/v1/streams/{self.stream}/"
        if len(sent.rows) == 1:
            body = {"values": dict(zip(FEATURES, sent.rows[0], strict=True)), "seq": sent.first}
            response = client.post(path + "readings", json=body)
        else:
            response = client.post(
                path + "bulk", json={"features": FEATURES, "values": sent.rows, "first_seq": sent.first}
            )
        assert response.status_code == 200, response.text
        self.acknowledged.append(Acknowledged(sent, response.json(), time.monotonic()))
        self.pending = None
        self.next_seq = sent.last + 1

    def replay(self) -> None:
        """Have the twin observe what was acknowledged, and compare every answer."""
        for sent, answer, _ in self.acknowledged:
            assert answer["count"] == sent.last + 1
            assert answer["values"] == self._observed(sent), f"{self.stream}, seq {sent.first}"
        self.acknowledged.clear()

    def assert_like_twin(self, client: httpx.Client) -> None:
        """Assert that the service's state is the twin's, to the bit."""
        snapshot = client.get(f"/v1/streams/{self.stream}/snapshot").json()
        expected = export(self.twin)
        for moment in ("created", "updated"):
            del snapshot[moment], expected[moment]
        assert snapshot == expected

    def last_seq(self, client: httpx.Client) -> int:
        """Ask for the number of the last reading applied; -1 where there is none."""
        last: int = client.get(f"/v1/streams/{self.stream}").json().get("last_seq", -1)
        return last

    def _next(self) -> Sent:
        rows = ROWS if self.rng.random() < 0.1 else 1
        drawn = self.rng.normal([20.0, 0.0, 1e6], [3.0, 1e-6, 1e3], (rows, len(FEATURES))).tolist()
        if self.rng.random() < 0.1:
            drawn[0][1] = None
        return Sent(self.next_seq, drawn)

    def _observed(self, sent: Sent) -> Any:
        if len(sent.rows) == 1:
            one = parse_reading(dict(zip(FEATURES, sent.rows[0], strict=True)), LIMITS, seq=sent.first)
            ys = self.twin.observe(one, 1.0, LIMITS).values
            return {name: y if y == y else None for name, y in zip(FEATURES, ys, strict=True)}  # noqa: PLR0124
        block = Block(tuple(FEATURES), parse_number_rows(sent.rows), None, sent.first)
        draft = self.twin.draft()
        values = observe_block(draft, block, 1.0, LIMITS).values
        self.twin = draft
        return [[y if y == y else None for y in row] for row in values.tolist()]  # noqa: PLR0124


def send_until_cut(url: str, devices: Iterable[Device]) -> None:
    """Send for several devices in turn, over one connection, until no answer comes."""
    with httpx.Client(base_url=url, timeout=30) as client:
        try:
            while True:
                for device in devices:
                    device.send(client)
        except httpx.TransportError:
            return


@contextmanager
def sending(url: str, groups: Iterable[list[Device]]) -> Iterator[None]:
    """Let every group of devices send, at the same time, until the service is gone."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    threads = [
        threading.Thread(target=guarded, args=[lambda group=group: send_until_cut(url, group)]) for group in groups
    ]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
