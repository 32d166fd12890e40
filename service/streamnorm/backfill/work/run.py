"""The work itself: one recording through the streams, chunk after chunk, with a journal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from streamnorm.backfill.files.survey import Survey, hasher
from streamnorm.backfill.findings.findings import Findings
from streamnorm.backfill.reading import sources
from streamnorm.backfill.reading.arrow import pyarrow
from streamnorm.backfill.reading.readings import Bad, Part, Sorter
from streamnorm.backfill.reading.sources import Chunk, Place
from streamnorm.backfill.sinks.sink import Sink
from streamnorm.backfill.unreadable import BadCell, Unreadable
from streamnorm.backfill.work.journal import Journal, Mark, OtherBackfill
from streamnorm.backfill.writing.output import Writer
from streamnorm.engine.reading import Array

OnBad = Literal["null", "skip", "stop"]
Progress = Callable[[int, float], object]
Listener = Callable[[str, Part, Array], object]
#: so many bad cells are told one by one
SHOWN = 10


@dataclass(frozen=True)
class Work:
    """What is to be done with one recording; `part` is where rows are until all are there, `out` where they go then."""

    file: Path
    findings: Findings
    template: str
    survey: Survey
    writer: Writer | None = None
    out: Path | None = None
    on_bad: OnBad = "null"

    @property
    def part(self) -> Path | None:
        """Where the rows are until all are there."""
        return None if self.out is None else self.out.with_name(self.out.name + ".part")


@dataclass
class Done:
    """What came of one recording."""

    rows: int = 0
    resumed_at: int = 0
    streams: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    bad: int = 0
    shown: list[Bad] = field(default_factory=list)
    unordered: int = 0
    doubled: int = 0


def refuse_overwriting(file: Path, out: Path | None) -> None:
    """Refuse a result that is the recording itself, by whatever name: a link, another spelling of the path.

    Raises:
        Unreadable: it is.

    """
    if out is not None and out.exists() and out.samefile(file):
        message = f"--out {out} is the recording {file} itself, which would be lost"
        raise Unreadable(message)


def backfill(
    work: Work, sink: Sink, journal: Journal, progress: Progress | None = None, listener: Listener | None = None
) -> Done:
    """Put a recording through the streams of a `sink`, from where its `journal` is, as `work` says.

    `progress` is told the rows done in this run and the part (0 to 1) of the file; `listener` each stream's readings.

    Raises:
        Unreadable: the recording cannot be understood; what came before is done, and a later run goes on there.
        OtherBackfill: the streams have less or more than the journal says.
        BadCell: a cell is bad, and that is to end the work.

    """
    refuse_overwriting(work.file, work.out)
    _check(sink, journal)
    return _Task(work, sink, journal, progress, listener).run()


def _check(sink: Sink, journal: Journal) -> None:
    """Refuse to go on where the streams have less than the journal says, or rows that have changed since."""
    for stream, base in journal.bases.items():
        done, last = base + journal.counts.get(stream, 0), sink.last_seq(stream)
        if last < done:
            message = (
                f"the stream {stream!r} has lost {done - last} of the readings that were done; reset it, and --again"
            )
            raise OtherBackfill(message)
        if last > done and journal.begun is None:
            message = (
                f"{last - done} readings of the stream {stream!r} came from rows that have changed since, or from "
                "elsewhere; --again"
            )
            raise OtherBackfill(message)


class _Task:
    """One run."""

    def __init__(
        self, work: Work, sink: Sink, journal: Journal, progress: Progress | None, listener: Listener | None
    ) -> None:
        self._work = work
        self._sink = sink
        self._journal = journal
        self._progress = progress
        self._listener = listener
        self._sorter = Sorter(work.findings, work.template, work.on_bad == "skip", deepcopy(journal.memory))
        self._done = Done(resumed_at=journal.done.rows, bad=journal.bad)
        self._features: dict[str, None] = {}

    def run(self) -> Done:
        work, journal = self._work, self._journal
        self._begin_part()
        for chunk in self._chunks():
            self._take(chunk)
            if self._progress is not None:
                total = self._size()
                self._progress(journal.done.rows - self._done.resumed_at, min(1.0, journal.done.at / max(1, total)))
        self._finish()
        done, memory = self._done, self._sorter.memory
        done.rows, done.bad, done.streams = journal.done.rows, journal.bad, tuple(journal.bases)
        done.unordered, done.doubled = memory.unordered, memory.doubled
        done.features = tuple(self._features) or work.findings.roles.features
        if journal.bases and journal.done.rows:
            kinds = self._sink.kinds(next(iter(journal.bases)))
            done.kinds = {name: kinds[name] for name in done.features if name in kinds}
        return done

    def _size(self) -> int:
        if self._work.findings.form != "parquet":
            return self._work.survey.size
        return int(pyarrow(".parquet").ParquetFile(self._work.file).metadata.num_rows)

    def _chunks(self) -> Iterator[Chunk]:
        findings, journal = self._work.findings, self._journal
        start = sources.begin(findings)
        if journal.done.at > start.at or journal.done.rows:
            start = Place(*journal.done[:3])
        survey = self._work.survey
        self._hash = survey.at[start.at].copy() if start.at in survey.at else hasher()
        if start.at not in survey.at:
            self._hash.update(survey.head[: start.at])
        until = journal.begun.at if journal.begun is not None else 0
        return sources.chunks(self._work.file, findings, start, until=until, remote=self._sink.remote)

    def _begin_part(self) -> None:
        """Cut off what was written of a chunk that is not done."""
        part, out, journal = self._work.part, self._work.out, self._journal
        if part is None or out is None or self._work.writer is None:
            return
        have = part.stat().st_size if part.exists() else 0
        if have < journal.bytes:
            if out.exists() and journal.done.rows and journal.begun is None and out.stat().st_size == journal.bytes:
                out.replace(part)  # it was put in its place, and the journal does not know
            else:
                message = f"{part} has gone, which holds the rows that were done; --again learns all of it once more"
                raise OtherBackfill(message)
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            file.truncate(journal.bytes)
            if not journal.bytes:
                file.write(self._work.writer.head())

    def _take(self, chunk: Chunk) -> None:
        """Observe a chunk, write its rows, and note that it is done."""
        journal, sink, work = self._journal, self._sink, self._work
        self._hash.update(chunk.raw)
        taken = self._sorter.taken(chunk)
        if taken.bad and work.on_bad == "stop":
            bad = taken.bad[0]
            where = f"line {bad.line}" + (f", column {bad.column!r}" if bad.column else "")
            message = (
                f"{where}: {bad.text!r:.60} is no value; what came before is done, and the same command goes on there"
            )
            raise BadCell(message)
        digest = work.survey.digest if work.findings.form == "parquet" else self._hash.hexdigest()
        journal.begun = Mark(*chunk.end, digest)
        for part in taken.parts:
            if part.stream not in journal.bases:
                journal.bases[part.stream] = sink.last_seq(part.stream)
        journal.save()
        results = {name: np.full(len(chunk), np.nan) for name in work.findings.roles.numbered}
        for part in taken.parts:
            ys, _ = sink.observe(part, journal.next_seq(part.stream))
            self._sorter.put(part, ys, results)
            self._features.update(dict.fromkeys(part.names))
            if self._listener is not None:
                self._listener(part.stream, part, ys)
        sink.commit()
        self._write(chunk, results, taken.keep)
        for part in taken.parts:
            journal.counts[part.stream] = journal.counts.get(part.stream, 0) + len(part.values)
        journal.done, journal.begun = journal.begun, None
        journal.memory, journal.bad = deepcopy(self._sorter.memory), journal.bad + len(taken.bad)
        self._done.shown += taken.bad[: SHOWN - len(self._done.shown)]
        journal.save()

    def _write(self, chunk: Chunk, results: dict[str, Array], keep: list[bool] | None) -> None:
        part, writer = self._work.part, self._work.writer
        if part is None or writer is None:
            return
        data = writer.rows(chunk, results, keep)
        with part.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            self._journal.bytes = file.tell()

    def _finish(self) -> None:
        """Put the result in its place, and note that all is done."""
        work, journal = self._work, self._journal
        if work.out is not None and work.part is not None and work.writer is not None:
            work.writer.finish(work.part, work.out, work.file)
        journal.finished, journal.whole = True, work.survey.digest
        journal.save()
        if work.part is not None:
            work.part.unlink(missing_ok=True)
