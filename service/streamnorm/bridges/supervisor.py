"""Runs the bridges, and keeps what goes wrong in one of them from everything else.

Rules:

1. A bridge that raises is logged, counted, and run again after a pause that grows while it keeps failing.
2. `start` and `stop` never raise: no failure of a bridge keeps the state from being saved.
3. A bridge whose other side is away is no failure; only a required one makes the service unready.
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

log = logging.getLogger(__name__)

#: Seconds before a bridge that failed is run again: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
#: Seconds that a bridge has to run before its next failure counts as a first one.
STABLE = 60.0
#: Seconds that the bridges, side by side, have to end; the service has five in all.
STOP_TIMEOUT = 2.5


class Supervised:
    """One bridge with the task that runs it."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.failures = 0
        #: what its last run died of, until it runs again
        self.failed: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._attached = False

    def start(self) -> None:
        """Start to run it."""
        with contextlib.suppress(Exception):  # it is tried again by the task, which tells
            self._attach()
        self._task = asyncio.create_task(self._run(), name=f"streamnorm {self.bridge.name}")

    async def stop(self) -> None:
        """End it; what it raises is logged."""
        self._stopping.set()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self.bridge.stop()
        except TimeoutError:
            log.error("%s: did not end in time", self.bridge.name)  # noqa: TRY400 - where does not matter
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
                raise RuntimeError("it ended by itself")  # noqa: TRY301 - as bad as what it raises
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
    """All bridges of a service; `required` names those without which it is not ready."""

    def __init__(self, bridges: Sequence[Bridge], required: Iterable[str] = ()) -> None:
        self._supervised = [Supervised(bridge) for bridge in bridges]
        self._required = frozenset(required)

    async def start(self) -> None:
        """Start all; returns at once, whether their other sides can be reached or not."""
        for each in self._supervised:
            each.start()

    async def stop(self) -> None:
        """End all, side by side."""
        await asyncio.gather(*(each.stop() for each in self._supervised), return_exceptions=True)

    def states(self) -> dict[str, str]:
        """Return how each fares, in words, by name."""
        return {each.bridge.name: each.failed or each.bridge.state().detail for each in self._supervised}

    def check(self) -> None:
        """Check that every bridge runs, and that the required ones reach their other side.

        Raises:
            BridgeUnavailable: one does not.

        """
        for each in self._supervised:
            name, state = each.bridge.name, each.bridge.state()
            if each.failed:
                raise BridgeUnavailable(f"{name} failed and is started again: {each.failed}")
            if name in self._required and not state.up:
                raise BridgeUnavailable(f"{name}: {state.detail}")

    def forget(self, stream_id: str, features: Sequence[str]) -> None:
        """Tell every bridge that a stream was deleted."""
        for each in self._supervised:
            try:
                each.bridge.forget(stream_id, features)
            except Exception:
                log.exception("%s: failed to forget a stream", each.bridge.name)

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of all bridges, for Prometheus."""
        if not self._supervised:
            return
        up = GaugeMetricFamily("streamnorm_bridge_up", "1 where a bridge reaches its other side.", labels=["bridge"])
        failures = CounterMetricFamily(
            "streamnorm_bridge_failures", "Times that a bridge died and was started again.", labels=["bridge"]
        )
        for each in self._supervised:
            up.add_metric([each.bridge.name], float(not each.failed and each.bridge.state().up))
            failures.add_metric([each.bridge.name], each.failures)
        yield up
        yield failures
        for each in self._supervised:
            yield from each.bridge.metrics()
