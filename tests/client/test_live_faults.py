"""Live connections that break anywhere, services that are killed: every reading is applied once, to the same bits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamnorm import Normalizer
from streamnorm_client import AsyncClient, Client, Normalized
from tests.support.processes import Service
from tests.support.proxy import Proxy

ROWS = np.random.default_rng(0).normal(20, 3, (400, 3)).tolist()
TIMES = [1000.0 + n for n in range(len(ROWS))]
PATIENT = 30  # retries: longer than any start of the service
SHARE = 0.06

Rows = Iterable[list[float]]
Way = Callable[[str, str, Rows], list[Normalized]]


def one_by_one(url: str, stream: str, rows: Rows) -> list[Normalized]:
    """Observe readings, each after the answer to the one before."""
    with Client(url, timeout=60, retries=PATIENT) as client, client.stream(stream).live() as live:
        return [live.observe(row, timestamp=time) for row, time in zip(rows, TIMES, strict=True)]


def many(url: str, stream: str, rows: Rows) -> list[Normalized]:
    """Observe readings, many on their way at once."""
    with Client(url, timeout=60, retries=PATIENT) as client, client.stream(stream).live() as live:
        return list(live.observe_many(rows, timestamps=TIMES, window=20))


def asynchronous(url: str, stream: str, rows: Rows) -> list[Normalized]:
    """Observe readings one by one, with asyncio."""

    async def main() -> list[Normalized]:
        async with AsyncClient(url, timeout=60, retries=PATIENT) as client, client.stream(stream).live() as live:
            return [await live.observe(row, timestamp=time) for row, time in zip(rows, TIMES, strict=True)]

    return asyncio.run(main())


def many_asynchronous(url: str, stream: str, rows: Rows) -> list[Normalized]:
    """Observe readings, many on their way at once, with asyncio."""

    async def main() -> list[Normalized]:
        async with AsyncClient(url, timeout=60, retries=PATIENT) as client, client.stream(stream).live() as live:
            return [answer async for answer in live.observe_many(rows, timestamps=TIMES, window=20)]

    return asyncio.run(main())


WAYS = [one_by_one, asynchronous, many, many_asynchronous]


def assert_like_an_uninterrupted_twin(service: Service, stream: str, answers: list[Normalized]) -> None:
    """Assert that every reading was applied once, in order; its answer is the first one, or says that it is not."""
    twin = Normalizer()
    expected = [twin.observe(row, timestamp=time).values for row, time in zip(ROWS, TIMES, strict=True)]
    assert [answer.seq for answer in answers] == list(range(1, len(ROWS) + 1))
    assert [answer.gap for answer in answers] == [0] * len(ROWS)
    differing = [n for n, answer in enumerate(answers) if answer.values != expected[n]]
    assert all(answers[n].recomputed for n in differing)
    with Client(service.url) as client:
        state: dict[str, Any] = client.stream(stream).snapshot()
    assert state["features"] == twin.snapshot()["features"]
    assert (state["count"], state["last_seq"]) == (len(ROWS), len(ROWS))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clients hardly wait before they try again."""
    monkeypatch.setattr("streamnorm_client._calls.retry.FIRST_DELAY", 0.001)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("way", WAYS)
def test_connections_that_break_at_random_change_nothing(service: Service, way: Way, seed: int) -> None:
    stream = f"broken-{way.__name__}-{seed}"
    with Proxy(service.port, SHARE, seed) as proxy:
        answers = way(proxy.url, stream, ROWS)
        assert proxy.broken > 0
    assert_like_an_uninterrupted_twin(service, stream, answers)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("way", [one_by_one, asynchronous])
def test_one_by_one_every_answer_is_the_first_one_whatever_breaks(service: Service, way: Way) -> None:
    stream = f"first-{way.__name__}"
    with Proxy(service.port, SHARE, 3) as proxy:
        answers = way(proxy.url, stream, ROWS)
    assert any(answer.replayed for answer in answers)
    assert not any(answer.recomputed for answer in answers)


def kill_and_start(service: Service) -> None:
    service.kill()
    service.start()


def killing(service: Service) -> Rows:
    """Yield the readings; twice among them the service is killed, and started again, while they are observed."""
    killer = threading.Thread()
    for n, row in enumerate(ROWS):
        if n in {130, 260}:
            killer = threading.Thread(target=kill_and_start, args=(service,))
            killer.start()
        if n in {259, 399}:
            killer.join()
        yield row


@pytest.mark.parametrize("way", WAYS)
def test_a_service_that_is_killed_half_way_applies_every_reading_once(tmp_path: Path, way: Way) -> None:
    with Service(tmp_path, STREAMNORM_DURABILITY="always") as service:
        first = service.pid
        answers = way(service.url, "boiler-7", killing(service))
        assert service.pid != first
        assert_like_an_uninterrupted_twin(service, "boiler-7", answers)
    if way in {one_by_one, asynchronous}:
        assert not any(answer.recomputed for answer in answers)
