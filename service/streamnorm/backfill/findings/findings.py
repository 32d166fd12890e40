"""What a recording is: its form, how it is written, what its columns are. It is told before the work begins."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from streamnorm.backfill.cells import decimals
from streamnorm.backfill.cells.numbers import MISSING, Numerals
from streamnorm.backfill.cells.rows import Cells, Dialect, cut, lines_of, row_cells, unquoted
from streamnorm.backfill.files.containers import plain_name
from streamnorm.backfill.files.encodings import Encoding, encoding_of
from streamnorm.backfill.files.survey import Survey
from streamnorm.backfill.findings import columns as column_roles
from streamnorm.backfill.findings import dialects, presets
from streamnorm.backfill.findings.dialects import Lines, Wanted
from streamnorm.backfill.findings.presets import Preset
from streamnorm.backfill.findings.roles import Asked, Roles
from streamnorm.backfill.findings.units import unit_of
from streamnorm.backfill.unreadable import Unreadable

Form = Literal["csv", "ndjson", "parquet"]
FORMS: dict[str, Form] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".dat": "csv",
    ".lvm": "csv",
    ".rdb": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
PARQUET = b"PAR1"
#: first bytes of what is often taken for a recording -> what it is, and the way out
FOREIGN = {
    b"ARROW1": "an Arrow file: pyarrow.parquet.write_table makes Parquet of it",
    b"\xff\xff\xff\xff": "an Arrow stream: pyarrow.parquet.write_table makes Parquet of it",
    b"\x93NUMPY": "an array of NumPy: numpy.savetxt(…, delimiter=',') makes a CSV of it",
    b"\xd0\xcf\x11\xe0": "an old workbook: save it as .xlsx or CSV",
    b"PK\x03\x04": "an archive: unpack it, or name a workbook .xlsx",
    b"\x89HDF": "an HDF5 file: pandas.read_hdf(…).to_parquet makes Parquet of it",
    b"SQLite format 3": "a database: sqlite3 -csv -header FILE 'select * from TABLE' makes a CSV of it",
    b"%PDF": "a PDF",
}
_JSON_ARRAY = re.compile(rb"\[\s*\{")


@dataclass(frozen=True)
class Reading:
    """What the options say of how a file is read; None and empty where they say nothing."""

    form: str = ""
    preset: str = ""
    encoding: str = ""
    wanted: Wanted = field(default_factory=Wanted)
    names: tuple[str, ...] = ()
    decimal: str = ""
    thousands: str | None = None
    missing: tuple[str, ...] = ()
    codes: Mapping[str, frozenset[float]] = field(default_factory=dict)
    states: Mapping[str, float] = field(default_factory=dict)
    asked: Asked = field(default_factory=Asked)


@dataclass(frozen=True)
class Findings:
    """What a file is. Of a CSV, `head` is the text before its first row, as it is carried."""

    form: Form
    names: tuple[str, ...]
    roles: Roles
    numerals: Numerals
    encoding: Encoding = field(default_factory=Encoding)
    table: Lines = field(default_factory=lambda: Lines(Dialect(), 0, None, 0))
    head: str = ""
    preset: Preset | None = None
    notes: tuple[str, ...] = ()
    #: the sample's columns, for what is shown before the work
    sample: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def header(self) -> str:
        """The line of the names, as it is carried; empty where there is none."""
        if self.table.header is None:
            return ""
        return lines_of(self.head)[self.table.header] if self.head else ""

    def described(self) -> list[str]:
        """Say in words how the file is written."""
        if self.form != "csv":
            return [self.form.upper() if self.form == "ndjson" else "Parquet"]
        dialect, numerals = self.table.dialect, self.numerals
        told = [self.preset.title if self.preset else "CSV"]
        if self.table.width > 1:
            told.append(f"{dialects.SPOKEN.get(dialect.delimiter, repr(dialect.delimiter))} between cells")
        told.append("decimal comma" if numerals.decimal == "," else "decimal point")
        if numerals.thousands:
            told.append(f"{numerals.thousands!r} between thousands")
        told.append(str(self.encoding))
        header = self.table.header
        told.append("no names" if header is None else f"names in line {header + 1}")
        told.append(f"rows from line {self.table.data + 1}")
        if dialect.comment:
            told.append(f"comments with {dialect.comment}")
        return told


def form_of(path: Path, form: str, head: bytes) -> Form:
    """Tell the form of the file at `path` by its `head`, its first bytes, and by its ending, unless `form` says it.

    Raises:
        Unreadable: what was said is no form, or the file is of another kind.

    """
    if form:
        if form not in FORMS.values():
            message = f"{form!r} is none of the forms csv, ndjson, parquet"
            raise Unreadable(message)
        return cast("Form", form)
    if head.startswith(PARQUET):
        return "parquet"
    kind = next((each for first, each in FOREIGN.items() if head.startswith(first)), "")
    if _JSON_ARRAY.match(head):
        kind = "one JSON array: jq -c '.[]' makes a line of each reading, for --input-format ndjson"
    if kind:
        message = f"it is {kind}"
        raise Unreadable(message)
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    found = FORMS.get(plain_name(path).suffix.lower())
    return "ndjson" if found == "ndjson" or (begin == b"{" and found is None) else "csv"


def numerals_of(reading: Reading, preset: Preset | None, quote: str = '"') -> Numerals:
    """Build how numbers are written, but for the decimal sign: as `reading` asks, else as `preset` or `quote` say."""
    known = preset or Preset("")
    return Numerals(
        missing=MISSING | {text.lower() for text in (*reading.missing, *known.missing)},
        codes=reading.codes.get("", frozenset()) | frozenset(known.codes),
        states={**known.states, **reading.states},
        quote=quote,
        own={name: codes for name, codes in reading.codes.items() if name},
    )


def of_columns(form: Form, columns: Mapping[str, Sequence[Any]], reading: Reading) -> Findings:
    """Find what the `columns` of a `form`, NDJSON or Parquet, are; `reading` is what was asked for."""
    preset = presets.recognized([",".join(columns)]) if form == "ndjson" and reading.preset != "none" else None
    numerals = numerals_of(reading, preset)
    roles = column_roles.settled(columns, reading.asked, preset, numerals)
    return Findings(form, tuple(columns), roles, numerals, preset=preset, sample=columns)


def of_csv(survey: Survey, reading: Reading) -> Findings:
    """Find what a CSV is.

    Raises:
        Unreadable: it is no table, or something about it must be said; the message names the option.

    """
    encoding = encoding_of(survey.head, reading.encoding)
    raw = survey.head if survey.whole else survey.head[: len(survey.head) - len(survey.head) % encoding.unit]
    text = raw[len(encoding.mark) :].decode(encoding.carrier, "ignore")
    if not survey.whole:
        text = text[: text.rfind("\n") + 1] or text
    preset = _preset(text, reading.preset)
    table = dialects.found(text, _wanted(reading.wanted, preset))
    head, body = _split(text, table)
    names, notes = _names(head, body, table, encoding, reading)
    findings = Findings("csv", names, Roles((), ""), Numerals(), encoding, table, head, preset, tuple(notes))
    cells, steps = _sampled(findings, body, survey)
    numerals = numerals_of(reading, preset, table.dialect.quote)
    found = [unit_of(column, numerals) for column in cells]
    decimal, thousands = decimals.found(
        [
            [_bare(cell, unit, numerals.quote) for cell in column if cell]
            for column, unit in zip(cells, found, strict=True)
        ],
        reading.decimal or (preset.decimal if preset else ""),
        reading.thousands,
    )
    units = {name: unit for name, unit in zip(names, found, strict=True) if unit}
    numerals = replace(numerals, decimal=decimal, thousands=thousands, units=units)
    if encoding.carrier == "latin-1" and encoding.name != "latin-1":
        carried = {encoding.carried(each): value for each, value in numerals.states.items()}
        numerals = replace(
            numerals, states=carried, missing=numerals.missing | {encoding.carried(m).lower() for m in numerals.missing}
        )
    sample = dict(zip(names, cells, strict=True))
    roles = column_roles.settled(sample, reading.asked, preset, numerals, steps)
    told = [f"{name}: numbers in {encoding.decoded(unit)}" for name, unit in units.items() if name in roles.features]
    return replace(findings, roles=roles, numerals=numerals, sample=sample, notes=(*notes, *told))


def _bare(cell: str, unit: str, quote: str) -> str:
    """Return a cell without its unit."""
    return unquoted(cell, quote).removesuffix(unit).rstrip() if unit else cell


def _preset(text: str, name: str) -> Preset | None:
    lines = lines_of(text[: 2**16])[:200]
    if name == "none":
        return None
    if not name:
        return presets.recognized(lines)
    if name not in presets.PRESETS:
        message = f"--preset: {name!r} is none of {', '.join(presets.PRESETS)}, none"
        raise Unreadable(message)
    found = presets.PRESETS[name](lines)
    if found is None:
        message = f"--preset {name}: the file does not begin as such a file does"
        raise Unreadable(message)
    return found


def _wanted(wanted: Wanted, preset: Preset | None) -> Wanted:
    if preset is None or wanted.skip or wanted.no_header:
        return wanted
    return wanted._replace(
        delimiter=wanted.delimiter or preset.delimiter,
        comment=wanted.comment if wanted.comment is not None else preset.comment,
        header=preset.header,
        data=preset.data,
    )


def _split(text: str, table: Lines) -> tuple[str, str]:
    place = 0
    for _ in range(table.data):
        ends = [end for end in (text.find("\n", place), text.find("\r", place)) if end >= 0]
        if not ends:
            return text, ""
        place = min(ends) + 1
        if text[place - 1 : place + 1] == "\r\n":
            place += 1
    return text[:place], text[place:]


def _names(  # noqa: C901 - each case of names that do not fit
    head: str, body: str, table: Lines, encoding: Encoding, reading: Reading
) -> tuple[tuple[str, ...], list[str]]:
    """Name the columns, each by a name of its own."""
    width, notes = table.width, list[str]()
    if reading.names:
        if len(reading.names) != width:
            message = f"--names: {len(reading.names)} names for {width} columns"
            raise Unreadable(message)
        return reading.names, notes
    if table.header is None:
        return tuple(map(str, range(width))), notes
    line = lines_of(head)[table.header]
    if table.dialect.comment and line.startswith(table.dialect.comment):
        line = line[len(table.dialect.comment) :]
    given = [unquoted(encoding.decoded(cell), table.dialect.quote) for cell in row_cells(line, table.dialect)]
    if len(given) == width - 1:
        first, last = _edges(body, table)
        if last:
            given.append("")
        elif first:
            given.insert(0, "")
            notes.append("the first column has no name")
        else:
            message = f"{len(given)} names for {width} columns: --names says all of them"
            raise Unreadable(message)
    while len(given) > width and (
        not given[-1] or table.dialect.ragged or given[-1] == "Comment" or len(given) == width + 1
    ):
        given.pop()
    if len(given) != width:
        message = (
            f"{len(given)} names for {width} columns: --names says all of them, --skip-rows where the table begins"
        )
        raise Unreadable(message)
    names: list[str] = []
    for place, name in enumerate(given, 1):
        own = name or f"column {place}"
        count = sum(re.fullmatch(re.escape(own) + r"(_\d+)?", other) is not None for other in names)
        if count:
            notes.append(f"the name {own!r} comes again; that column is {own}_{count + 1}")
        names.append(f"{own}_{count + 1}" if count else own)
    return tuple(names), notes


def _edges(body: str, table: Lines) -> tuple[bool, bool]:
    """Tell whether the first column names rows, and whether the last one is empty throughout."""
    cells = cut("\n".join(lines_of(body)[:200]), table.dialect, table.width, 1)
    first = [unquoted(cell) for cell in cells.columns[0]]
    names_rows = len(set(first)) == len(first) and not any("." in cell for cell in first)
    return names_rows, not any(unquoted(cell) for cell in cells.columns[-1])


def _sampled(findings: Findings, body: str, survey: Survey) -> tuple[list[list[str]], list[int]]:
    """Cut the sample into cells; gives the columns, and the rows that do not follow the one before."""
    encoding, table = findings.encoding, findings.table
    parts = [body]
    for _, block in survey.blocks:
        lines = block.decode(encoding.carrier, "ignore").split("\n")[1:-1]
        parts.append("\n".join(lines) + "\n" if lines else "")
    found: list[Cells] = [cut(part, table.dialect, table.width, 1, findings.header) for part in parts if part]
    columns = [[cell for cells in found for cell in cells.columns[place]] for place in range(table.width)]
    steps = np.cumsum([len(cells) for cells in found])[:-1].tolist()
    return columns, steps
