"""Carrying out procedures with a connection that blocks: what the client and the outbox's thread have in common."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, Callable, TypeVar, cast

import httpx

from streamnorm_client import _http
from streamnorm_client._outbox import Outbox, Sender
from streamnorm_client._retry import Outcome, Pause, Step

if TYPE_CHECKING:
    import os
    from collections.abc import Generator

T = TypeVar("T")


def run(steps: Generator[Any, Outcome, T], take: Callable[[Any], Outcome]) -> T:
    """Carry out a procedure."""
    try:
        step = next(steps)
        while True:
            step = steps.send(take(step))
    except StopIteration as end:
        return cast("T", end.value)


def take(http: httpx.Client, step: Step) -> Outcome:
    """Carry out one step: keep a pause, or send a call."""
    if isinstance(step, Pause):
        time.sleep(step.seconds)
        return None
    try:
        return _http.reply(http.request(**_http.request(step)))
    except _http.NO_ANSWER as error:
        return _http.failure(error, http.base_url)


def sender(outbox: str | os.PathLike[str] | Outbox, options: dict[str, Any]) -> Sender:
    """Start to send what is in an outbox, over a connection of its own."""
    http = httpx.Client(**options)
    given = outbox if isinstance(outbox, Outbox) else Outbox(outbox)
    return Sender(given, lambda steps: run(steps, functools.partial(take, http)), http.close)
