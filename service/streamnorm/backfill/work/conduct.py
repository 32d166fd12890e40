"""Recordings one after the other: each is looked at, told, and put through the streams unless that was done before."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

from streamnorm.backfill.cells.rows import lines_of
from streamnorm.backfill.files.survey import Survey, surveyed
from streamnorm.backfill.findings import findings as look
from streamnorm.backfill.findings.findings import Findings, Form, Reading
from streamnorm.backfill.reading.arrow import arrow_column, pyarrow
from streamnorm.backfill.reading.readings import stream_template
from streamnorm.backfill.reading.recordings import spooled
from streamnorm.backfill.reading.sources import begin, parsed_lines
from streamnorm.backfill.sinks.sink import Sink
from streamnorm.backfill.unreadable import Unreadable
from streamnorm.backfill.work import journal as journals
from streamnorm.backfill.work.journal import Journal, Mark
from streamnorm.backfill.work.run import Done, Listener, OnBad, Work, backfill, refuse_overwriting
from streamnorm.backfill.writing.output import Shape, Writer
from streamnorm.backfill.writing.results import output_form

#: rows of Parquet that are looked at
PARQUET_SAMPLE = 20_000


@dataclass(frozen=True)
class Order:
    """What is asked for, of all recordings alike."""

    reading: Reading = field(default_factory=Reading)
    out: Path | None = None
    suffix: str = ""
    precision: int | None = None
    format: str = ""
    on_bad: OnBad = "null"
    again: bool = False
    sheet: str = ""
    #: where the streams are: the folder of the data, or a service's address
    folder: Path = Path("streamnorm-data")
    url: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Looked:
    """A recording that was looked at: `path` is what is read, a copy where `file` is standard input or a workbook."""

    file: Path
    path: Path
    survey: Survey
    findings: Findings
    template: str


class Told(Protocol):
    """Hears what is found and done."""

    def found(self, looked: Looked) -> None: ...  # noqa: D102
    def note(self, text: str) -> None: ...  # noqa: D102
    def progress(self, rows: int, part: float) -> None: ...  # noqa: D102


class Conductor:
    """Works through recordings; the streams are opened when the first rows go to them."""

    def __init__(self, order: Order, sink: Callable[[], AbstractContextManager[Sink]], told: Told) -> None:
        self._order = order
        self._open = sink
        self._told = told
        self._stack = ExitStack()
        self._sink: Sink | None = None
        self._fed: dict[str, Path] = {}

    def __enter__(self) -> Self:
        self._spool = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="streamnorm-")))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def looked(self, file: Path, places: Sequence[int] = ()) -> Looked:
        """Look at a recording.

        Raises:
            Unreadable: something must be said before it can be read; the message names the option.

        """
        path = spooled(file, self._spool, self._order.sheet)
        survey = surveyed(path, places)
        reading = self._order.reading
        form = look.form_of(path, reading.form, survey.head)
        if not survey.size:
            message = "the file is empty"
            raise Unreadable(message)
        found = (
            look.of_csv(survey, reading)
            if form == "csv"
            else look.of_columns(form, columns_of(path, form, survey), reading)
        )
        if not found.roles.time and "time_constant" in self._order.config:
            message = "a time_constant needs times, and no column holds any: --time-column says which"
            raise Unreadable(message)
        return Looked(
            file, path, survey, found, stream_template(found.roles.stream, file if file.name != "-" else Path("stdin"))
        )

    def done(self, file: Path, out: Path | None, listener: Listener | None = None) -> Done | None:
        """Put the recording `file` through the streams, its result to `out`; None where that was done before.

        `listener` is told each stream's readings.

        Raises:
            Unreadable: it cannot be; the message says what can be done.

        """
        order = self._order
        if file.name != "-":
            refuse_overwriting(file, out)
        folder = order.folder / journals.FOLDER
        every = [] if order.again else journals.opened(folder)
        looked = self.looked(file, sorted(journals.places(every)))
        self._refuse_mixing(looked)
        self._told.found(looked)
        target = f"{order.url or 'local'} {looked.template}"
        sketch = _sketch(looked)
        known = journals.known(every, target, looked.survey, sketch)
        if known.same is not None:
            result = f", its result is {known.same.out}" if known.same.out else ""
            self._told.note(f"was learned before: nothing to do{result}; --again learns it once more")
            return None
        journal = known.resume or self._grown(known.grew, looked, out) or self._new(looked, target, folder, sketch)
        self._check_options(journal, looked, out)
        form = output_form(order.format, out, looked.findings.form)
        writer = None if out is None else Writer(looked.findings, Shape(form, order.suffix, order.precision))
        work = Work(looked.path, looked.findings, looked.template, looked.survey, writer, out, order.on_bad)
        return backfill(work, self._streams(), journal, self._told.progress, listener)

    def _streams(self) -> Sink:
        if self._sink is None:
            self._sink = self._stack.enter_context(self._open())
        return self._sink

    def _refuse_mixing(self, looked: Looked) -> None:
        """Refuse two recordings that would be one stream only because their names are alike."""
        before = self._fed.setdefault(looked.template, looked.file)
        if before != looked.file and not self._order.reading.asked.stream and "{" not in looked.template:
            message = (
                f"{before} and {looked.file} would both be the stream {looked.template!r}: "
                "--stream '{folder}-{file}', or --stream ID for all"
            )
            raise Unreadable(message)

    def _new(self, looked: Looked, target: str, folder: Path, sketch: list[str]) -> Journal:
        name = hashlib.blake2b(f"{target}\n{looked.survey.digest}".encode(), digest_size=12).hexdigest()
        return Journal(target, str(looked.file), {}, looked.survey.digest, sketch, path=folder / f"{name}.json")

    def _grown(self, before: Journal | None, looked: Looked, out: Path | None) -> Journal | None:
        """Go on behind what was learned; the result before is gone on with where it is as it was left."""
        if before is None:
            return None
        kept = (
            out is not None and before.out == str(out.resolve()) and out.exists() and out.stat().st_size == before.bytes
        )
        self._told.note(f"has grown: the {before.done.rows:,} rows that were learned before are left out")
        if out is not None and kept and before.bytes:
            part = out.with_name(out.name + ".part")
            part.write_bytes(out.read_bytes())
        length = before.bytes if kept else 0
        return replace(
            before,
            finished=False,
            whole=looked.survey.digest,
            bases={},
            counts={},
            bytes=length,
            begun=None,
            options={},
        )

    def _check_options(self, journal: Journal, looked: Looked, out: Path | None) -> None:
        """Refuse to go on in another way than the work was begun in."""
        roles = looked.findings.roles
        order = self._order
        options = {
            "columns": list(roles.numbered), "time": list(roles.time), "time form": str(roles.time_form),
            "--out": str(out.resolve()) if out else "", "--suffix": order.suffix, "--precision": order.precision,
            "--on-bad-row": order.on_bad if order.on_bad == "skip" else "", "--format": order.format,
            "missing": sorted(map(str, looked.findings.numerals.codes)),
            "states": dict(looked.findings.numerals.states),
        }  # fmt: skip
        if journal.options and journal.done.rows and journal.options != options:
            changed = ", ".join(sorted(name for name in options if journal.options.get(name) != options[name]))
            message = f"it was begun with another {changed}; the same options go on, --again begins anew"
            raise journals.OtherBackfill(message)
        journal.options, journal.out = options, str(out.resolve()) if out else ""
        if not journal.done.rows:
            journal.done = Mark(0, 0, 1, "")


def columns_of(path: Path, form: Form, survey: Survey) -> dict[str, Sequence[Any]]:
    """Return the columns of a sample of the file at `path`, of the `form` NDJSON or Parquet; `survey` has its head."""
    if form == "parquet":
        file = pyarrow(".parquet").ParquetFile(path)
        batch = next(file.iter_batches(PARQUET_SAMPLE), None)
        if batch is None or not len(batch):
            message = "the file has no rows"
            raise Unreadable(message)
        return {name: arrow_column(batch.column(n)) for n, name in enumerate(batch.schema.names)}
    head = survey.head if survey.whole else survey.head[: survey.head.rfind(b"\n") + 1]
    rows, _ = parsed_lines(head, 1)
    for _, block in survey.blocks:
        rows += parsed_lines(block[block.find(b"\n") + 1 : block.rfind(b"\n") + 1], 1)[0]
    if not rows:
        message = "the file has no rows"
        raise Unreadable(message)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [repr(v) if isinstance(v := row.get(name), (dict, list)) else v for row in rows] for name in names}


def _sketch(looked: Looked) -> list[str]:
    """Return hashes of the first rows, if they have times: others may well come again."""
    findings, head = looked.findings, looked.survey.head
    if not findings.roles.time or findings.form == "parquet":
        return []
    text = head[begin(findings).at :].decode(findings.encoding.carrier, "ignore")
    return journals.sketched(lines_of(text[: 2**18])[: journals.SKETCH])
