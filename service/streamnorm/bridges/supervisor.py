"""Supervises the bridges, and isolates their failures from the service.

Rules:

1. An exception of a bridge is logged and counted, and the bridge is restarted with exponential backoff.
2. `start` and `stop` never raise: no failure of a bridge prevents the state from being saved.
3. An unreachable peer is not a failure; only that of a required bridge makes the service unready.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from time import monotonic

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamnorm.bridges.bridge import Bridge
from streamnorm.errors import BridgeUnavailable
from streamnorm.ingest.refusals import Refusals

log = logging.getLogger(__name__)

#: Seconds before a failed bridge is restarted: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
#: Seconds that a bridge must run to reset the backoff.
STABLE = 60.0
#: Seconds that the bridges, concurrently, have to stop; the service has five in all.
STOP_TIMEOUT = 2.5


class Supervised:
    """One bridge with the task that runs it."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.failures = 0
        #: the error of its last run, until it is restarted
        self.failed: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._attached = False

    def start(self) -> None:
        """Start running the bridge."""
        with contextlib.suppress(Exception):  # the task retries, and logs the error
            self._attach()
        self._task = asyncio.create_task(self._run(), name=f"streamnorm {self.bridge.name}")

    async def stop(self) -> None:
        """Stop the bridge; its exceptions are logged."""
        self._stopping.set()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self.bridge.stop()
        except TimeoutError:
            log.error("%s: did not end in time", self.bridge.name)  # noqa: TRY400 - the traceback does not help
        except Exception:
            log.exception("%s: failed while it ended", self.bridge.name)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _attach(self) -> None:
        if not self._attached:
            self.bridge.attach()
            self._attached = True

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            began = monotonic()
            try:
                self._attach()
                self.failed = None
                await self.bridge.run()
                if self._stopping.is_set():
                    return
                raise RuntimeError("it ended by itself")  # noqa: TRY301 - handled like an exception
            except Exception as error:
                self.failures += 1
                self.failed = f"{type(error).__name__}: {error}"
                if monotonic() - began > STABLE:
                    pause = FIRST_PAUSE
                log.exception("%s: failed; next attempt in %.1f s", self.bridge.name, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(LONGEST_PAUSE, 2 * pause)


class Supervisor(Collector):
    """All bridges of a service; `required` names those that must be connected for it to be ready."""

    def __init__(self, bridges: Sequence[Bridge], required: Iterable[str] = ()) -> None:
        self._supervised = [Supervised(bridge) for bridge in bridges]
        self._required = frozenset(required)

    async def start(self) -> None:
        """Start all bridges, without waiting for their peers."""
        for item in self._supervised:
            item.start()

    async def stop(self) -> None:
        """Stop all bridges concurrently."""
        await asyncio.gather(*(item.stop() for item in self._supervised), return_exceptions=True)

    def states(self) -> dict[str, str]:
        """Return the state of each bridge, in words, by name."""
        return {item.bridge.name: item.failed or item.bridge.state().detail for item in self._supervised}

    def check(self) -> None:
        """Check that every bridge runs, and that the required ones are connected.

        Raises:
            BridgeUnavailable: one is not.

        """
        for item in self._supervised:
            name, state = item.bridge.name, item.bridge.state()
            if item.failed:
                raise BridgeUnavailable(f"{name} failed and is started again: {item.failed}")
            if name in self._required and not state.up:
                raise BridgeUnavailable(f"{name}: {state.detail}")

    def forget(self, stream_id: str, features: Sequence[str]) -> None:
        """Notify every bridge that a stream was deleted."""
        for item in self._supervised:
            try:
                item.bridge.forget(stream_id, features)
            except Exception:
                log.exception("%s: failed to forget a stream", item.bridge.name)

    def refusals(self) -> Iterator[tuple[str, Refusals]]:
        """Return what each bridge refused, or its peer refused of it, by its name."""
        for item in self._supervised:
            yield item.bridge.name, item.bridge.refusals

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of all bridges, for Prometheus."""
        if not self._supervised:
            return
        up = GaugeMetricFamily("streamnorm_bridge_up", "1 where a bridge reaches its other side.", labels=["bridge"])
        failures = CounterMetricFamily(
            "streamnorm_bridge_failures", "Times that a bridge died and was started again.", labels=["bridge"]
        )
        for item in self._supervised:
            up.add_metric([item.bridge.name], float(not item.failed and item.bridge.state().up))
            failures.add_metric([item.bridge.name], item.failures)
        yield up
        yield failures
        for item in self._supervised:
            yield from item.bridge.metrics()
