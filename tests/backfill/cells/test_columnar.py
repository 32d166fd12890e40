"""Rows that are read and written by Arrow are those that are read and written cell by cell, to the byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamnorm.backfill.cells import columnar
from streamnorm.backfill.cells.rows import Dialect
from streamnorm.backfill.reading import sources
from tests.backfill.recorded import Ran, run

TIMES = [f"2026-03-01 {n // 60:02}:{n % 60:02}:00" for n in range(120)]
VALUES = np.random.default_rng(0).normal(20, 3, (120, 3)).round(3).tolist()
PLAIN = [[time, *map(str, row)] for time, row in zip(TIMES, VALUES, strict=True)]


def changed(place: int, column: int, cell: str) -> list[list[str]]:
    """Return the rows with another cell in one place."""
    rows = [list(row) for row in PLAIN]
    rows[place][column] = cell
    return rows


FILES = {
    "plain": (PLAIN, ","),
    "empty cells": ([*changed(3, 1, "")[:60], *changed(70, 3, "")[60:]], ","),
    "a word for no value": (changed(5, 2, "NA"), ","),
    "a bad cell": (changed(5, 2, "warm"), ","),
    "a bad time": (changed(60, 0, "2026-03-01 25:00:00"), ","),
    "a number too large": (changed(7, 1, "1e300"), ","),
    "infinity and nan": (changed(7, 1, "inf"), ","),
    "nan": (changed(7, 1, "nan"), ","),
    "numbers as Python has them": (changed(7, 1, "1_000"), ","),
    "blanks around a number": (changed(7, 1, " 21.5 "), ","),
    "an exponent and a sign": (changed(7, 1, "+2.15e1"), ","),
    "a row with a cell too many": (changed(7, 3, "20,1"), ","),
    "a blank line": (changed(7, 3, "20\n"), ","),
    "a quoted cell": (changed(7, 0, f'"{TIMES[7]}"'), ","),
    "text in the middle": ([[row[0], row[1], "hall", *row[2:]] for row in PLAIN], ","),
    "decimal commas": ([[row[0], *(cell.replace(".", ",") for cell in row[1:])] for row in PLAIN], ";"),
    "a zone": ([[row[0] + "Z", *row[1:]] for row in PLAIN], "\t"),
    "epoch times": ([[str(1_700_000_000 + n), *row[1:]] for n, row in enumerate(PLAIN)], ","),
    "days first": ([["13.02.2026 " + row[0][11:], *row[1:]] for row in PLAIN], ","),
    "letters of two bytes": ([[*row, "Küche"] for row in PLAIN], ","),
}


def both(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[Ran, Ran]:
    """Run the command on a recording by Arrow, and cell by cell."""
    ran = []
    for name, least in (("arrow", 0), ("cells", 2**40)):
        monkeypatch.setattr(sources, "COLUMNAR", least)
        monkeypatch.setattr(sources, "CHUNK", 2**11)
        place = folder / name
        place.mkdir()
        (place / "in.csv").write_bytes(content)
        found = run(place, "in.csv", *options)
        ran.append(found._replace(told=found.told.replace(str(place), "")))
    return ran[0], ran[1]


def written(rows: list[list[str]], delimiter: str, end: str = "\n") -> bytes:
    names = ["time", *(f"x{place}" for place in range(1, len(rows[0])))]
    return "".join(delimiter.join(row) + end for row in [names, *rows]).encode()


@pytest.mark.parametrize("name", FILES)
def test_by_arrow_and_cell_by_cell_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    arrow, cells = both(tmp_path, written(*FILES[name]), monkeypatch)
    assert (arrow.status, arrow.out) == (cells.status, cells.out)
    assert arrow.out


@pytest.mark.parametrize(
    "options",
    [
        ["--suffix", "_n"],
        ["--precision", "2"],
        ["--on-bad-row", "skip"],
        ["--missing", "x1=20"],
        ["--format", "ndjson"],
    ],
    ids=" ".join,
)
def test_so_are_they_with_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    rows = changed(60, 0, "when") if "skip" in options else changed(60, 1, "20")
    arrow, cells = both(tmp_path, written(rows, ",", "\r\n"), monkeypatch, *options)
    assert (arrow.status, arrow.out) == (cells.status, cells.out)
    assert arrow.out


def test_what_is_no_regular_table_is_left_to_the_other_reader() -> None:
    dialect = Dialect(",", '"', "#")
    assert columnar.cut(b"1,2\n3,4\n", dialect, 2, 1) is not None
    for raw in (b"1,2\n3,4", b"1,2\r\n3,4\n", b'1,"2"\n', b"1,2\n#\n", b"1,2\n,\n", b"1,2\n\n3,4\n", b"1,2,3\n"):
        assert columnar.cut(raw, dialect, 2, 1) is None
    assert columnar.cut(b"1\n2\n", dialect, 1, 1) is None
