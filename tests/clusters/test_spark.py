"""Spark: a master and two workers; what a query writes is what a service answers, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clusters.flink_cluster import PATIENCE, end_group, until
from tests.clusters.readings import Rows, keyed, migrate, office, served, statistics, written
from tests.support.processes import ROOT, Service

PYTHON = ROOT / ".venv-engines" / "spark" / "bin" / "python"
READINGS = office(1200)
#: readings in a file, and so in a micro-batch
FILE = 100


@contextmanager
def job(mode: str, folder: Path, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a job; it and its workers have ended when the context does."""
    command = [str(PYTHON), str(ROOT / "tests/clusters/spark_job.py"), mode, f"{folder}/in", f"{folder}/out"]
    with (folder / f"{mode}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own
            [*command, json.dumps(options)],
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            env={**os.environ, "SPARK_WORKER_DIR": str(folder / "work"), "SPARK_LOCAL_IP": "127.0.0.1"},
        )
    try:
        yield process
    finally:
        end_group(process)


def ended(mode: str, folder: Path, **options: object) -> None:
    """Run a job to its end."""
    with job(mode, folder, **options) as process:
        assert process.wait(PATIENCE) == 0, (folder / f"{mode}.log").read_text()[-6000:]


def put(folder: Path, rows: Rows, first: int, last: int) -> None:
    """Write some of the readings to files, each of them whole when it appears; their times are in order."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    for start in range(first, last, FILE):
        lines = [json.dumps(row).replace("NaN", "null") for row in rows[start : start + FILE]]
        file = folder / f"{start:06}.json"
        file.write_text("\n".join(lines))
        os.utime(file, (1e9 + start, 1e9 + start))
        file.rename(folder / "in" / file.name)


def batches(folder: Path) -> int:
    """Count the micro-batches that are done."""
    return len([file for file in folder.glob("out/checkpoint/commits/*") if file.name.isdigit()])


def test_a_killed_driver_costs_no_reading_and_no_bit_and_streams_go_there_and_back(tmp_path: Path) -> None:
    half = len(READINGS) // 2
    with Service(tmp_path) as service:
        before = served(service, READINGS[:half])
    migrate(f"sqlite://{tmp_path}/data", f"blobs://{tmp_path}/moved")
    blobs = str(tmp_path / "moved")
    put(tmp_path, READINGS, half, len(READINGS) - 2 * FILE)
    with job("stream", tmp_path, blobs=blobs) as process:
        until("some micro-batches", lambda: batches(tmp_path) >= 2 or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "stream.log").read_text()[-6000:]
    put(tmp_path, READINGS, len(READINGS) - 2 * FILE, len(READINGS))
    ended("finish", tmp_path, blobs=blobs)
    migrate(f"blobs://{tmp_path}/out/blobs", f"sqlite://{tmp_path}/back")
    (tmp_path / "whole").mkdir()
    with Service(tmp_path / "whole") as service:
        assert before | keyed(written(tmp_path / "out" / "lines")) == served(service, READINGS)
    assert statistics(tmp_path / "back") == statistics(tmp_path / "whole" / "data")


def test_a_table_is_normalized_as_its_readings_would_be_one_by_one(tmp_path: Path) -> None:
    put(tmp_path, READINGS[::-1], 0, len(READINGS))
    ended("batch", tmp_path, rules={"horizon": 500})
    (tmp_path / "service").mkdir()
    with Service(tmp_path / "service", STREAMNORM_HORIZON="500") as service:
        assert keyed(written(tmp_path / "out" / "lines")) == served(service, READINGS)
