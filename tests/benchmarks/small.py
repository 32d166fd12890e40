"""What it costs to have it running: memory, and the time to be ready: `python -m tests.benchmarks.small`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx

from streamnorm.kernels import CHOICE
from tests.benchmarks.report import Row, in_turns, show
from tests.benchmarks.servers import PATIENCE, ROOT, ours, resident
from tests.support.processes import free_port

MEGABYTE = 1e6
STARTS = 5
STREAMS = 50_000
PART = 1_000
FEATURES = 8
#: an environment without extras, which `make bench` makes
BASE = ROOT / ".venv-bench" / "base" / "bin" / "python"


def start_up(python: str, kernels: str) -> float:
    """Return the seconds until a service is ready."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [python, "-m", "streamnorm", "serve", "--port", str(port), "--data-dir", folder]
        environment = os.environ | {"NUMBA_CACHE_DIR": str(ROOT / ".numba_cache"), CHOICE: kernels}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        try:
            while not ready(port):
                if time.perf_counter() - began > PATIENCE:
                    raise RuntimeError("it did not start")
                time.sleep(0.01)
            return time.perf_counter() - began
        finally:
            process.terminate()
            process.wait(PATIENCE)


def ready(port: int) -> bool:
    """Return whether a service is ready; by hand, since a client of httpx takes 45 ms of a core to make."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def a_stream(python: str) -> float:
    """Return the bytes of memory that one more stream of eight features takes."""
    with ours(python=python, core=None, max_rows=str(STREAMS)) as us, httpx.Client(timeout=PATIENCE) as client:
        url = f"{us.url}/v1/bulk?streaming=true"
        headers = {"content-type": "application/x-ndjson"}
        values = {f"feature-{n}": n + 0.5 for n in range(FEATURES)}
        sizes = []
        for half in (0, STREAMS):
            for start in range(half, half + STREAMS, PART):
                names = range(start, start + PART)
                lines = (json.dumps({"stream": f"device-{n}", "values": values}) for n in names)
                client.post(url, content="\n".join(lines), headers=headers).raise_for_status()
            time.sleep(3.0)  # until all is saved
            sizes.append(resident(us.process))
        return (sizes[1] - sizes[0]) / STREAMS


def idle(python: str, kernels: str) -> float:
    """Return the resident memory of a service that has nothing to do, in megabytes."""
    with ours(python=python, core=None, kernels=kernels) as us:
        httpx.get(f"{us.url}/readyz")
        time.sleep(2.0)
        return resident(us.process) / MEGABYTE


def measure() -> list[Row]:
    """Measure the base install, and one whose kernels Numba compiles."""
    rows = []
    for name, python, kernels in (("base install", str(BASE), ""), ("with Numba", sys.executable, "numba")):
        if not Path(python).exists():
            continue
        goal = name == "base install"
        seconds, memory = in_turns(STARTS, partial(start_up, python, kernels), partial(idle, python, kernels))
        rows += [
            Row(f"memory when idle, {name}", "", [], memory, "MB", "≤ 90" if goal else ""),
            Row(f"ready, {name}", "", [], seconds, "s", "≤ 0.6" if goal else "", "kernels kept"),
        ]
    note = f"of {FEATURES} features; from {STREAMS} to {2 * STREAMS} streams"
    python = str(BASE) if BASE.exists() else sys.executable
    rows.append(Row("memory of a resident stream", "", [], [a_stream(python)], "B", "≤ 1 024", note))
    return rows


def main() -> None:
    """Print the table."""
    show(measure())


if __name__ == "__main__":
    main()
