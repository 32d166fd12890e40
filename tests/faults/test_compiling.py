"""A service that compiles its kernels: it answers from the start, says what it waits for, and stops at any moment."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.processes import PATIENCE, Service

pytestmark = pytest.mark.jit
READING = {"values": {"temp": 21.4}}
WITHIN = 5.0  # seconds


class Impatient(Service):
    """A service with an empty cache that counts as started once it answers."""

    def settled(self) -> bool:
        """Return whether it answers."""
        return self.alive()


@pytest.fixture(params=["in the data folder", "nowhere"])
def compiling(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Impatient]:
    """Start a service that has to compile, in another process or, where nothing can be kept, in its own."""
    (tmp_path / "file").touch()
    cache = "" if request.param == "in the data folder" else str(tmp_path / "file")
    with Impatient(tmp_path, NUMBA_CACHE_DIR=cache, STREAMNORM_KERNELS="numba") as service:
        yield service


def ready(service: Service) -> Any:
    """Ask whether it is ready; returns the status, and the problem."""
    answer = httpx.get(f"{service.url}/readyz", timeout=PATIENCE)
    return answer.status_code, answer.json()


def observe(service: Service) -> int:
    """Send a reading; returns how many there were."""
    answer = httpx.post(f"{service.url}/v1/streams/boiler-7/readings", json=READING, timeout=PATIENCE)
    return int(answer.raise_for_status().json()["count"])


def test_it_answers_and_takes_readings_and_is_ready_when_it_has_compiled(compiling: Impatient) -> None:
    status, problem = ready(compiling)
    assert (status, problem["type"]) == (503, "/problems/not-ready")
    assert problem["detail"].startswith("compiling")
    assert observe(compiling) == 1
    deadline = time.monotonic() + 2 * PATIENCE
    while ready(compiling)[0] != 200:
        assert time.monotonic() < deadline
        assert compiling.alive()
    log = compiling.log.read_text()
    assert "the kernel of online is ready" in log
    assert "compiling the kernels" in log
    assert observe(compiling) == 2


def test_told_to_stop_meanwhile_it_saves_and_ends_well(compiling: Impatient) -> None:
    for count, wait in enumerate([0.0, 1.0, 3.0], start=1):
        assert observe(compiling) == count
        end = time.monotonic() + wait
        while time.monotonic() < end:
            assert compiling.alive()
        began = time.monotonic()
        assert compiling.stop() == 0
        assert time.monotonic() - began < WITHIN
        log = compiling.log.read_text()
        assert log.count("state saved") == count
        assert "Traceback" not in log
        compiling.start()
    assert observe(compiling) == 4


def test_a_thread_at_work_does_not_hold_up_the_end(tmp_path: Path) -> None:
    program = (
        "import asyncio, threading, time\n"
        "from streamnorm.ingest import ingest_service, offload\n"
        "block = lambda *_: (print('at work', flush=True), time.sleep(600))\n"
        "ingest_service.normalize_block = block\n"
        "offload.OFFLOAD_THRESHOLD = 0\n"
        "from streamnorm.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "serve", "--port", "0", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        with httpx.Client(base_url=found[0], timeout=PATIENCE) as client:
            client.post("/v1/streams/a/readings", json={"values": [1]}).raise_for_status()
            with pytest.raises(httpx.ReadTimeout):
                client.post("/v1/streams/a/bulk?learn=false", json={"values": [[1], [2]]}, timeout=1)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        told = process.stdout.read()
        assert process.wait(PATIENCE) == 0
    assert time.monotonic() - began < WITHIN
    assert "at work" in told
    assert "state saved" in told
