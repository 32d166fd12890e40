"""Which recordings are meant: files, globs, folders, standard input; what is a workbook becomes a CSV first."""

from __future__ import annotations

import csv
import datetime as dt
import glob
import importlib
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streamnorm.backfill.files.containers import plain_name
from streamnorm.backfill.findings.findings import FORMS
from streamnorm.backfill.unreadable import Unreadable

WORKBOOKS = (".xlsx", ".xlsm")
STDIN = "-"


def meant(given: Iterable[str]) -> list[Path]:
    """Return the files that are meant, those of a glob or a folder in the order of the numbers in their names.

    Raises:
        Unreadable: there is none.

    """
    found: list[Path] = []
    for each in given:
        path = Path(each)
        if each == STDIN or path.is_file():
            here = [path]
        elif path.is_dir():
            here = [inner for inner in path.rglob("*") if inner.is_file() and _is_recording(inner)]
        else:
            here = [Path(name) for name in glob.glob(each, recursive=True)]  # noqa: PTH207 - takes absolute ones too
            here = [inner for inner in here if inner.is_file()]
        if not here:
            message = f"there is no recording {each}"
            raise Unreadable(message)
        found += sorted(here, key=_natural)
    return list(dict.fromkeys(found))


def spooled(path: Path, folder: Path, sheet: str = "") -> Path:
    """Return the file to read for `path`: standard input, or a `sheet` of a workbook, is copied to a `folder` first."""
    if str(path) == STDIN:
        copy = folder / "stdin"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return copy
    if path.suffix.lower() in WORKBOOKS:
        return _sheet(path, folder, sheet)
    return path


def _is_recording(path: Path) -> bool:
    ending = plain_name(path).suffix.lower()
    return not path.name.startswith(".") and (ending in FORMS or ending in WORKBOOKS)


def _natural(path: Path) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", str(path)) if part]


def _sheet(path: Path, folder: Path, sheet: str) -> Path:
    """Copy a sheet, row by row: memory stays flat.

    Raises:
        Unreadable: there is no such sheet, or no workbook, or the library is missing.

    """
    try:
        openpyxl: Any = importlib.import_module("openpyxl")
    except ModuleNotFoundError:
        message = f"{path} is a workbook: pip install 'streamnorm[excel]', or save it as CSV"
        raise Unreadable(message) from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, each has an error of its own
        message = f"{path} is no workbook, or is damaged: {error}"
        raise Unreadable(message) from None
    try:
        if sheet and sheet not in book.sheetnames:
            message = f"--sheet: {path} has no sheet {sheet!r}; it has {', '.join(book.sheetnames)}"
            raise Unreadable(message)
        if not sheet and len(book.sheetnames) > 1:
            message = f"{path} has the sheets {', '.join(book.sheetnames)}: --sheet says which"
            raise Unreadable(message)
        copy = folder / f"{path.stem}.csv"
        with copy.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            for row in book[sheet or book.sheetnames[0]].iter_rows():
                rows.writerow([_text(cell) for cell in row])
    finally:
        book.close()
    return copy


def _text(cell: Any) -> Any:
    """Return what stands in a cell; a date that is shown without a time has none, which may stand beside it."""
    value = cell.value
    if isinstance(value, dt.datetime):
        shown = value if value.time() != dt.time() or "h" in cell.number_format.lower() else value.date()
        return str(shown)
    return "" if value is None else value
