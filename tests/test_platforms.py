"""Other operating systems: the engine in process, the commands on files and pipes, and the SDK run there.

A process is made to look like Windows once the libraries are imported, which have their own ways with it: POSIX modules
are missing, as are signals and calls, and `msvcrt` locks as that of Windows does.
"""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamnorm import Normalizer, platforms
from tests.support.processes import ROOT

WINDOWS = """
import asyncio, fcntl, multiprocessing, os, signal, sqlite3, subprocess, sys, tempfile, types
import httpx, numpy, orjson, pydantic_settings, rich.console, rich.progress, rich.table, typer, typer.testing
import websockets.sync.client
import fastapi, uvicorn

def locking(descriptor, mode, size):
    assert (mode, size) == (2, 1)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, size, os.lseek(descriptor, 0, os.SEEK_CUR))
    except BlockingIOError as error:
        raise PermissionError(13, "Permission denied") from error

sys.modules["msvcrt"] = types.ModuleType("msvcrt")
sys.modules["msvcrt"].locking, sys.modules["msvcrt"].LK_NBLCK = locking, 2
for name in ("fcntl", "resource", "pwd", "grp", "termios", "uvloop"):
    sys.modules[name] = None
for module, names in {
    os: ("fork", "nice", "getuid", "getgid", "sched_getaffinity", "register_at_fork", "fchmod", "killpg", "setsid"),
    signal: ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGQUIT", "pthread_kill", "pthread_sigmask", "setitimer"),
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "win32"
"""
MAIN = "from streamnorm.cli import main\nmain()\n"


def windows(program: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program as on Windows."""
    command = [sys.executable, "-c", WINDOWS + program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]  # noqa: S603


def test_the_engine_and_the_sdk_run_in_process(tmp_path: Path) -> None:
    program = """
from streamnorm import Normalizer
from streamnorm_client import AsyncClient, Client, Outbox
normalizer = Normalizer()
print(normalizer.observe([20.0]).values, normalizer.observe_block([[21.0], [22.0]]).values)
with Client("http://127.0.0.1:9", retries=0, outbox=Outbox("readings.db")) as client:
    client.stream("a").put([1.0])
    print(client.waiting)
"""
    done = windows(program, cwd=tmp_path)
    twin = Normalizer()
    expected = f"{twin.observe([20.0]).values} {twin.observe_block([[21.0], [22.0]]).values}\n1\n"
    assert done.stdout == expected, done.stderr


def test_pipes_are_filtered(tmp_path: Path) -> None:
    done = windows(MAIN, "filter", "--state", str(tmp_path / "state.json"), input='{"t": 20}\n{"t": 22}\n')
    assert done.stdout == '{"t":0.0}\n{"t":0.9994998749374611}\n', done.stderr
    assert (tmp_path / "state.json").exists()


def test_recordings_are_learned_in_a_locked_folder(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(20, 3, (50, 2)).round(3)
    np.savetxt(tmp_path / "shed.csv", rows, delimiter=",", header="x,y", comments="", fmt="%.3f")
    options = ("backfill", "shed.csv", "--data-dir", "data", "--out", "out.csv")
    done = windows(MAIN, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = np.loadtxt(tmp_path / "out.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(found, Normalizer().observe_block(rows).values)
    with (tmp_path / "data" / "streamnorm.lock").open("a+") as held:
        fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, platforms.FAR)
        refused = windows(MAIN, *options, "--again", cwd=tmp_path)
    assert (refused.returncode, "is in use by process" in refused.stderr) == (1, True)


def test_the_service_says_that_it_does_not_run_there_and_what_does() -> None:
    done = windows(MAIN, "serve")
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not run on Windows" in done.stderr
    assert "container image" in done.stderr
    assert platforms.unsupported() is None


def test_what_systems_do_differently_is_in_one_file() -> None:
    words = re.compile(r"import (fcntl|msvcrt|resource|pwd|signal)\b|os\.(nice|fork)\(")
    found = {file.name for file in (ROOT / "service" / "streamnorm").rglob("*.py") if words.search(file.read_text())}
    assert found == {"platforms.py"}


@pytest.mark.parametrize("again", [False, True])
def test_a_lock_is_exclusive_and_ends_with_its_file(tmp_path: Path, *, again: bool) -> None:
    with (tmp_path / "lock").open("w") as first:
        platforms.lock(first)
        with (tmp_path / "lock").open("w") as second, pytest.raises(BlockingIOError):
            platforms.lock(second)
    if again:
        with (tmp_path / "lock").open("w") as third:
            platforms.lock(third)
