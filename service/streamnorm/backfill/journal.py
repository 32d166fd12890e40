"""How far a backfill is: a small file beside its result, replaced as a whole."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

VERSION = 1


class OtherBackfill(ValueError):
    """A backfill was begun here with another file or other options."""


@dataclass
class Journal:
    """What is done, and what the streams' numbers were before.

    `work` is what is done to what: a journal serves only the work that it was begun for. `bases` are the streams' last
    numbers before the file's first row of them, `counts` how many of their readings are done, `bytes` how long the
    result is.
    """

    work: dict[str, Any]
    rows: int = 0
    bytes: int = 0
    bases: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    version: int = VERSION

    @classmethod
    def opened(cls, path: Path, work: dict[str, Any]) -> Self:
        """Go on with a journal, or begin one.

        Raises:
            OtherBackfill: it was begun for other work.

        """
        if not path.exists():
            return cls(work)
        found = cls(**json.loads(path.read_text()))
        if found.work != work or found.version != VERSION:
            changed = sorted(name for name in {*work, *found.work} if work.get(name) != found.work.get(name))
            message = f"a backfill was begun in {path} with another {', '.join(changed)}; --restart forgets it"
            raise OtherBackfill(message)
        return found

    def next_seq(self, stream: str) -> int:
        """Return the number of a stream's next reading."""
        return self.bases[stream] + self.counts.get(stream, 0) + 1

    def save(self, path: Path) -> None:
        """Write it, safe from a loss of power."""
        beside = path.with_name(path.name + ".new")
        with beside.open("w") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
