"""Flink: a real cluster of the package; what a job writes is what a service answers, whatever dies meanwhile."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamnorm_client import Client
from tests.clusters.flink_cluster import PATIENCE, PYTHON, Flink, until
from tests.clusters.readings import Rows, keyed, migrate, office, served, statistics, written
from tests.support.processes import ROOT, Service

READINGS = office(1600)


@pytest.fixture(scope="module")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flink]:
    """Run a cluster."""
    with Flink(tmp_path_factory.mktemp("flink")) as running:
        yield running


def given(folder: Path, rows: Rows, **options: object) -> list[str]:
    """Return the arguments of a job that is given these readings; after half of them it goes slowly."""
    (folder / "readings.json").write_text(json.dumps(rows))
    (folder / "limit").write_text(str(len(rows) // 2))
    return [str(folder / "readings.json"), f"file://{folder}/out", json.dumps(options)]


def reach_the_middle(flink: Flink, job: str, folder: Path, rows: Rows) -> None:
    """Wait until a job has committed some of its output, and has yet to read much of its input."""
    until("output in the middle", lambda: len(written(folder / "out")) > len(rows) // 4)
    assert flink.state(job) == "RUNNING"


def reach_the_end(flink: Flink, job: str, folder: Path, rows: Rows) -> None:
    """Let a job go fast, and wait for its end."""
    (folder / "limit").write_text(str(len(rows)))
    until("the job to end", lambda: flink.state(job) == "FINISHED")


def test_a_killed_task_manager_costs_no_reading_and_no_bit(flink: Flink, tmp_path: Path) -> None:
    job = flink.submit(*given(tmp_path, READINGS), parallelism=2)
    reach_the_middle(flink, job, tmp_path, READINGS)
    flink.kill_task_manager()
    flink.add_task_manager()
    reach_the_end(flink, job, tmp_path, READINGS)
    assert flink.checkpoints(job)["restored"] > 0
    with Service(tmp_path) as service:
        assert keyed(written(tmp_path / "out")) == served(service, READINGS)


def test_streams_go_from_a_service_through_jobs_of_other_sizes_and_back(flink: Flink, tmp_path: Path) -> None:
    half = len(READINGS) // 2
    with Service(tmp_path) as service:
        before = served(service, READINGS[:half])
    migrate(f"sqlite://{tmp_path}/data", f"blobs://{tmp_path}/moved")
    rest, drained = READINGS[half:], tmp_path / "drained"
    arguments = given(tmp_path, rest, blobs=str(tmp_path / "moved"), drain_to=str(drained))
    job = flink.submit(*arguments, parallelism=1)
    reach_the_middle(flink, job, tmp_path, rest)
    savepoint = flink.stop(job)
    job = flink.submit(*arguments, parallelism=2, savepoint=savepoint)
    reach_the_end(flink, job, tmp_path, rest)
    migrate(f"blobs://{drained}", f"sqlite://{tmp_path}/back")
    (tmp_path / "whole").mkdir()
    with Service(tmp_path / "whole") as service:
        assert before | keyed(written(tmp_path / "out")) == served(service, READINGS)
    assert statistics(tmp_path / "back") == statistics(tmp_path / "whole" / "data")


def test_tables_and_blocks_give_the_same_as_a_service(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own
        [PYTHON, ROOT / "tests/clusters/flink_tables.py"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    with Service(tmp_path) as service, Client(service.url) as client:
        stream = client.stream("boiler")
        answers = [stream.observe({"temp": 20.0 + n % 3}, seq=n) for n in range(12)]
    expected = [(answer.values["temp"], answer.count, answer.ready) for answer in answers]
    for rows in (told["rows"], told["blocks"]):
        assert [(row["temp"], row["count"], row["ready"]) for row in rows] == expected
    assert told["errors"][:2] == [None, None]
    assert told["errors"][2].startswith("no Arrow IPC stream")
