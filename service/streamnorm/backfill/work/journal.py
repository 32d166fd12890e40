"""What was learned from which bytes: a small file a recording, replaced as a whole, in a folder of the streams' own.

A recording is known by the hash of its bytes, whatever its name. What is known of it: the bytes that were learned
(`done`), those that are being learned (`begun`), the streams' numbers before, and how long the result is.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from streamnorm.backfill.files.survey import Survey
from streamnorm.backfill.reading.readings import Memory
from streamnorm.backfill.unreadable import Unreadable

VERSION = 2
FOLDER = "backfills"
#: so many lines of a recording are remembered, to tell it when it comes again changed or in part
SKETCH = 200
FEWEST_LINES = 3


class OtherBackfill(Unreadable):
    """A recording was learned before, or begun, in another way."""


class Mark(NamedTuple):
    """A place in a recording (bytes, of Parquet rows), and the hash of what is before it."""

    at: int = 0
    rows: int = 0
    line: int = 1
    digest: str = ""


@dataclass
class Journal:
    """What is known of one recording; `target` is where it goes, `options` how it is read."""

    target: str
    file: str
    options: dict[str, Any]
    #: hash of the whole file as it was when it was begun
    whole: str
    sketch: list[str] = field(default_factory=list)
    done: Mark = field(default_factory=Mark)
    begun: Mark | None = None
    finished: bool = False
    out: str = ""
    bytes: int = 0
    bases: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    bad: int = 0
    when: float = 0.0
    version: int = VERSION
    path: Path | None = None

    def next_seq(self, stream: str) -> int:
        """Return the number of a stream's next reading."""
        return self.bases[stream] + self.counts.get(stream, 0) + 1

    def save(self) -> None:
        """Write it, safe from a loss of power."""
        if self.path is None:
            return
        self.when = time.time()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".new")
        with beside.open("w") as file:
            json.dump({**vars(self), "memory": vars(self.memory), "path": None}, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)


class Known(NamedTuple):
    """What the journals say of a recording: one that is `same`, one to `resume`, one that it `grew` from."""

    same: Journal | None = None
    resume: Journal | None = None
    grew: Journal | None = None


def opened(folder: Path) -> list[Journal]:
    """Read the journals of a folder; one that is damaged is none."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            data = json.loads(path.read_text())
            if data["version"] != VERSION:
                continue
            journal = Journal(**data)
            journal.done = Mark(*data["done"])
            journal.begun = Mark(*data["begun"]) if data["begun"] else None
            journal.memory = Memory(**{**data["memory"], "clock": tuple(data["memory"]["clock"])})
        except (ValueError, TypeError, KeyError, OSError):
            continue
        journal.path = path
        found.append(journal)
    return found


def places(journals: Iterable[Journal]) -> set[int]:
    """Return the places whose hashes tell which journal a recording belongs to."""
    marks = [mark for journal in journals for mark in (journal.done, journal.begun) if mark is not None]
    return {mark.at for mark in marks if mark.digest}


def known(journals: Sequence[Journal], target: str, survey: Survey, sketch: Sequence[str]) -> Known:
    """Find what `journals` know of a recording for a `target`, by its `survey` and the `sketch` of its columns.

    Raises:
        OtherBackfill: rows of it were learned, and it has changed since.

    """
    own = [journal for journal in journals if journal.target == target]
    for journal in own:
        if journal.finished and journal.whole == survey.digest:
            return Known(same=journal)
    for journal in own:
        if not journal.finished and (
            _holds(survey, journal.done) if journal.done.at else journal.whole == survey.digest
        ):
            if journal.begun is None or _holds(survey, journal.begun) or journal.whole == survey.digest:
                return Known(resume=journal)
            return Known(resume=_only_done(journal))
    grown = [journal for journal in own if journal.finished and journal.done.at and _holds(survey, journal.done)]
    if grown:
        return Known(grew=max(grown, key=lambda journal: journal.done.at))
    for journal in own:
        shared = set(journal.sketch) & set(sketch)
        if len(journal.sketch) >= FEWEST_LINES and 2 * len(shared) >= min(len(journal.sketch), len(sketch)):
            message = (
                f"{journal.done.rows:,} rows of it were learned before, from {journal.file}; it changed since, "
                "or begins elsewhere: --again learns all of it once more (reset the stream before, or rows count twice)"
            )
            raise OtherBackfill(message)
    return Known()


def sketched(lines: Iterable[str]) -> list[str]:
    """Return short hashes of lines."""
    found = dict.fromkeys(line.strip() for line in lines if line.strip())
    return [hashlib.blake2b(line.encode("utf-8", "replace"), digest_size=5).hexdigest() for line in found]


def _holds(survey: Survey, mark: Mark) -> bool:
    return mark.at in survey.at and bool(mark.digest) and survey.at[mark.at].hexdigest() == mark.digest


def _only_done(journal: Journal) -> Journal:
    """Return a journal of which what was begun has changed since; harmless if nothing of it was applied."""
    journal.begun = None
    return journal
