"""InfluxDB's line protocol: points a second of the server's processor time, beside writing them with its client."""

from __future__ import annotations

import time
from http.client import HTTPConnection
from typing import NamedTuple

import numpy as np

from tests.benchmarks.report import Row, in_turns
from tests.benchmarks.servers import Address, ours, worked

#: points of a write: what InfluxDB recommends
WRITE = 5_000
WRITES = 20
STATIONS = 100
FIELDS = ("temp", "humidity", "light")
#: a day ago, nanoseconds since 1970: no point is ahead of the clock
START = time.time_ns() - 86_400 * 10**9
ROUNDS = 5


class Sample(NamedTuple):
    """A point: its tag, its fields and its time in nanoseconds."""

    station: str
    fields: tuple[float, ...]
    time: int

    def written(self) -> str:
        """Write it as influxdb-client does."""
        from influxdb_client import Point  # noqa: PLC0415 - of the benchmarks' environment only

        point = Point("weather").tag("station", self.station).time(self.time)
        for name, value in zip(FIELDS, self.fields, strict=True):
            point.field(name, value)
        line: str = point.to_line_protocol()
        return line


def samples() -> list[Sample]:
    """Return the points of all writes, of many stations in turn."""
    rows = np.random.default_rng(0).normal(20.0, 3.0, (WRITE * WRITES, len(FIELDS))).round(3).tolist()
    return [Sample(f"s-{n % STATIONS}", tuple(row), START + n * 1_000_000) for n, row in enumerate(rows)]


def written(points: list[Sample]) -> float:
    """Return the points that influxdb-client writes in a second of processor time."""
    began = time.process_time()
    for point in points:
        point.written()
    return len(points) / (time.process_time() - began)


class Writer:
    """Writes points again and again, each time later."""

    def __init__(self, address: Address, points: list[Sample]) -> None:
        self._address = address
        self._texts = [point.written().rpartition(" ")[0] for point in points]
        self._time = START

    def write(self) -> float:
        """Return the points taken a second of the server's processor time."""
        bodies = [self._body(start) for start in range(0, len(self._texts), WRITE)]
        connection = HTTPConnection("127.0.0.1", self._address.port)
        before = worked(self._address.process)
        for body in bodies:
            connection.request("POST", "/api/v2/write?org=o&bucket=b", body)
            answer = connection.getresponse()
            if answer.read() or answer.status != 204:
                raise RuntimeError(answer.status)
        connection.close()
        return len(self._texts) / (worked(self._address.process) - before)

    def _body(self, start: int) -> bytes:
        lines = []
        for text in self._texts[start : start + WRITE]:
            self._time += 1_000_000
            lines.append(f"{text} {self._time}")
        return "\n".join(lines).encode()


def measure() -> list[Row]:
    """Compare."""
    points = samples()
    with ours() as us:
        writer = Writer(us, points)
        writer.write()
        theirs, mine = in_turns(ROUNDS, lambda: written(points[: 4 * WRITE]), writer.write)
    note = f"writes of {WRITE} points of {len(FIELDS)} fields, {STATIONS} tags in turn, stamped"
    peer = "influxdb-client, writing the lines"
    return [Row("line protocol", peer, theirs, mine, "/s", "≥ 300 000 /s or ≥ 2", note)]
