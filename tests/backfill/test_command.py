"""`streamnorm backfill` as people run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from streamnorm import Normalizer
from streamnorm.cli import cli
from tests.processes import PATIENCE, Service

ROWS = np.random.default_rng(0).normal(20, 3, (60_000, 2)).round(3)


def recorded(path: Path, rows: int) -> Path:
    """Record rows."""
    np.savetxt(path, ROWS[:rows], delimiter=",", header="x,y", comments="", fmt="%.3f")
    return path


def run(*options: str | Path) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["backfill", *map(str, options)])


def test_it_tells_what_came_of_it(tmp_path: Path) -> None:
    file = recorded(tmp_path / "room.csv", 100)
    result = run(file, "--data-dir", tmp_path / "data", "--out", tmp_path / "out.csv")
    assert (result.exit_code, "100 rows in 1 streams" in result.stderr) == (0, True)
    found = np.loadtxt(tmp_path / "out.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(found, Normalizer().observe_block(ROWS[:100]).values)


def test_a_killed_one_goes_on_where_it_was(tmp_path: Path) -> None:
    file, out = recorded(tmp_path / "room.csv", len(ROWS)), tmp_path / "out.csv"
    options = [str(file), "--data-dir", str(tmp_path / "data"), "--out", str(out)]
    command = [sys.executable, "-m", "streamnorm", "backfill", *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
        deadline = time.monotonic() + PATIENCE
        journal = out.with_name("out.csv.backfill")
        while not (journal.exists() and json.loads(journal.read_text())["rows"]) and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert not out.exists()
    result = run(*options)
    assert (result.exit_code, "in an earlier run" in result.stderr) == (0, True)
    found = np.loadtxt(out, delimiter=",", skiprows=1)
    np.testing.assert_array_equal(found, Normalizer().observe_block(ROWS).values)


def test_a_running_service_is_fed_by_its_url(tmp_path: Path) -> None:
    file = recorded(tmp_path / "room.csv", 100)
    with Service(tmp_path) as service:
        result = run(file, "--url", service.url, "--stream", "there")
        assert (result.exit_code, f"warmed up in {service.url}" in result.stderr.replace("\n", " ")) == (0, True)


def test_a_folder_in_use_is_told_without_a_traceback(tmp_path: Path) -> None:
    file = recorded(tmp_path / "room.csv", 10)
    with Service(tmp_path):
        result = run(file, "--data-dir", tmp_path / "data")
    assert (result.exit_code, result.stderr.startswith("streamnorm backfill: "), result.stderr.count("\n")) == (
        1,
        True,
        1,
    )


def test_a_service_that_is_not_there_is_told(tmp_path: Path) -> None:
    os.environ.pop("STREAMNORM_URL", None)
    result = run(recorded(tmp_path / "room.csv", 10), "--url", "http://127.0.0.1:9")
    assert (result.exit_code, "no answer from http://127.0.0.1:9" in result.stderr) == (1, True)


def test_a_restart_forgets_one_that_was_begun(tmp_path: Path) -> None:
    file = recorded(tmp_path / "room.csv", 10)
    file.with_name("room.csv.backfill").write_text('{"work": {}}')
    assert "--restart forgets it" in run(file, "--data-dir", tmp_path / "data").stderr
    assert run(file, "--data-dir", tmp_path / "data", "--restart").exit_code == 0


@pytest.mark.parametrize("name", ["./room.csv", "sub/../room.csv", "hard.csv", "soft.csv"])
def test_a_recording_is_never_its_own_result(tmp_path: Path, name: str) -> None:
    file = recorded(tmp_path / "room.csv", 10)
    (tmp_path / "sub").mkdir()
    (tmp_path / "hard.csv").hardlink_to(file)
    (tmp_path / "soft.csv").symlink_to(file)
    before = file.read_bytes()
    result = run(file, "--data-dir", tmp_path / "data", "--out", f"{tmp_path}/{name}")
    assert (result.exit_code, "itself" in result.stderr, file.read_bytes()) == (1, True, before)
