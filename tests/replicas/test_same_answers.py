"""Any calls, through any mix of replicas, are answered as one machine alone answers them, to the bit."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.http_calls import Api, running

STREAMS = ("boiler-7", "boiler-8", "door", "Wärme".replace("ä", "a"), "z~1")
CONFIGS: tuple[dict[str, Any], ...] = (
    {},
    {"horizon": 50},
    {"method": "adaptive"},
    {"method": "batch", "window": 16},
    {"method": "streaming", "period": 8},
    {"method": "online-2019"},
    {"time_constant": 60.0, "robust": 3.0},
    {"clamp": 2.0, "affine": {"temp": {"gamma": 2.0, "beta": 1.0}}, "missing": "mean"},
)
Call = tuple[str, str, Any]


def values(rng: random.Random) -> dict[str, Any]:
    """Return a reading of a few kinds of sensors."""
    reading: dict[str, Any] = {
        "temp": rng.choice([rng.gauss(20, 1), None, 1e9 + rng.random()]),
        "door": rng.choice([0, 1]),
        "dead": 4.2,
    }
    if rng.random() < 0.2:
        reading["ir"] = [[rng.random() for _ in range(3)] for _ in range(2)]
    return reading


def calls(rng: random.Random) -> Iterator[Call]:
    """Yield calls without end: readings for the most part, and now and then each of the others."""
    seqs = dict.fromkeys(STREAMS, 0)
    while True:
        stream = rng.choice(STREAMS)
        at = f"/v1/streams/{stream}"
        kind = rng.choices(
            ["reading", "numbered", "again", "look", "block", "many", "configure", "whole", "rare"],
            [30, 30, 8, 8, 8, 8, 4, 8, 2],
        )[0]
        if kind == "reading":
            yield (
                "POST",
                f"{at}/readings?stats=true",
                {"values": values(rng), "timestamp": 1_795_337_000 + rng.random()},
            )
        elif kind == "numbered":
            seqs[stream] += rng.choice([1, 1, 1, 3])
            yield "POST", f"{at}/readings", {"values": {"temp": rng.gauss(20, 1)}, "seq": seqs[stream]}
        elif kind == "again":
            yield "POST", f"{at}/readings", {"values": {"temp": 20.5}, "seq": max(0, seqs[stream] - rng.choice([0, 1]))}
        elif kind == "look":
            yield "POST", f"{at}/readings?learn=false", {"values": values(rng)}
            yield "POST", f"{at}/denormalize", {"values": {"temp": 1.0}}
        elif kind == "block":
            rows = [[rng.gauss(20, 1), rng.choice([0.0, 1.0, None])] for _ in range(rng.choice([1, 20]))]
            block = {"features": ["temp", "door"], "values": rows, "first_seq": seqs[stream] + 1}
            seqs[stream] += len(rows)
            yield "POST", f"{at}/bulk", block
            yield "POST", f"{at}/bulk", block
        elif kind == "many":
            some = [{"stream": rng.choice(STREAMS), "values": values(rng)} for _ in range(12)]
            yield (
                "POST",
                "/v1/bulk",
                {"readings": some + ([{**some[0], "values": {"temp": "x"}}] if rng.random() < 0.2 else [])},
            )
        elif kind == "configure":
            yield "PUT", at, rng.choice(CONFIGS)
        elif kind == "whole":
            yield "GET", at, None
            yield "GET", f"{at}/profile", None
            yield (
                "GET",
                f"/v1/streams?limit=2&prefix={rng.choice(['', 'boiler'])}&after={rng.choice(['', stream])}",
                None,
            )
            yield "GET", f"{at}/snapshot", None
        else:
            yield "POST", f"{at}/reset", None
            yield "DELETE", at, None
            seqs[stream] = 0


@pytest.mark.parametrize("seed", range(2))
async def test_any_calls_are_answered_as_one_machine_answers_them(url: str, prefix: str, seed: int) -> None:
    rng = random.Random(seed)
    async with AsyncExitStack() as stack:
        alone = await stack.enter_async_context(running())
        replicas = [await stack.enter_async_context(running(store=url, store_prefix=prefix)) for _ in range(3)]
        for (method, path, body), _ in zip(calls(rng), range(250), strict=False):
            at = rng.choice(replicas)
            ours = await at.post(path, body, method=method)
            theirs = await alone.post(path, body, method=method)
            assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content), (method, path, body)
            assert ours.status_code < 500
        assert await whole(rng.choice(replicas)) == await whole(alone)


async def test_a_state_taken_out_here_goes_in_there(url: str, prefix: str) -> None:
    async with running(store=url, store_prefix=prefix) as first, running(store=url, store_prefix=prefix) as second:
        await first.observe("a", *({"values": {"temp": math.sin(n)}} for n in range(50)))
        snapshot = (await second.get("/v1/streams/a/snapshot")).json()
        assert (await first.post("/v1/streams/b/snapshot", snapshot, method="PUT")).status_code == 201
        assert (await second.post("/v1/streams/b/merge", snapshot)).json()["count"] == 100
        assert (await first.get("/v1/streams/b")).json()["count"] == 100


async def whole(api: Api) -> dict[str, bytes]:
    """Return every bit of every stream."""
    return await api.state()
