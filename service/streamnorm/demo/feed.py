"""Feeds a service from sensors, and shows the answers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import NamedTuple

from rich.console import Console

from streamnorm.demo import rig
from streamnorm.demo.host import own_service
from streamnorm.demo.table import showing, table
from streamnorm_client import Client


class Source(NamedTuple):
    """A source of readings, and the stream to send them to."""

    stream: str
    units: Mapping[str, str]
    readings: Iterator[dict[str, float]]


def sources(seed: int, *, machine: bool) -> list[Source]:
    """Return the simulated rig and, with `machine`, this machine's own sensors."""
    items = [Source("demo-rig", rig.UNITS, rig.readings(seed))]
    if machine:
        from streamnorm.demo import machine as own  # noqa: PLC0415 - needs psutil, which only this option needs

        items.append(Source("demo-machine", own.UNITS, own.readings()))
    return items


def ticks(rate: float, seconds: float | None, readings: int | None) -> Iterator[int]:
    """Count at `rate` per second, until `seconds` have passed or `readings` were counted."""
    start = time.monotonic()
    n = 0
    while readings is None or n < readings:
        if seconds is not None and time.monotonic() - start >= seconds:
            return
        yield n
        n += 1
        time.sleep(max(0.0, start + n / rate - time.monotonic()))


def feed(console: Console, url: str | None, origins: list[Source], counter: Iterator[int]) -> None:
    """Send a reading of each of the `origins` at every tick of the `counter`, and show the answers on the `console`.

    The service is that at `url`, or, if that is None, one that the demo starts.
    """
    with ExitStack() as stack:
        if url is None:
            url = stack.enter_context(own_service())
        console.print(f"service: {url}   its pages: {url}/docs   end with Ctrl-C", highlight=False, soft_wrap=True)
        client = stack.enter_context(Client(url))
        show = stack.enter_context(showing(console))
        for _ in counter:
            tables = {}
            for source in origins:
                raw = next(source.readings)
                stream = client.stream(source.stream)
                answer = stream.observe(raw, stats=True)
                tables[source.stream] = table(answer, raw, source.units, stream.profile())
            show(tables)
