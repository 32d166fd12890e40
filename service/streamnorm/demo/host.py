"""The demo's own service: a process on a free port, with a temporary data folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamnorm_client import Client, TransportError

SECONDS_TO_START = 60.0
SECONDS_TO_STOP = 10.0
SECONDS_BETWEEN_LOOKS = 0.05


class NotStarted(Exception):
    """The demo's service did not start; the message ends with what it printed."""


@contextmanager
def own_service() -> Iterator[str]:
    """Run a service while the block runs; yield its URL.

    It ignores STREAMNORM_… variables, which are meant for a real service, and has its own process group, so that Ctrl-C
    only reaches the demo, which then stops the service gracefully.
    """
    with tempfile.TemporaryDirectory(prefix="streamnorm-demo-") as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        where = ["--host", "127.0.0.1", "--port", str(port), "--data-dir", str(Path(folder, "data"))]
        command = [sys.executable, "-m", "streamnorm", "serve", *where]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMNORM_")}
        log = Path(folder, "log")
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)  # noqa: S603 - ourselves
        try:
            wait(process, url, log)
            yield url
        finally:
            stop(process)


def free_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until the service at `url` answers.

    Raises:
        NotStarted: its `process` ended, or took too long; the message ends with its `log`.

    """
    deadline = time.monotonic() + SECONDS_TO_START
    with Client(url, retries=0) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.health()
            except TransportError:
                time.sleep(SECONDS_BETWEEN_LOOKS)
            else:
                return
    raise NotStarted(f"the demo's service did not start:\n{log.read_text(errors='replace')}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the service, and kill it after a timeout."""
    process.terminate()
    try:
        process.wait(SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
