"""`streamnorm backfill` as people run it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from streamnorm import Normalizer
from tests.support.commands import invoke
from tests.support.processes import PATIENCE, Service

ROWS = np.random.default_rng(0).normal(20, 3, (600_000, 2)).round(3)


def recorded(path: Path, rows: int) -> Path:
    """Record rows."""
    np.savetxt(path, ROWS[:rows], delimiter=",", header="x,y", comments="", fmt="%.3f")
    return path


def run(*options: str | Path) -> Result:
    """Run the command."""
    return invoke(["backfill", *map(str, options)], env={"COLUMNS": "300"})


def test_it_tells_what_came_of_it(tmp_path: Path) -> None:
    file = recorded(tmp_path / "room.csv", 100)
    result = run(file, "--data-dir", tmp_path / "data", "--out", tmp_path / "out.csv")
    assert (result.exit_code, "100 rows in 1 stream," in result.stderr, "features: x, y" in result.stderr) == (
        0,
        True,
        True,
    )
    found = np.loadtxt(tmp_path / "out.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(found, Normalizer().observe_block(ROWS[:100]).values)


def test_a_killed_one_goes_on_where_it_was(tmp_path: Path) -> None:
    file, out = recorded(tmp_path / "room.csv", len(ROWS)), tmp_path / "out.csv"
    options = [str(file), "--data-dir", str(tmp_path / "data"), "--out", str(out)]
    command = [sys.executable, "-m", "streamnorm", "backfill", *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
        deadline = time.monotonic() + PATIENCE
        journals = tmp_path / "data" / "backfills"
        while not any(json.loads(path.read_text())["done"][1] for path in journals.glob("*.json")):
            assert time.monotonic() < deadline
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
    told = [line for line in result.stderr.splitlines() if line.startswith("streamnorm backfill: ")]
    assert (result.exit_code, len(told), "Traceback" in result.stderr) == (1, 1, False)


def test_a_service_that_is_not_there_is_told(tmp_path: Path) -> None:
    os.environ.pop("STREAMNORM_URL", None)
    result = run(recorded(tmp_path / "room.csv", 10), "--url", "http://127.0.0.1:9")
    assert (result.exit_code, "no answer from http://127.0.0.1:9" in result.stderr) == (1, True)


def test_bad_cells_are_listed_counted_and_told_by_the_status(tmp_path: Path) -> None:
    lines = ["x,y", *(f"{n}.5,{'warm' if n % 2 else n}" for n in range(40))]
    (tmp_path / "room.csv").write_text("\n".join([*lines, "1,2,3,4", ""]))
    result = run(tmp_path / "room.csv", "--data-dir", tmp_path / "data", "--columns", "x,y")
    told = " ".join(result.stderr.split())
    assert result.exit_code == 3
    assert "room.csv, line 3, column y: 'warm' is taken as missing" in told
    assert "11 more cells are bad, 21 in all" in told


def test_rows_with_bad_cells_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "room.csv").write_text("x,y\n1,1\n2,ERR\n3,3\n4,4\n")
    result = run(
        tmp_path / "room.csv", "--data-dir", tmp_path / "d", "--out", tmp_path / "o.csv", "--on-bad-row", "skip"
    )
    values = Normalizer().observe_block([[1, 1], [3, 3], [4, 4]]).values
    assert (result.exit_code, np.loadtxt(tmp_path / "o.csv", delimiter=",", skiprows=1).tolist()) == (3, values)


def test_names_of_columns_and_files_are_no_markup(tmp_path: Path) -> None:
    (tmp_path / "[red]x[bold].csv").write_text("time,flow [l/s],rate [/min]\n1,2,3\n2,3,4\n")
    result = run(tmp_path / "[[]red]x[[]*.csv", "--data-dir", tmp_path / "data", "--out", tmp_path / "o.csv")
    assert (result.exit_code, "flow [l/s], rate [/min]" in result.stderr, "[red]x[bold].csv" in result.stderr) == (
        0,
        True,
        True,
    )


def test_a_dry_run_shows_ten_rows_and_touches_nothing(tmp_path: Path) -> None:
    file = recorded(tmp_path / "room.csv", 100)
    result = run(file, "--data-dir", tmp_path / "data", "--dry-run")
    shown = [line.split() for line in result.stderr.splitlines() if line.strip()[:1].isdigit()]
    normalized = Normalizer().observe_block(ROWS[:10]).values
    assert [float(line[0]) for line in shown] == ROWS[:10, 0].tolist()
    np.testing.assert_allclose([float(line[1]) for line in shown], normalized[:, 0], rtol=2e-3, atol=1e-9)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("zone", "ending"), [("UTC", "Z"), (None, "")])
def test_a_dry_run_shows_the_times_of_typed_columns_as_times(tmp_path: Path, zone: str | None, ending: str) -> None:
    times = [None if n == 2 else n * 1_000_250_000 for n in range(100)]
    column = pa.array(times, pa.timestamp("us", zone))
    pq.write_table(pa.table({"time": column, "x": ROWS[:100, 0]}), tmp_path / "room.parquet")
    result = run(tmp_path / "room.parquet", "--data-dir", tmp_path / "data", "--dry-run")
    shown = [line.split() for line in result.stderr.splitlines() if re.match(r" *(\d{4}-|\d\d\.)", line)]
    told = ("1970-01-01T00:00:00", "1970-01-01T00:16:40.250000", "", "1970-01-01T00:50:00.750000")
    assert [line[0] if len(line) == 3 else "" for line in shown][:4] == [text and text + ending for text in told]
    assert "time: time, by the column's type" in result.stderr


def test_many_files_are_one_result_each_or_one_in_all(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    for n in (1, 2, 10):
        np.savetxt(
            folder / f"day{n}.csv", ROWS[n * 20 : n * 20 + 20], delimiter=",", header="x,y", comments="", fmt="%.3f"
        )
    options = ("--data-dir", tmp_path / "data", "--stream", "all")
    assert run(folder, *options, "--out", tmp_path / "each").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "each").iterdir()) == ["day1.csv", "day10.csv", "day2.csv"]
    assert (
        run(
            f"{folder}/*.csv", *options, "--out", tmp_path / "one.csv", "--again", "--data-dir", tmp_path / "d2"
        ).exit_code
        == 0
    )
    rows = np.vstack([ROWS[n * 20 : n * 20 + 20] for n in (1, 2, 10)])
    found = np.loadtxt(tmp_path / "one.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(found, Normalizer().observe_block(rows).values)


def test_files_of_one_name_do_not_become_one_stream_by_chance(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        recorded(tmp_path / name / "log.csv", 20 if name == "a" else 30)
    result = run(tmp_path / "a", tmp_path / "b", "--data-dir", tmp_path / "data")
    assert (result.exit_code, "--stream '{folder}-{file}'" in result.stderr) == (1, True)
    again = run(tmp_path / "a", tmp_path / "b", "--data-dir", tmp_path / "data", "--stream", "{folder}-{file}")
    assert (again.exit_code, "2 streams" in again.stderr) == (0, True)


def test_one_file_that_cannot_be_read_does_not_hold_up_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("note\nwarm\n")
    recorded(tmp_path / "b.csv", 20)
    result = run(tmp_path / "a.csv", tmp_path / "b.csv", "--data-dir", tmp_path / "data")
    assert (result.exit_code, "20 rows" in result.stderr, "a.csv: " in result.stderr) == (1, True, True)


def test_standard_input_is_read(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "streamnorm",
        "backfill",
        "-",
        "--data-dir",
        "d",
        "--out",
        "o.csv",
        "--stream",
        "s",
    ]
    text = recorded(tmp_path / "room.csv", 50).read_bytes()
    subprocess.run(command, input=text, cwd=tmp_path, check=True, capture_output=True)  # noqa: S603 - our own program
    found = np.loadtxt(tmp_path / "o.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(found, Normalizer().observe_block(ROWS[:50]).values)


@pytest.mark.parametrize("command", ["backfill", "filter"])
def test_no_server_is_imported_for_files_and_pipes(tmp_path: Path, command: str) -> None:
    recorded(tmp_path / "room.csv", 50)
    program = (
        "import sys\nfrom streamnorm.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'fastapi', 'uvicorn', 'starlette', 'duckdb', 'httpx', 'ssl', 'numpy.ma'} & set(sys.modules)))"
    )
    options = ["room.csv", "--data-dir", "d"] if command == "backfill" else []
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, command, *options],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["report.html", "report.png"])
def test_a_report_shows_each_feature_raw_and_normalized(tmp_path: Path, name: str) -> None:
    file = recorded(tmp_path / "room.csv", 500)
    assert run(file, "--data-dir", tmp_path / "data", "--report", tmp_path / name).exit_code == 0
    made = (tmp_path / name).read_bytes()
    if name.endswith("png"):
        assert made.startswith(b"\x89PNG")
    else:
        assert all(word in made for word in (b"<svg", b"room x", b"room y", b"normalized"))


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--report", "r.pdf"], ".html"), (["--on-bad-row", "x"], "--on-bad-row"), (["nope.csv"], "no recording")],
)
def test_what_cannot_be_done_is_told_before_the_work(tmp_path: Path, options: list[str], told: str) -> None:
    result = run(recorded(tmp_path / "room.csv", 5), *options, "--data-dir", tmp_path / "data")
    assert (result.exit_code in {1, 2}, told in result.stderr, (tmp_path / "data").exists()) == (True, True, False)


@pytest.mark.parametrize("name", ["./room.csv", "sub/../room.csv", "hard.csv", "soft.csv"])
def test_a_recording_is_never_its_own_result(tmp_path: Path, name: str) -> None:
    file = recorded(tmp_path / "room.csv", 10)
    (tmp_path / "sub").mkdir()
    (tmp_path / "hard.csv").hardlink_to(file)
    (tmp_path / "soft.csv").symlink_to(file)
    before = file.read_bytes()
    result = run(file, "--data-dir", tmp_path / "data", "--out", f"{tmp_path}/{name}")
    assert (result.exit_code, "itself" in result.stderr, file.read_bytes()) == (1, True, before)


def test_the_bar_begins_with_the_first_rows(tmp_path: Path) -> None:
    file = recorded(tmp_path / "room.csv", 100)
    refused, done = (run(file, "--data-dir", tmp_path / "data", "--out", out) for out in (file, tmp_path / "out.csv"))
    assert ("%" in refused.stderr, "100%" in done.stderr) == (False, True)


def test_nan_in_lines_of_json_is_missing(tmp_path: Path) -> None:
    file, out = tmp_path / "room.ndjson", tmp_path / "out.ndjson"
    file.write_text('{"x": 20, "y": 1}\n{"x": NaN, "y": 2}\n{"x": "nan", "y": -Infinity}\n{"x": 21, "y": 3}\n')
    refused = run(file, "--data-dir", tmp_path / "data", "--out", out)
    assert (refused.exit_code, "room.ndjson: line 3 is not JSON" in refused.stderr) == (1, True)
    file.write_text(file.read_text().replace("-Infinity", "2"))
    assert run(file, "--data-dir", tmp_path / "data", "--out", out).exit_code == 0
    expected = Normalizer().observe_block(np.array([[20, 1], [np.nan, 2], [np.nan, 2], [21, 3]])).values
    found = [list(json.loads(line).values()) for line in out.read_text().splitlines()]
    np.testing.assert_array_equal(np.array(found, dtype=float), expected)


def test_numbers_with_underscores_are_read_when_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,b\n20_24,1_000\n20_25,2_000\n")
    options = (tmp_path / "in.csv", "--data-dir", tmp_path / "data")
    assert "--thousands _ reads numbers such as those of 'b'" in run(*options).stderr
    assert "features: b" in run(*options, "--thousands", "_").stderr


def test_a_result_is_not_packed(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "in.csv", 10)
    result = run(recording, "--data-dir", tmp_path / "data", "--out", tmp_path / "out.csv.gz")
    assert (result.exit_code, "name it" in result.stderr) == (1, True)
