"""Processes of `streamnorm` that begin where its imports, most of its start's CPU time, have ended.

A server of multiprocessing, one for each process of the tests, has imported the service. What it forks is a process
like any other: it has a pid, signals, open files, an environment and an exit status of its own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
# the loops and parsers that uvicorn imports as it starts
FORKS.set_forkserver_preload(["streamnorm.cli.serve", "uvloop", "uvicorn.loops.uvloop", "uvicorn.lifespan.on"])


class Forked:
    """`streamnorm` with `arguments` in an `environment`.

    What it prints goes to the end of the file `out`, and to that of `errors` where this is another one.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], out: Path, errors: Path | None = None
    ) -> None:
        files = (out, errors or out)
        self._process = FORKS.Process(target=run, args=(arguments, dict(environment), files), daemon=True)
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


def ran(arguments: Sequence[str], environment: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run `streamnorm` to its end, for at most `timeout` seconds, and return what it printed.

    Raises:
        subprocess.TimeoutExpired: it has not ended; it is killed.

    """
    with tempfile.TemporaryDirectory() as folder:
        out, errors = Path(folder, "out"), Path(folder, "errors")
        process = Forked(arguments, environment, out, errors)
        try:
            status = process.wait(timeout)
        finally:
            process.send_signal(signal.SIGKILL)
        return subprocess.CompletedProcess(arguments, status, out.read_text(), errors.read_text())


def run(arguments: Sequence[str], environment: Mapping[str, str], files: tuple[Path, Path]) -> None:
    """Be `streamnorm` with these `arguments`, and print to these `files`; in the forked process."""
    from streamnorm.cli import main  # noqa: PLC0415 - imported there already, and not by every process of tests

    for path, stream in zip(files, (sys.stdout, sys.stderr), strict=True):
        with path.open("ab") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["streamnorm", *arguments]
    main()
