"""The work itself: chunk after chunk, with a journal."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamnorm.backfill import files, shapes
from streamnorm.backfill.files import Chunk, Form, Unreadable
from streamnorm.backfill.journal import Journal
from streamnorm.backfill.shapes import Columns

if TYPE_CHECKING:
    from streamnorm.backfill.sinks import Sink  # needs the SDK, an extra

#: Few enough for a progress bar that moves, and for a block of 32 columns to be one request.
CHUNK_ROWS = 5_000
#: A chunk of a stream must be one request, which the SDK keeps below 8 MiB of JSON: some 25 bytes a value.
CHUNK_CELLS = 300_000


@dataclass(frozen=True)
class Work:
    """What is to be done: a file, what its columns are, and where the normalized rows go, if anywhere."""

    file: Path
    form: Form
    columns: Columns
    out: Path | None = None
    out_form: Form = "csv"
    chunk_rows: int = CHUNK_ROWS

    @property
    def journal(self) -> Path:
        """Where its journal is."""
        beside = self.file if self.out is None else self.out
        return beside.with_name(beside.name + ".backfill")

    @property
    def part(self) -> Path | None:
        """Where the rows are until all are there."""
        return None if self.out is None else self.out.with_name(self.out.name + ".part")

    def described(self) -> dict[str, Any]:
        """Describe it, so that a journal serves no other."""
        size = self.file.stat().st_size
        return {
            "file": str(self.file.resolve()),
            "size": size,
            "columns": [list(each) if isinstance(each, tuple) else each for each in self.columns],
            "out": None if self.out is None else str(self.out.resolve()),
            "rows a chunk": self.chunk_rows,
        }


@dataclass
class Done:
    """What came of it."""

    rows: int
    resumed_at: int
    streams: int
    #: columns that were normalized
    touched: list[str]
    #: columns that were left as they are
    untouched: list[str]


def backfill(work: Work, sink: Sink, progress: Callable[[int, float], object] | None = None) -> Done:
    """Put a file through the streams; `progress` is told the rows done in this run and the part (0 to 1) of the file.

    Raises:
        Unreadable: the file cannot be understood; what came before is done, and a later run goes on there.
        OtherBackfill: one was begun with other options.

    """
    _refuse_overwriting(work)
    work = _cut_small(work)
    with contextlib.closing(files.chunks(work.file, work.form, work.chunk_rows)) as chunks:
        opening = next(chunks)
        columns = shapes.settled(work.columns, opening.rows)
        names = list(dict.fromkeys(name for row in opening.rows for name in row))
        journal = Journal.opened(work.journal, work.described())
        _check(sink, journal)
        resumed_at = journal.rows
        task = _Task(replace(work, columns=columns), sink, journal, names)
        task.cut()
        for chunk in itertools.chain((opening,), chunks):
            if chunk.first >= resumed_at:
                task.take(chunk)
            if progress is not None:
                progress(journal.rows - resumed_at, chunk.part)
    task.finish()
    own = {columns.stream_column, columns.time_column, columns.feature_column}
    touched = [name for name in names if name in columns.normalized]
    untouched = [name for name in names if name not in columns.normalized | own]
    return Done(journal.rows, resumed_at, len(journal.bases), touched, untouched)


def _refuse_overwriting(work: Work) -> None:
    """Refuse a result that is the recording itself, by whatever name: a link, another spelling of the path."""
    if work.out is not None and work.out.exists() and work.out.samefile(work.file):
        message = f"--out {work.out} is the recording {work.file} itself, which would be lost"
        raise Unreadable(message)


def _cut_small(work: Work) -> Work:
    """Give wide rows smaller chunks."""
    with contextlib.closing(files.chunks(work.file, work.form, 1)) as chunks:
        opening = next(chunks, None)
    if opening is None:
        message = f"{work.file} has no rows"
        raise Unreadable(message)
    return replace(work, chunk_rows=max(1, min(work.chunk_rows, CHUNK_CELLS // len(opening.rows[0] or [0]))))


def _check(sink: Sink, journal: Journal) -> None:
    """Refuse to go on where the streams have less, or more, than the journal says."""
    for stream, base in journal.bases.items():
        done, last = base + journal.counts.get(stream, 0), sink.last_seq(stream)
        if last < done:
            message = (
                f"the stream {stream!r} has lost {done - last} of the readings that were done; reset it and --restart"
            )
            raise Unreadable(message)


class _Task:
    """One run."""

    def __init__(self, work: Work, sink: Sink, journal: Journal, names: list[str]) -> None:
        self._work = work
        self._sink = sink
        self._journal = journal
        self._names = names

    def cut(self) -> None:
        """Cut off what was written of a chunk that is not done."""
        part = self._work.part
        if part is not None:
            with part.open("ab") as file:
                file.truncate(self._journal.bytes)

    def take(self, chunk: Chunk) -> None:
        """Observe a chunk, write its rows, and note that it is done."""
        work, journal = self._work, self._journal
        found = shapes.parts(work.columns, chunk.rows, chunk.first)
        new = [part.stream for part in found if part.stream not in journal.bases]
        if new:
            journal.bases |= {stream: self._sink.last_seq(stream) for stream in new}
            journal.save(work.journal)
        for part in found:
            ys, _ = self._sink.observe(part, journal.next_seq(part.stream))
            shapes.put(work.columns, part, ys, chunk.rows)
        self._sink.commit()
        self._write(chunk)
        for part in found:
            journal.counts[part.stream] = journal.counts.get(part.stream, 0) + len(part.values)
        journal.rows = chunk.first + len(chunk.rows)
        journal.save(work.journal)

    def finish(self) -> None:
        """Put the result in its place, and forget the journal."""
        work = self._work
        if work.out is not None and work.part is not None:
            if work.out_form == "parquet":
                features = work.columns.normalized
                files.to_parquet(work.part, work.out, (work.file, work.form), features, work.chunk_rows)
                work.part.unlink()
            else:
                work.part.replace(work.out)
        work.journal.unlink(missing_ok=True)

    def _write(self, chunk: Chunk) -> None:
        part = self._work.part
        if part is None:
            return
        data = files.encoded(chunk.rows, self._work.out_form, self._names, head=not chunk.first)
        with part.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            self._journal.bytes = file.tell()
