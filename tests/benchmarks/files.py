"""A recorded file of a million rows, beside pandas: `python -m tests.benchmarks.files`; and lines through a pipe."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks.report import Row, in_turns, show

ROWS, SENSORS, LINES, TURNS = 1_000_000, 4, 400_000, 5
PANDAS = """
import pandas as pd
d = pd.read_csv("in.csv"); c = list("abcd"); e = d[c].ewm(alpha=1 / 1000)
d[c] = (d[c] - e.mean()) / e.std(bias=True); d.to_csv("peer.csv", index=False)
"""


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which modules are compiled once, as installed ones are."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def seconds(command: list[str], folder: Path, stdin: Path | None = None) -> float:
    """Return the processor time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with Path(stdin or os.devnull).open("rb") as file:
        subprocess.run(command, cwd=folder, stdin=file, check=True, capture_output=True, env=environment(folder))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure() -> list[Row]:
    """Measure ours and the peer in turns."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        times = np.datetime_as_string(np.datetime64("2026-01-01T00:00:00") + np.arange(ROWS) * np.timedelta64(10, "s"))
        values = rng.normal(20, 3, (ROWS, SENSORS)).round(3).tolist()
        lines = (f"{time},{','.join(map(str, row))}\n" for time, row in zip(times, values, strict=True))
        with (folder / "in.csv").open("w") as file:
            file.write("time,a,b,c,d\n")
            file.writelines(lines)
        with (folder / "in.ndjson").open("w") as file:
            file.writelines(
                json.dumps({"temp": row[0], "hum": row[1], "room": "hall"}) + "\n" for row in values[:LINES]
            )
        ours = [sys.executable, "-m", "streamnorm", "backfill", "in.csv", "--again", "--out", "out.csv"]
        pipe = [sys.executable, "-m", "streamnorm", "filter"]
        for command in (ours, pipe):
            seconds(command, folder, folder / "in.ndjson")  # compiles
        pandas = [sys.executable, "-c", PANDAS]
        mine, theirs, piped = in_turns(
            TURNS,
            lambda: seconds(ours, folder),
            lambda: seconds(pandas, folder),
            lambda: LINES / seconds(pipe, folder, folder / "in.ndjson"),
        )
    return [
        Row(f"a CSV of {ROWS:,} rows", "pandas read_csv, ewm, to_csv", theirs, mine, "s", "at most 0.4", "CPU"),
        Row("lines of NDJSON in a pipe", "", [], piped, "lines/s", "at least 80 000", "a CPU second"),
    ]


if __name__ == "__main__":
    show(measure())
