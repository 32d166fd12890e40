"""Servers under load: each on a core of its own, the load on another."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.support.processes import NUMBA_CACHE, free_port

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
_ALLOWED = sorted(os.sched_getaffinity(0))
#: the servers' core and the load's; the same one on a machine that has no two
SERVER, LOAD = _ALLOWED[0], _ALLOWED[-1]


class Address(NamedTuple):
    """Where a server listens, its process, and the key it asks for."""

    port: int
    process: int
    key: str = ""

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def running(
    command: list[str], port: int, *, core: int | None = SERVER, key: str = "", **env: str
) -> Iterator[Address]:
    """Run a server until the block ends."""
    pinned = ["taskset", "--cpu-list", str(core)] if core is not None else []
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*pinned, *command], cwd=ROOT, stdout=log, stderr=log, env=os.environ | env)
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz", process)
            yield Address(port, process.pid, key)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody answers, whatever it is."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=PATIENCE)
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} did not start")


@contextlib.contextmanager
def ours(
    *, core: int | None = SERVER, keys: bool = False, python: str = sys.executable, **settings: str
) -> Iterator[Address]:
    """Run streamnorm."""
    port = free_port()
    environment = {f"STREAMNORM_{name.upper()}": value for name, value in settings.items()}
    cache = {"NUMBA_CACHE_DIR": str(NUMBA_CACHE)}
    with tempfile.TemporaryDirectory() as folder:
        key = ""
        if keys:
            command = [python, "-m", "streamnorm", "keys", "create", "bench", "--scope", "admin", "--data-dir", folder]
            said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
            found = re.search(r"sn_\S+", said)
            key = found[0] if found else ""
        command = [python, "-m", "streamnorm", "serve", "--port", str(port), "--data-dir", folder]
        command += ["--log-level", "warning"]
        with running(command, port, core=core, key=key, **environment, **cache) as address:
            yield address


@contextlib.contextmanager
def peer(name: str, *, core: int | None = SERVER) -> Iterator[Address]:
    """Run one of `tests.benchmarks.peers`, under uvicorn as streamnorm is."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"tests.benchmarks.peers:{name}", "--port", str(port)]
    options = ["--log-level", "warning", "--lifespan", "off", "--ws-per-message-deflate", "false"]
    with running([*command, *options], port, core=core) as address:
        yield address


def wrk(address: Address, script: str, *, seconds: float = 3.0, connections: int = 16) -> float:
    """Return the requests that wrk gets answered, all of them well, for a second of the server's processor time.

    On a machine with nothing else to do that is a second: the server's core is busy all the time.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["taskset", "--cpu-list", str(LOAD), "wrk", "--threads", "1", "--connections", str(connections)]
        command += ["--timeout", "30s", "--duration", f"{seconds:.0f}s", "--script", file.name, address.url]
        before = worked(address.process)
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds = worked(address.process) - before
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    count = re.search(r"(\d+) requests in", said)
    assert count
    return int(count[1]) / seconds


def worked(process: int) -> float:
    """Return the seconds of processor time that a process has taken, in all its threads, to the nanosecond."""
    return time.clock_gettime((~process << 3) | 2)  # Linux makes the number of a process's clock so


def resident(process: int) -> float:
    """Return a process's resident memory in bytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
