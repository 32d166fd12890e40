"""Forwards normalized readings to InfluxDB, or any receiver of line protocol over HTTP.

Readings received as line protocol keep their measurement, tags, fields and exact time; others become points of the
measurement `streamnorm` with their stream as a tag.

Rules:

1. A point leaves the queue when the receiver has accepted it, or has rejected the point itself as invalid.
2. Any other failure (a wrong token, a missing bucket, an unreachable receiver) is retried with exponential backoff.
3. When a batch is rejected as a whole, it is bisected to find the invalid points.
4. Points pending at a stop are spooled to disk, and sent after the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamnorm.bridges.bridge import State, contained
from streamnorm.bridges.point_queue import MAX_BYTES, PointQueue, Spool
from streamnorm.bridges.receiver import Receiver, Unavailable, Verdict
from streamnorm.engine.blocks.observed import Batch, pairs
from streamnorm.formats.line_protocol import Point, PointReading, written
from streamnorm.ingest import IngestService
from streamnorm.ingest.refusals import Refusals

log = logging.getLogger(__name__)

MEASUREMENT = "streamnorm"
SPOOL = "forward.lp"
#: The batch size that InfluxDB recommends, and far below the limits of all its versions.
MAX_LINES, MAX_WRITE_BYTES = 5_000, 4 * 1024 * 1024
#: Limit of writes for bisecting one batch: enough for a handful of invalid points.
MAX_PROBES = 64
#: Seconds between writes.
LINGER = 1.0
LONGEST_PAUSE = 60.0
#: Seconds at a stop for the write in flight, and for those of pending points; the rest is spooled.
LAST_CHANCE = 0.7
#: InfluxDB's message when it has accepted some of the points.
PARTIAL = "partial write"
_DROPPED = re.compile(r"dropped=(\d+)|(\d+) refused")


class InfluxForwarder:
    """A bridge that listens to the `service` and writes to the `receiver`.

    At most `max_bytes` of pending points are queued; at a stop they are spooled in the `folder`.
    """

    name = "forward"
    max_rows: int | None = None

    def __init__(self, service: IngestService, receiver: Receiver, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._service = service
        self._receiver = receiver
        self._queue = PointQueue(max_bytes)
        self._spool = Spool(folder / SPOOL)
        #: whether the spool holds points that were not accepted yet
        self._spooled = False
        self.refusals = Refusals(log, f"forwarding to {receiver.address}")
        self._work: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._written = 0
        self._failures = 0
        #: why the last write failed; empty after a success
        self._trouble = ""

    def attach(self) -> None:
        """Register with the service, and load the spool of the last run."""
        if self not in self._service.listeners:
            self._service.listeners.append(self)
        for line in self._spool.load():
            self._queue.put(line)
            self._spooled = True

    async def run(self) -> None:
        """Write until stopped."""
        self._work = asyncio.create_task(self._forward(), name="streamnorm forward writes")
        try:
            await asyncio.wait({self._work})
        finally:
            self._work.cancel()
        if not self._work.cancelled():
            self._work.result()

    async def stop(self) -> None:
        """Write pending points within the time limit, and spool the rest to disk."""
        if self in self._service.listeners:
            self._service.listeners.remove(self)
        self._stopping.set()
        if self._work is not None:
            await asyncio.wait({self._work}, timeout=LAST_CHANCE)
            self._work.cancel()
            await asyncio.wait({self._work})
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(0 if self._trouble else LAST_CHANCE):
                while self._queue:
                    await self._write()
        try:
            self._spool.save(self._queue.lines())
        except OSError as error:
            log.critical("forwarding: %d points that wait are lost: %s", len(self._queue), error)
        else:
            if self._queue:
                log.info("forwarding: %d points wait on disk for the next start", len(self._queue))

    @contained
    def on_batch(self, stream_id: str, batch: Batch, now: float, origin: object = None) -> None:  # noqa: ARG002
        """Queue a batch; see `streamnorm.ingest.ObservationListener.on_batch`."""
        own = Point(MEASUREMENT, (("stream", stream_id),), {})
        for reading, answer in pairs(batch):
            named = zip(answer.named(reading), answer.values, strict=True)
            ys = {name: float(y) for name, y in named if not isinstance(y, np.ndarray)}
            point = reading.point if isinstance(reading, PointReading) else None
            self._put(point or own, ys, now if reading.timestamp is None else reading.timestamp)

    def state(self) -> State:
        """Return whether the receiver accepts writes."""
        where = self._receiver.address
        if self._trouble:
            return State(up=False, detail=f"{len(self._queue)} points wait for {where}: {self._trouble}")
        return State(up=True, detail=f"writes to {where}")

    def metrics(self) -> Iterator[Metric]:
        """Return the counts of written, pending and dropped points."""
        yield CounterMetricFamily("streamnorm_forward_written", "Points that the receiver has taken.", self._written)
        yield CounterMetricFamily(
            "streamnorm_forward_failures",
            "Writes that the receiver did not take, and that are retried.",
            self._failures,
        )
        yield GaugeMetricFamily("streamnorm_forward_waiting", "Points that wait for the receiver.", len(self._queue))
        dropped = CounterMetricFamily(
            "streamnorm_forward_dropped", "Points that were not written, by the reason.", labels=["reason"]
        )
        for reason in ("full", *(item.value for item in (Verdict.REFUSED, Verdict.TOO_LARGE))):
            dropped.add_metric([reason], self.refusals.counts["", reason])
        yield dropped

    def forget(self, stream_id: str, features: Iterable[str]) -> None:
        """Do nothing: points of a deleted stream are kept."""

    def _put(self, point: Point, ys: dict[str, float], moment: float) -> None:
        fields = {storable(name): y for name, y in ys.items() if math.isfinite(y)}
        if not fields:
            return
        time = round(moment * 1e6) * 1000 if point.time is None else point.time
        tags = tuple((storable(name), storable(value)) for name, value in point.tags)
        self._queue.put(written(Point(storable(point.measurement), tags, {}, time), fields).encode())
        self._note_dropped()

    async def _forward(self) -> None:
        pause = backoff = LINGER
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            try:
                while self._queue and not self._stopping.is_set():
                    await self._write()
                pause = backoff = LINGER
            except Unavailable as unavailable:
                self._failures += 1
                self._trouble = str(unavailable)
                backoff = min(LONGEST_PAUSE, 2 * backoff)
                pause = unavailable.retry_after or backoff
                log.warning(
                    "forwarding: %s; %d points wait, next attempt in %.0f s", unavailable, len(self._queue), pause
                )

    async def _write(self) -> None:
        """Write the oldest points.

        Raises:
            Unavailable: the receiver cannot accept points now; the remaining ones stay queued.

        """
        parts = [self._queue.take(MAX_LINES, MAX_WRITE_BYTES)]
        probes = 0
        try:
            while parts:
                part = parts.pop()
                verdict, message = await self._receiver.write(part)
                self._trouble = ""
                whole = verdict is Verdict.REFUSED and (PARTIAL in message or probes >= MAX_PROBES)
                if verdict is not Verdict.TAKEN and len(part) > 1 and not whole:
                    probes += 1
                    half = len(part) // 2
                    parts += [part[half:], part[:half]]
                    continue
                self._settle(part, verdict, message)
        finally:
            self._queue.restore()
            self._note_dropped()
        if self._spooled and not self._queue:
            self._spool.save(())
            self._spooled = False

    def _note_dropped(self) -> None:
        if dropped := self._queue.dropped - self.refusals.counts["", "full"]:
            self.refusals.add("full", f"the oldest of {len(self._queue)} that wait", count=dropped)

    def _settle(self, part: list[bytes], verdict: Verdict, message: str) -> None:
        """Remove points that were accepted, or rejected permanently."""
        self._queue.confirm(len(part))
        refused = 0
        if verdict is not Verdict.TAKEN:
            refused = partly(message, len(part)) if verdict is Verdict.REFUSED else len(part)
            example = f"{part[0].decode()!r}: {message}" if len(part) == 1 else message
            self.refusals.add(verdict.value, example, count=refused)
        self._written += len(part) - refused


def partly(message: str, count: int) -> int:
    """Return how many of `count` points were rejected, by the receiver's message.

    >>> partly("400 partial write: field type conflict dropped=2", 5), partly("400 unable to parse", 5)
    (2, 5)
    """
    match = _DROPPED.search(message) if PARTIAL in message else None
    return min(count, int(match[1] or match[2])) if match else count


def storable(name: str) -> str:
    r"""Return a name in a form valid in line protocol: without line breaks, and not ending in a backslash.

    >>> storable("a\nb"), storable("c:\\")
    ('a b', 'c:')
    """
    return " ".join(name.splitlines()).rstrip("\\") or "_"
