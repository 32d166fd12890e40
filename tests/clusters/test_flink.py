"""Flink: a real cluster of the package; what a job writes is what a service answers, whatever dies meanwhile."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from streamnorm.engines.rows import Fields, observe_rows
from tests.clusters.flink_cluster import PYTHON, Flink, until
from tests.clusters.readings import Office, Rows, keyed, migrate, statistics, written
from tests.support.process_groups import PATIENCE
from tests.support.processes import ROOT

log = logging.getLogger(__name__)
KAFKA = ROOT / ".venv-engines" / "kafka" / "pyflink" / "lib"


def given(folder: Path, rows: Rows, **options: object) -> list[str]:
    """Return the arguments of a job that is given these readings; after a quarter of them it goes slowly."""
    (folder / "readings.json").write_text(json.dumps(rows))
    (folder / "limit").write_text(str(len(rows) // 4))
    return [str(folder / "readings.json"), f"file://{folder}/out", json.dumps(options)]


def reach(flink: Flink, job: str, folder: Path, lines: int) -> None:
    """Wait until a job has committed so many lines, and more; it has yet to read much of its input."""
    until(f"more than {lines} lines", lambda: len(written(folder / "out")) > lines)
    assert flink.state(job) == "RUNNING"


def test_a_killed_task_manager_and_another_parallelism_cost_no_reading_and_no_bit(
    flink: Flink, office: Office, tmp_path: Path
) -> None:
    drained = tmp_path / "drained"
    options = {"rules": str(office.rules), "blobs": str(office.half), "drain_to": str(drained)}
    arguments = given(tmp_path, office.rest, **options)
    job = flink.submit(*arguments, parallelism=2)
    reach(flink, job, tmp_path, len(office.rest) // 8)
    killed = time.monotonic()
    flink.kill_task_manager()
    flink.add_task_manager()
    until("a restored checkpoint", lambda: flink.checkpoints(job).get("restored"))
    reach(flink, job, tmp_path, len(written(tmp_path / "out")))
    log.info("new output %.1f s after a task manager was killed, and another one started", time.monotonic() - killed)
    savepoint = flink.stop(job)
    job = flink.submit(*arguments, parallelism=1, savepoint=savepoint)
    (tmp_path / "limit").write_text(str(len(office.rest)))
    until("the job to end", lambda: flink.state(job) == "FINISHED")
    assert keyed(written(tmp_path / "out")) == office.answers_to(office.rest)
    migrate(f"blobs://{drained}", f"sqlite://{tmp_path}/back")
    assert statistics(tmp_path / "back") == office.statistics


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run what is shown of Flink."""
    jars = [KAFKA / f"{name}.jar" for name in ("flink-connector-base", "flink-connector-kafka", "kafka-clients")]
    done = subprocess.run(  # noqa: S603 - our own
        [PYTHON, ROOT / "tests/clusters/flink_examples.py", tmp_path_factory.mktemp("examples"), *jars],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_the_pages_code_for_rows_tables_and_blocks(examples: dict[str, Any]) -> None:
    numbered, rules = Fields("values", "time", "seq"), {"time_constant": 86400}
    assert examples["rows"] == observe_rows(None, examples["given"], numbered, rules, 0.0)[1]
    columns = ("temp", "door")
    bare = [{name: row[name] for name in ("sensor", *columns)} for row in examples["wide"]]
    assert examples["table"] == observe_rows(None, bare, Fields(columns), {}, 0.0)[1]
    numbered = Fields(columns, "time", "seq")
    expected = observe_rows(None, examples["wide"], numbered, {}, 0.0)[1]
    assert [{"sensor": "boiler", **row} for row in examples["blocks"]] == expected
    assert examples["errors"][:2] == [None, None]
    assert examples["errors"][2].startswith("no Arrow IPC stream")


def test_the_job_of_the_deployments_runs_on_files(examples: dict[str, Any]) -> None:
    numbered = Fields("values", "time", "seq")
    assert examples["files"] == observe_rows(None, examples["given"], numbered, {}, 0.0)[1]


def test_flinks_planner_takes_the_tables_of_kafka_with_all_their_options(examples: dict[str, Any]) -> None:
    assert "default_catalog, default_database, readings" in examples["kafka"]
    assert "Sink(table=[default_catalog.default_database.normalized]" in examples["kafka"]
