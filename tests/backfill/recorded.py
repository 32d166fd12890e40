"""Recordings for the tests, and the command run on them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from streamnorm.backfill.options import order_of
from streamnorm.backfill.work import conduct
from streamnorm.backfill.work.conduct import Looked, Order
from streamnorm.engine.reading import Array
from tests.support.commands import invoke

ROWS = np.random.default_rng(0).normal(20, 3, (60, 2)).round(3)
UNSET = "columns exclude time_column missing state thousands quote comment precision out"
EMPTY = (
    "stream stream_column feature_column value_column time_format time_zone time_unit decimal input_format preset "
    "delimiter encoding names sheet url suffix format"
)
OPTIONS: dict[str, object] = {
    **dict.fromkeys(UNSET.split()),
    **dict.fromkeys(EMPTY.split(), ""),
    "on_bad_row": "null",
    "skip_rows": 0,
    "no_header": False,
    "data_dir": Path("data"),
    "config": "{}",
    "again": False,
}


class Ran(NamedTuple):
    """What the command said and did."""

    status: int
    told: str
    out: bytes


def run(folder: Path, file: str | Path, *options: str | Path, out: str = "out.csv") -> Ran:
    """Run the command on a recording of a folder, with the streams in the folder too."""
    result = invoke(
        [
            "backfill",
            str(folder / file),
            "--data-dir",
            str(folder / "data"),
            "--out",
            str(folder / out),
            *map(str, options),
        ],
        env={"COLUMNS": "300"},
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    made = folder / out
    return Ran(result.exit_code, result.stderr, made.read_bytes() if made.is_file() else b"")


def written(folder: Path, text: str | bytes, name: str = "in.csv") -> Path:
    """Write a recording."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def looked(path: Path, **options: object) -> Looked:
    """Look at a recording."""

    class Deaf:
        def found(self, looked: Looked) -> None: ...
        def note(self, text: str) -> None: ...
        def progress(self, rows: int, part: float) -> None: ...

    def none() -> object:
        raise AssertionError

    order: Order = order_of({**OPTIONS, **options})
    with conduct.Conductor(order, none, Deaf()) as conductor:  # type: ignore[arg-type]
        return conductor.looked(path)


def column(out: bytes, name: str, delimiter: str = ",", decimal: str = ".") -> Array:
    """Read a column of numbers of a CSV whose first line names the columns; NaN for what is none."""
    lines = [line.split(delimiter) for line in out.decode("latin-1").splitlines() if line]
    place = [cell.strip('"') for cell in lines[0]].index(name)
    cells = [line[place].strip('"').replace(decimal, ".") for line in lines[1:]]
    return np.array([float(cell) if cell and cell[-1].isdigit() else np.nan for cell in cells])
