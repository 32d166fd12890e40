"""Spark: a master and two workers; what a query writes is what a service answers, whatever dies meanwhile."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamnorm.engines.rows import Fields, observe_rows
from tests.clusters.flink_cluster import until
from tests.clusters.page_code import WIDE
from tests.clusters.readings import Office, Rows, keyed, migrate, statistics, written
from tests.support.process_groups import PATIENCE, end_group, start_group
from tests.support.processes import ROOT

PYTHON = ROOT / ".venv-engines" / "spark" / "bin" / "python"
log = logging.getLogger(__name__)
#: readings in a file, and so in a micro-batch
FILE = 100


@contextmanager
def job(mode: str, folder: Path, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a job; it and its workers have ended when the context does."""
    command = [str(PYTHON), str(ROOT / "tests/clusters/spark_job.py"), mode, str(folder), json.dumps(options)]
    with (folder / f"{mode}.log").open("wb") as output:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SPARK_WORKER_DIR": str(folder / "work"),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        process = start_group(command, output, environment, folder)
    try:
        yield process
    finally:
        end_group(process)


def put(folder: Path, rows: Rows, first: int, last: int) -> None:
    """Write some of the readings to files, each of them whole when it appears; their times are in order."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(first, last, FILE):
        lines = [json.dumps(row).replace("NaN", "null") for row in rows[start : start + FILE]]
        file = folder.with_name(f"{start:06}.json")
        file.write_text("\n".join(lines))
        os.utime(file, (1e9 + start, 1e9 + start))
        file.rename(folder / file.name)


def batches(folder: Path) -> int:
    """Count the micro-batches that are done."""
    return len([file for file in folder.glob("checkpoint/commits/*") if file.name.isdigit()])


def test_a_killed_driver_costs_no_reading_and_no_bit_and_a_table_is_as_its_readings(
    office: Office, tmp_path: Path
) -> None:
    options = {"blobs": str(office.half), "rules": str(office.rules)}
    rest = office.rest
    put(tmp_path / "stream", rest, 0, len(rest) - FILE)
    with job("stream", tmp_path, **options) as process:
        until("a micro-batch", lambda: batches(tmp_path) >= 1 or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "stream.log").read_text()[-6000:]
    killed, done = time.monotonic(), batches(tmp_path)
    put(tmp_path / "stream", rest, len(rest) - FILE, len(rest))
    put(tmp_path / "table", office.rows[::-1], 0, len(office.rows))
    with job("finish", tmp_path, **options) as process:
        until("a micro-batch after the restart", lambda: batches(tmp_path) > done or process.poll() is not None)
        log.info("a micro-batch was done %.1f s after the driver was killed", time.monotonic() - killed)
        assert process.wait(PATIENCE) == 0, (tmp_path / "finish.log").read_text()[-6000:]
    assert keyed(written(tmp_path / "streamed")) == office.answers_to(rest)
    migrate(f"blobs://{tmp_path}/blobs", f"sqlite://{tmp_path}/back")
    assert statistics(tmp_path / "back") == office.statistics
    assert keyed(written(tmp_path / "tabled")) == office.answers
    shown = sorted(written(tmp_path / "shown"), key=lambda row: row["seq"])
    assert shown == observe_rows(None, WIDE, Fields(("temp", "door"), "time", "seq"), {}, 0.0)[1]
