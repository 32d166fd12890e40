"""The outbox: readings taken while the service is away arrive later, in order, once; whoever is killed."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamnorm import Normalizer
from streamnorm_client import (
    AsyncClient,
    Client,
    InvalidReading,
    Normalized,
    NotSupported,
    Outbox,
    OutboxInUse,
    StreamInUse,
    StreamNotFound,
)
from tests.support.processes import PATIENCE, Service
from tests.support.proxy import Proxy

READINGS = np.random.default_rng(0).normal(20, 3, 400).round(3).tolist()
NOWHERE = "http://127.0.0.1:9"

DEVICE = """
import sys, time
from streamnorm_client import Client, Outbox
url, path, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
client = Client(url, outbox=Outbox(path, linger=0.05, block=7), timeout=2.0)
for n in range(first, last):
    client.stream("device").put({"n": n})
    print(n, flush=True)
    time.sleep(0.002)
client.flush(60)
"""


def outbox(tmp_path: Path, **options: Any) -> Outbox:
    """Describe an outbox that sends soon."""
    return Outbox(tmp_path / "readings.db", **({"linger": 0.02} | options))


def learned(snapshot: dict[str, Any]) -> list[Any]:
    """Return what tells whether every reading was applied once, in order, to the bit."""
    names = ("weight", "mean", "variance", "successive", "count", "last")
    return [snapshot["count"], *(snapshot["features"][0][name] for name in names)]


def expected(values: list[float], feature: str) -> list[Any]:
    """Return it of a stream that got the values one by one."""
    normalizer = Normalizer()
    for value in values:
        normalizer.observe({feature: value})
    return learned(normalizer.snapshot())


def test_what_is_put_arrives_with_its_time_and_number(service: Service, tmp_path: Path) -> None:
    answers: list[Normalized] = []
    with Client(service.url, outbox=outbox(tmp_path, on_sent=lambda _, more: answers.extend(more))) as client:
        for n, value in enumerate(READINGS[:10]):
            client.stream("arrives").put({"temp": value}, timestamp=1000 + n)
        assert client.flush(PATIENCE)
        assert client.stream("arrives").info().last_seq == 10
    assert [answer.seq for answer in answers] == list(range(1, 11))
    normalizer = Normalizer()
    assert [answer.values for answer in answers] == [normalizer.observe({"temp": x}).values for x in READINGS[:10]]


def test_readings_wait_for_the_service_and_outlive_the_client(tmp_path: Path) -> None:
    with Client(NOWHERE, outbox=outbox(tmp_path)) as client:
        for value in READINGS:
            client.stream("s").put({"temp": value})
        assert (client.flush(0.2), client.waiting) == (False, 400)
    with Service(tmp_path) as service, Client(service.url, outbox=outbox(tmp_path)) as client:
        assert client.flush(PATIENCE)
        assert learned(client.stream("s").snapshot()) == expected(READINGS, "temp")


def test_readings_of_many_forms_and_streams_keep_their_order(service: Service, tmp_path: Path) -> None:
    with Client(service.url, outbox=outbox(tmp_path, linger=60.0)) as client:
        for value in READINGS[:50]:
            client.stream("forms-a").put({"temp": value, "ir": [[value, 1], [2, 3]]})
            client.stream("forms-b").put([value, None])
        assert client.flush(PATIENCE)
        a, b = (client.stream(name).snapshot() for name in ("forms-a", "forms-b"))
    assert (a["count"], b["count"], a["features"][0]["last"], b["features"][1]["missing"]) == (50, 50, READINGS[49], 50)


def test_a_block_goes_when_it_is_full_or_has_lingered(service: Service, tmp_path: Path) -> None:
    sizes: list[int] = []
    done = outbox(tmp_path, linger=0.3, block=5, on_sent=lambda _, answers: sizes.append(len(answers)))
    with Client(service.url, outbox=done) as client:
        for value in READINGS[:12]:
            client.stream("linger").put({"temp": value})
        while client.waiting:
            time.sleep(0.01)
    assert sizes == [5, 5, 2]


def test_answers_that_are_cut_off_lose_and_repeat_nothing(service: Service, tmp_path: Path) -> None:
    with Proxy(service.port) as proxy, Client(proxy.url, outbox=outbox(tmp_path, block=10, linger=0.0)) as client:
        for n, value in enumerate(READINGS[:200]):
            if n % 20 == 0:
                proxy.cut(1)
            client.stream("cut-outbox").put({"temp": value})
        assert client.flush(PATIENCE)
        assert learned(client.stream("cut-outbox").snapshot()) == expected(READINGS[:200], "temp")


def test_what_a_killed_service_forgot_is_sent_again(tmp_path: Path) -> None:
    with (
        Service(tmp_path, STREAMNORM_DURABILITY="no") as service,
        Client(service.url, outbox=outbox(tmp_path)) as client,
    ):
        for value in READINGS[:100]:
            client.stream("s").put({"temp": value})
        assert client.flush(PATIENCE)
        service.kill()
        service.start()
        for value in READINGS[100:]:
            client.stream("s").put({"temp": value})
        assert client.flush(PATIENCE)
        assert learned(client.stream("s").snapshot()) == expected(READINGS, "temp")


def test_a_device_and_a_service_that_are_killed_lose_and_repeat_nothing(tmp_path: Path) -> None:
    service = Service(tmp_path)
    command = [sys.executable, "-c", DEVICE, service.url, str(tmp_path / "readings.db")]
    service.start()
    first = 0
    try:
        for last in (140, 260, 440):
            device = subprocess.Popen([*command, str(first), "100000"], stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
            assert device.stdout
            while first < last:
                first = int(device.stdout.readline()) + 1
                if first % 100 == 50:
                    service.kill()
                if first % 100 == 90:
                    service.start()
            device.kill()
            rest = device.communicate()[0].split()
            first = int(rest[-1]) + 1 if rest else first
            first = _put(tmp_path, first)
        with Client(service.url, outbox=outbox(tmp_path)) as client:
            assert client.flush(PATIENCE)
            assert learned(client.stream("device").snapshot()) == expected([float(n) for n in range(first)], "n")
    finally:
        service.kill()


def _put(tmp_path: Path, told: int) -> int:
    """Tell what comes after the last one kept: a device may be killed when it has put a reading and not said so yet."""
    with contextlib.closing(sqlite3.connect(tmp_path / "readings.db")) as kept:
        ((body,),) = kept.execute("SELECT body FROM readings ORDER BY id DESC LIMIT 1").fetchall()
    number: int = json.loads(body)["values"]["n"] + 1
    assert number in {told, told + 1}
    return number


def test_the_oldest_go_where_there_is_no_room(service: Service, tmp_path: Path) -> None:
    dropped: list[Any] = []
    small = outbox(tmp_path, max_bytes=10_000, on_dropped=lambda _, values, error: dropped.append((values, error)))
    with Client(NOWHERE, outbox=small) as client:
        for value in READINGS:
            client.stream("room").put({"temp": value})
        kept = client.waiting
    assert dropped == [({"temp": value}, None) for value in READINGS[: 400 - kept]]
    with Client(service.url, outbox=small) as client:
        assert client.flush(PATIENCE)
        assert learned(client.stream("room").snapshot()) == expected(READINGS[400 - kept :], "temp")


def test_readings_that_are_too_old_go(service: Service, tmp_path: Path) -> None:
    with Client(NOWHERE, outbox=outbox(tmp_path)) as client:
        client.stream("old").put({"temp": 1.0})
        client.flush(0.1)
    with Client(service.url, outbox=outbox(tmp_path, max_age=0.0)) as client:
        assert client.flush(PATIENCE)
        with pytest.raises(StreamNotFound):
            client.stream("old").info()


def test_a_reading_that_the_service_refuses_keeps_no_other_waiting(service: Service, tmp_path: Path) -> None:
    dropped: list[Any] = []
    with Client(service.url, outbox=outbox(tmp_path, on_dropped=lambda *drop: dropped.append(drop))) as client:
        for value in (1.0, 1e99, 2.0):
            client.stream("refused").put({"temp": value})
        assert client.flush(PATIENCE)
        assert client.stream("refused").info().count == 2
    assert [(stream, values, type(error)) for stream, values, error in dropped] == [
        ("refused", {"temp": 1e99}, InvalidReading)
    ]


def test_progress_is_told_while_it_is_flushed(service: Service, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with Client(service.url, outbox=outbox(tmp_path, linger=60.0, block=100)) as client:
        for value in READINGS[:99]:
            client.stream("progress").put({"temp": value})
        client.flush(PATIENCE, lambda done, total: told.append((done, total)))
    assert told[-1] == (99, 99)


def test_only_one_counts_the_readings_of_a_stream(service: Service, tmp_path: Path) -> None:
    with Client(service.url, outbox=outbox(tmp_path)) as client:
        client.stream("one").put({"temp": 1.0})
        client.flush(PATIENCE)
        with pytest.raises(StreamInUse, match="the outbox numbers"):
            client.stream("one").observe({"temp": 1.0})
        assert client.stream("one").observe({"temp": 1.0}, numbered=False).count == 2


def test_putting_needs_an_outbox() -> None:
    with Client(NOWHERE) as client, pytest.raises(NotSupported, match="no outbox"):
        client.stream("s").put({"temp": 1.0})


def test_what_no_sensor_gives_is_refused_at_once(tmp_path: Path) -> None:
    with Client(NOWHERE, outbox=outbox(tmp_path)) as client:
        with pytest.raises(ValueError, match="inf is not a reading"):
            client.stream("s").put({"temp": float("inf")})
        assert client.waiting == 0


def test_a_file_belongs_to_one_process(tmp_path: Path) -> None:
    with Client(NOWHERE, outbox=outbox(tmp_path)), pytest.raises(OutboxInUse, match="another process"):
        Client(NOWHERE, outbox=outbox(tmp_path))


async def test_the_asynchronous_client_has_one_too(service: Service, tmp_path: Path) -> None:
    async with AsyncClient(service.url, outbox=outbox(tmp_path)) as client:
        for value in READINGS[:20]:
            await client.stream("async-outbox").put({"temp": value})
        assert await client.flush(PATIENCE)
        assert (client.waiting, (await client.stream("async-outbox").info()).count) == (0, 20)
