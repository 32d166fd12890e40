"""The service as a real process: start it, wait for it, stop it or kill it, and start it again on the same folder."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.support.forked import Forked

PATIENCE = 60.0  # seconds; a busy machine imports slowly, and a test that waits in vain fails all the same
STEP = 0.05
ROOT = Path(__file__).parents[2]


def kernels() -> str:
    """Return a digest of the kernels' source: Numba looks at a function's file, not at what it calls."""
    files = sorted((ROOT / "service/streamnorm/kernels").rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


NUMBA_CACHE = ROOT / ".numba_cache" / kernels()


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Service:
    """`streamnorm serve` on a port and a folder of its own; what it prints goes to `log` in that folder."""

    #: the interpreter that has the service
    python = sys.executable
    #: whether the process begins with everything imported; an interpreter of its own takes a second of a core first
    forked = True

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.log = folder / "service.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        #: how its certificate is verified, where it has one
        self.verify: ssl.SSLContext | bool = True
        # a service with an empty folder compiles its kernels, which takes a minute of a core
        self._environment = {"NUMBA_CACHE_DIR": str(NUMBA_CACHE), **os.environ, **environment}
        self._process: subprocess.Popen[bytes] | Forked | None = None

    def start(self) -> Self:
        """Start, and wait until it answers."""
        serve = ["serve", "--port", str(self.port), "--data-dir", str(self.folder / "data")]
        self._process = self._launch(serve)
        deadline = time.monotonic() + 3 * PATIENCE  # kernels may be compiled, on a busy machine
        while not self.settled():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the service did not start:\n{self.log.read_text()}")
            time.sleep(STEP)
        return self

    @property
    def pid(self) -> int:
        """The process, while there is one."""
        if self._process is None:
            raise RuntimeError("the service was not started")
        return self._process.pid

    def alive(self) -> bool:
        """Return whether it answers."""
        try:
            return httpx.get(f"{self.url}/healthz", timeout=PATIENCE, verify=self.verify).is_success
        except httpx.TransportError:
            return False

    def settled(self) -> bool:
        """Return whether it answers, and compiles no kernels any more."""
        return self.alive() and "compiling" not in httpx.get(f"{self.url}/readyz", verify=self.verify).text

    def ask_to_stop(self) -> None:
        """Ask it to stop (SIGTERM), and go on meanwhile."""
        self._send(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end, and return its exit status."""
        return self._running().wait(PATIENCE)

    def stop(self) -> int:
        """Ask it to stop (SIGTERM), and return its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it on the spot (SIGKILL)."""
        self._end(signal.SIGKILL)

    def restart(self) -> Self:
        """Stop and start again, on the same port and folder."""
        self.stop()
        return self.start()

    def _end(self, how: signal.Signals) -> int:
        self._send(how)
        return self.wait()

    def _send(self, how: signal.Signals) -> None:
        self._running().send_signal(how)

    def _launch(self, serve: list[str]) -> subprocess.Popen[bytes] | Forked:
        if self.forked:
            return Forked(serve, self._environment, self.log)
        with self.log.open("ab") as log:
            program = [self.python, "-m", "streamnorm", *serve]
            return subprocess.Popen(program, env=self._environment, stdout=log, stderr=log)  # noqa: S603 - our own program

    def _running(self) -> subprocess.Popen[bytes] | Forked:
        if self._process is None:
            raise RuntimeError("the service was not started")
        return self._process

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing running."""
        self.kill()


class FreshService(Service):
    """The same as people start it: by an interpreter of its own, for what concerns starts, and for measurements."""

    forked = False
