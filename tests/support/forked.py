"""Processes of `streamnorm` that begin where its imports, most of its start's CPU time, have ended.

A server of multiprocessing, one for each process of the tests, has imported the service. What it forks is a process
like any other: it has a pid, signals, open files, an environment and an exit status of its own.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
# the loops and parsers that uvicorn imports as it starts
FORKS.set_forkserver_preload(["streamnorm.cli.serve", "uvloop", "uvicorn.loops.uvloop", "uvicorn.lifespan.on"])


class Forked:
    """`streamnorm` with `arguments` in an `environment`; what it prints goes to the end of the file `log`."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._process = FORKS.Process(target=run, args=(arguments, dict(environment), log), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """The process."""
        if self._process.pid is None:
            raise RuntimeError("the process was not started")
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal, or None while the process runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Wait for the end for at most `timeout` seconds, and return the exit status.

        Raises:
            subprocess.TimeoutExpired: it has not ended.

        """
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("streamnorm", timeout)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def run(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """Be `streamnorm` with these `arguments`; in the forked process."""
    from streamnorm.cli import main  # noqa: PLC0415 - imported there already, and not by every process of tests

    gc.freeze()  # the service, as it starts, looks for garbage
    with log.open("ab") as file:
        for descriptor in (sys.stdout.fileno(), sys.stderr.fileno()):
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["streamnorm", *arguments]
    main()
