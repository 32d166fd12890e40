"""What a bridge is to whoever runs it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from prometheus_client.metrics_core import Metric

from streamnorm.bridges.refusals import Refusals

log = logging.getLogger(__name__)


class State(NamedTuple):
    """How a bridge fares."""

    #: whether the other side can be reached
    up: bool
    #: in words, for people
    detail: str


class Bridge(Protocol):
    """One other way in or out than HTTP."""

    #: by which logs, metrics and settings know it
    name: str

    def attach(self) -> None:
        """Start to listen to the service; called before the first `run`, and again where it raised."""

    async def run(self) -> None:
        """Work until `stop` is called; whatever it raises is logged, and it is run again later."""

    async def stop(self) -> None:
        """End `run` in good order, within a second or two, and keep what waits."""

    def state(self) -> State:
        """Return how it fares."""

    def metrics(self) -> Iterable[Metric]:
        """Return its metrics as they are now."""

    def forget(self, stream_id: str, features: Iterable[str]) -> None:
        """Discard a stream that was deleted, and its features."""


def contained(method: Callable[..., None]) -> Callable[..., None]:
    """Have a listener's method log what it raises: it is called while a reading is answered, and must not fail it."""
    failures = Refusals(log, f"{method.__qualname__} failed")

    @functools.wraps(method)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            method(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a defect of ours
            failures.add("times", f"{type(error).__name__}: {error}")

    return guarded
