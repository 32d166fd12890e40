"""What it costs that features of one stream differ: `python -m tests.benchmarks.groups`.

Beside one plan for all, half of the features have another horizon; processor time, each the best of many rounds.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import numpy as np
import orjson

from streamnorm.api.codecs.serialize import reading_to_json
from streamnorm.app import create_app
from streamnorm.engine.blocks.block import Block, observe_block
from streamnorm.engine.configuration.plan import of_configuration
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.settings import Settings
from streamnorm.stores.local.memory import MemoryStore
from tests.benchmarks.report import Row, in_turns, show

NOW = 1_795_338_000.0
FEATURES, READINGS, ROUNDS = 8, 2_000, 30
ALIKE: dict[str, Any] = {}
TWO: dict[str, Any] = {"features": {"door*": {"horizon": 20_000.0}}}
NAMES = tuple(f"{'door' if place % 2 else 'temp'}_{place}" for place in range(FEATURES))
VALUES = np.random.default_rng(0).normal(size=(READINGS, FEATURES))


def measure() -> list[Row]:
    """Return the figures of one group, and of two."""
    cases = {
        "a reading, body to answer, without the socket": (request, 1e6 / READINGS, "µs"),
        "a reading in the engine": (reading, 1e6 / READINGS, "µs"),
        "a block, a value": (block, 1e9 / VALUES.size, "ns"),
    }
    rows = []
    for what, (run, factor, unit) in cases.items():
        one, two = in_turns(ROUNDS, partial(run, ALIKE), partial(run, TWO))
        one, two = ([figure * factor for figure in found] for found in (one, two))
        rows.append(Row(what, "one group", one, two, unit, "1.3", f"{FEATURES} features, two groups"))
    return rows


def reading(config: dict[str, Any]) -> float:
    """Observe readings in the engine."""
    stream, limits = Stream(of_configuration(config)), Limits()
    readings = [parse_reading(dict(zip(NAMES, row, strict=True)), limits) for row in VALUES.tolist()]
    began = time.process_time()
    for one in readings:
        stream.observe(one, NOW, limits)
    return time.process_time() - began


def block(config: dict[str, Any]) -> float:
    """Observe a block in the engine."""
    stream, whole = Stream(of_configuration(config)), Block(NAMES, VALUES)
    began = time.process_time()
    observe_block(stream, whole, NOW, Limits())
    return time.process_time() - began


def request(config: dict[str, Any]) -> float:
    """Parse bodies, observe them, tell the listeners, and write the answers."""
    return asyncio.run(_request(config))


async def _request(config: dict[str, Any]) -> float:
    service = create_app(Settings(), MemoryStore()).state.context.service
    await service.configure("a", config)
    bodies = [orjson.dumps({"values": dict(zip(NAMES, row, strict=True))}) for row in VALUES.tolist()]
    began = time.process_time()
    for body in bodies:
        given = parse_reading(orjson.loads(body)["values"], service.limits)
        answer = service.try_observe_inline("a", given)
        orjson.dumps(reading_to_json("a", given, answer))
    return time.process_time() - began


if __name__ == "__main__":
    show(measure())
