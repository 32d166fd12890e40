"""Forwards normalized readings to InfluxDB, or whoever takes line protocol over HTTP.

What came as line protocol keeps its measurement, tags, fields and exact time; other readings are points of the
measurement `streamnorm` with their stream as a tag. Points wait for a receiver that is away, as far as there is room.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import logging
from collections import deque
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.reading import Answer, Reading
from streamnorm.errors import InvalidConfiguration
from streamnorm.formats.line_protocol import Point, PointReading, written
from streamnorm.ingest import IngestService

log = logging.getLogger(__name__)

MEASUREMENT = "streamnorm"
#: Some 50 MB of lines; beyond it the oldest go.
MOST_WAITING = 200_000
#: What InfluxDB recommends for a write.
MOST_AT_ONCE = 5_000
#: Seconds that writes are apart.
LINGER = 1.0
LONGEST_PAUSE = 30.0
TIMEOUT = 30.0
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500


class Written(NamedTuple):
    """What a receiver answered."""

    status: int
    body: str


class Forward:
    """The bridge; a listener of the service."""

    max_rows: int | None = None

    def __init__(self, service: IngestService, url: str, token: str = "") -> None:
        self._service = service
        self._url = urlsplit(url)
        if self._url.scheme not in {"http", "https"} or not self._url.hostname:
            raise InvalidConfiguration.at("/forward", f"{url!r} is no http:// or https:// address")
        self._token = token
        self._lines: deque[str] = deque(maxlen=MOST_WAITING)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to write."""
        self._service.listeners.append(self)
        self._task = asyncio.create_task(self._run(), name="streamnorm forward")

    async def stop(self) -> None:
        """Write what waits, once."""
        self._service.listeners.remove(self)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        while self._lines and await self._write():
            pass

    def on_reading(self, stream_id: str, reading: Reading, answer: Answer, now: float) -> None:
        """Queue a reading."""
        ys = {name: y for name, y in zip(reading.names, answer.values, strict=True) if isinstance(y, float) and y == y}  # noqa: PLR0124
        moment = now if reading.timestamp is None else reading.timestamp
        point = reading.point if isinstance(reading, PointReading) else None
        self._queue(point or Point(MEASUREMENT, (("stream", stream_id),), {}), ys, moment)

    def on_block(self, stream_id: str, block: Block, answer: BlockAnswer, now: float) -> None:
        """Queue a block."""
        point = Point(MEASUREMENT, (("stream", stream_id),), {})
        for row, values in enumerate(answer.values.tolist()):
            ys = {name: y for name, y in zip(block.names, values, strict=True) if y == y}  # noqa: PLR0124 - NaN
            self._queue(point, ys, now if block.times is None else float(block.times[row]))

    def _queue(self, point: Point, ys: dict[str, float], moment: float) -> None:
        if ys:
            time = round(moment * 1e6) * 1000 if point.time is None else point.time
            self._lines.append(written(Point(point.measurement, point.tags, {}, time), ys))

    async def _run(self) -> None:
        pause = LINGER
        while True:
            await asyncio.sleep(pause)
            while self._lines:
                if not await self._write():
                    pause = min(LONGEST_PAUSE, 2 * pause)
                    break
                pause = LINGER

    async def _write(self) -> bool:
        """Write some lines; returns whether they are dealt with."""
        lines = [self._lines.popleft() for _ in range(min(MOST_AT_ONCE, len(self._lines)))]
        body = gzip.compress("\n".join(lines).encode(), 1)
        try:
            answer = await asyncio.to_thread(_post, self._url, self._token, body)
        except (OSError, http.client.HTTPException) as error:
            log.warning(
                "forwarding to %s: %s; %d points wait", self._url.hostname, error, len(lines) + len(self._lines)
            )
        else:
            if answer.status < SERVER_ERROR and answer.status != TOO_MANY_REQUESTS:
                if answer.status >= http.client.BAD_REQUEST:
                    log.warning("%s refuses %d points: %s", self._url.hostname, len(lines), answer.body[:200])
                return True
            log.warning("%s answers %d; the points wait", self._url.hostname, answer.status)
        self._lines.extendleft(reversed(lines[-(MOST_WAITING - len(self._lines)) :]))
        return False


def _post(url: SplitResult, token: str, body: bytes) -> Written:
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    with contextlib.closing(kind(url.hostname or "", url.port, timeout=TIMEOUT)) as connection:
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}
        if token:
            headers["Authorization"] = f"Token {token}"
        path = (url.path or "/api/v2/write") + (f"?{url.query}" if url.query else "")
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return Written(answer.status, answer.read().decode("utf-8", "replace"))
