"""The interface of protocol bridges."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from prometheus_client.metrics_core import Metric

from streamnorm.ingest.refusals import Refusals

log = logging.getLogger(__name__)


class State(NamedTuple):
    """The state of a bridge."""

    #: whether the peer can be reached
    up: bool
    #: in words, for people
    detail: str


class Bridge(Protocol):
    """A protocol bridge with a start/stop lifecycle."""

    #: its name in logs, metrics and settings
    name: str
    #: what it refused, or its peer refused of it
    refusals: Refusals

    def attach(self) -> None:
        """Register as a listener of the service; called before the first `run`, and again if it raised."""

    async def run(self) -> None:
        """Run until `stop` is called; an exception is logged, and the bridge is restarted later."""

    async def stop(self) -> None:
        """End `run` gracefully, within a second or two, and persist what is pending."""

    def state(self) -> State:
        """Return the current state."""

    def metrics(self) -> Iterable[Metric]:
        """Return the current metrics."""

    def forget(self, stream_id: str, features: Iterable[str]) -> None:
        """Discard a stream that was deleted, and its features."""


def contained(method: Callable[..., None]) -> Callable[..., None]:
    """Make a listener's method log its exceptions, since it is called while a reading is being answered."""
    failures = Refusals(log, f"{method.__qualname__} failed")

    @functools.wraps(method)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            method(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a defect of ours
            failures.add("times", f"{type(error).__name__}: {error}")

    return guarded
