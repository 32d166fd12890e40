"""How a table's lines are cut, and where its names and its rows are: found in a sample; each may be overridden."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from streamnorm.backfill.cells.numbers import MISSING
from streamnorm.backfill.cells.rows import BLANKS, Dialect, records, row_cells, unquoted
from streamnorm.backfill.times.dates import is_clock, is_date
from streamnorm.backfill.unreadable import Unreadable

#: so many lines are looked at to find where rows begin
LINES = 1_000
#: of the lines from the first row on, so many have the same number of cells
ALIKE = 0.9
#: A table that often leaves out its last cells does so on purpose.
RAGGED = 0.05
MOST_UNIT_ROWS = 3
#: in this order: a comma may be a decimal one, and blanks stand within times
DELIMITERS = ("\t", ";", "|", ",", BLANKS)
SPOKEN = {"\t": "tab", BLANKS: "blanks", " ": "blank"}

_NUMBER = re.compile(r"[+\-\u2212]?(?:\d[\d.,' \u00a0]*|[.,]\d+)(?:[eE][+-]?\d+)?", re.ASCII)

#: the delimiter, in a line of its own in front of all others, as Excel reads it
_HINT = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


class Lines(NamedTuple):
    """Where what is in a table: numbers of lines from 0; `header` is None where no line has names."""

    dialect: Dialect
    width: int
    header: int | None
    data: int


class Wanted(NamedTuple):
    """What is said of a table, by options or by a preset."""

    delimiter: str = ""
    quote: str | None = None
    comment: str | None = None
    skip: int = 0
    header: int | None = None
    data: int | None = None
    no_header: bool = False


def looks_like_value(cell: str) -> bool:
    """Tell whether a cell may be a number or a time.

    >>> [looks_like_value(cell) for cell in ("-1.234,5", "1e1", "2026-01-01", "12:30", "m/s", "NA")]
    [True, True, True, True, False, False]
    """
    text = unquoted(cell)
    return _NUMBER.fullmatch(text) is not None or is_date(text) or is_clock(text)


def found(text: str, wanted: Wanted) -> Lines:
    """Find how the lines of a table are cut; `text` is the beginning of the file.

    Raises:
        Unreadable: no way to cut them gives a table; the message names the option that says how.

    """
    quote = wanted.quote if wanted.quote is not None else _quote(text)
    lines = [line.rstrip("\r\n") for line in records(text, Dialect(quote=quote))[:LINES]]
    hint = _HINT.fullmatch(lines[0]) if lines and not wanted.skip and wanted.data is None else None
    if hint:
        wanted = wanted._replace(delimiter=wanted.delimiter or hint[1], skip=1)
    first = wanted.data if wanted.data is not None else wanted.skip
    comment = wanted.comment if wanted.comment is not None else _comment(lines[first:])
    rows = [n for n in range(first, len(lines)) if _is_row(lines[n], comment)]
    if not rows:
        message = "the file has no rows"
        raise Unreadable(message)
    dialect, start, width = _cut(lines, rows, wanted.delimiter, quote, comment)
    cells = {n: row_cells(lines[n], dialect) for n in rows if n >= start}
    short = sum(len(row) < width for row in cells.values())
    dialect = replace(dialect, ragged=short > RAGGED * len(cells))
    if wanted.no_header:
        return Lines(dialect, width, None, start)
    if wanted.data is not None:
        return Lines(dialect, width, wanted.header, wanted.data)
    return _headed(lines, cells, start, Lines(dialect, width, None, start), wanted.skip)


def _headed(lines: Sequence[str], cells: dict[int, list[str]], start: int, table: Lines, skip: int) -> Lines:
    """Find the line of the names, and the lines of units below it."""
    numbered = sorted(cells)
    below = [cells[n] for n in numbered[1:]] or [cells[start]]
    valued = _valued(below, table.width)
    first = cells[start]
    if not any(looks_like_value(cell) for cell, holds in zip(first, valued, strict=False) if holds or not any(valued)):
        data = start + 1
        for n in numbered[1 : 1 + MOST_UNIT_ROWS] if table.width > 1 else ():
            row = cells[n]
            rest = _valued([cells[later] for later in numbered if later > n], table.width)
            texts = [cell for cell, holds in zip(row, rest, strict=False) if holds]
            named = any(unquoted(cell).lower() not in MISSING for cell in row)
            if not any(rest) or any(map(looks_like_value, texts)) or not named or _are_missing(texts, row):
                break
            data = n + 1
        return table._replace(header=start, data=data)
    for n in range(start - 1, skip - 1, -1):
        if not lines[n].strip():
            continue
        names = row_cells(lines[n], table.dialect)
        near = len(names) in {table.width, table.width - 1, table.width + 1} and len(names) > 1
        one = table.width == len(names) == 1 and table.dialect.comment and lines[n].startswith(table.dialect.comment)
        if (near or one) and not any(map(looks_like_value, names)):
            return table._replace(header=n)
        break
    return table


def _are_missing(texts: Sequence[str], row: Sequence[str]) -> bool:
    """Tell a row without any value, whose other cells are names or notes, from units."""
    return (
        all(unquoted(cell).lower() in MISSING for cell in texts)
        and len(texts) < len(row)
        and bool(texts)
        and bool(unquoted(texts[0]))
    )


def _valued(rows: Sequence[Sequence[str]], width: int) -> list[bool]:
    """Tell of each column whether most of its cells are numbers or times."""
    told = []
    for place in range(width):
        column = [row[place] for row in rows[:200] if place < len(row) and unquoted(row[place]).lower() not in MISSING]
        told.append(bool(column) and 2 * sum(map(looks_like_value, column)) >= len(column))
    return told


def _is_row(line: str, comment: str) -> bool:
    return bool(line.strip()) and not (comment and line.startswith(comment))


def _quote(text: str) -> str:
    """Tell whether cells are quoted; a sign of inches in a cell is no quote."""
    return '"' if re.search(r'(?:^|[,;\t|\r\n])[ ]*"', text) else ""


def _comment(lines: Sequence[str]) -> str:
    """Find what comments begin with: lines of it come, and most lines have none."""
    for sign in ("#", "%", "//"):
        count = sum(line.startswith(sign) for line in lines)
        if 0 < count < 0.5 * len(lines) or (count and not lines[-1].startswith(sign)) or 0 < count == len(lines):
            return sign
    return ""


def _cut(
    lines: Sequence[str], rows: Sequence[int], delimiter: str, quote: str, comment: str
) -> tuple[Dialect, int, int]:
    """Find the delimiter, the first row and its width: the longest run of lines with as many cells."""
    for sign in (delimiter,) if delimiter else DELIMITERS:
        dialect = Dialect(sign, quote, comment)
        start, width, share = _run(lines, rows, dialect)
        if delimiter or (
            width > 1 and share >= ALIKE and (sign != BLANKS or _is_of_blanks(lines, rows, start, dialect))
        ):
            return dialect, start, width
    dialect = Dialect(",", quote, comment)
    single = [n for n in rows if looks_like_value(lines[n])]
    if len(single) >= ALIKE * (len(rows) - 1) and single:
        return dialect, rows[0], 1
    known = _sniffed("\n".join(lines[n] for n in rows))
    if known is not None:
        start, width, share = _run(lines, rows, known)
        if width > 1 and share >= ALIKE:
            return known, start, width
    start, width, share = max(
        (_run(lines, rows, Dialect(sign, quote, comment)) for sign in DELIMITERS[:-1]), key=lambda r: r[2]
    )
    cells = "no delimiter stands in them" if width == 1 else f"{share:.0%} of them have {width} cells, the others not"
    message = (
        f"the lines are no table that is known ({cells}): --delimiter says what is between cells, --quote what is "
        f"around them, --skip-rows how many lines come before the table; {EXTRA}"
    )
    raise Unreadable(message)


EXTRA = "the extra 'files' knows more ways to write a table: pip install 'streamnorm[files]'"


def _run(lines: Sequence[str], rows: Sequence[int], dialect: Dialect) -> tuple[int, int, float]:
    """Find the first line and the width of the table, and how many of the lines from there on are as wide."""
    counts = [len(row_cells(lines[n], dialect)) for n in rows]
    tail = counts[len(counts) // 3 :] if len(counts) > 20 else counts  # noqa: PLR2004 - titles are few
    width = Counter(tail).most_common(1)[0][0]
    if len(counts) <= 20:  # noqa: PLR2004
        width = max(Counter(counts).items(), key=lambda item: (item[1], item[0]))[0]
    first = counts.index(width)
    same = sum(count == width for count in counts[first:])
    shorter = sum(count < width for count in counts[first:])
    whole = len(counts) - first
    # a title that happens to be as wide as the table is followed by lines that are not
    return rows[first], width, (same if width == 1 or shorter > whole / 3 else same + shorter) / whole


def _is_of_blanks(lines: Sequence[str], rows: Sequence[int], start: int, dialect: Dialect) -> bool:
    """Tell whether blanks cut lines into numbers, and not a time into its parts."""
    cells = [row_cells(lines[n], dialect) for n in rows if n > start] or [row_cells(lines[start], dialect)]
    return sum(any(_NUMBER.fullmatch(cell.strip()) for cell in row[1:]) for row in cells) >= ALIKE * len(cells)


def _sniffed(text: str) -> Dialect | None:
    """Ask DuckDB, where it is installed, for a dialect that is none of the usual ones, such as one of other quotes."""
    try:
        import duckdb  # noqa: PLC0415 - an extra, and needed for few files
    except ModuleNotFoundError:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.csv"
        path.write_text(text)
        try:
            row = duckdb.execute("SELECT Delimiter, Quote, Comment FROM sniff_csv(?)", [str(path)]).fetchone()
        except duckdb.Error:
            return None
    if row is None or not row[0]:
        return None
    quote, comment = ("" if sign in {None, "(empty)"} else str(sign) for sign in row[1:])
    return Dialect(str(row[0]), quote, comment)
