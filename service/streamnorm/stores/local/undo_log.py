"""Undo log: the streams as they were before the changes that await a commit.

Rules:

1. A stream is in the log from its first unacknowledged change until a commit that began after its last one has ended.
2. Streams in the log, and those that a running commit saves, are never changed in place: the first change of a stream
   after a commit began works on a copy (copy-on-write); later ones may change that copy.
3. A commit acknowledges all changes made before it began, or none; if it fails, changes made meanwhile fail with it,
   because they were computed from state that is rolled back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamnorm.engine.streams.stream import Stream


class UndoLog(dict[str, "Stream | None"]):
    """Streams as they were before their oldest unacknowledged change, by id; None where there was no stream."""

    def __init__(self) -> None:
        super().__init__()
        #: those that have changed since the last commit began
        self._fresh: set[str] = set()

    def must_copy(self, stream_id: str) -> bool:
        """Return whether an unacknowledged change of a stream must be made on a copy."""
        return stream_id not in self._fresh

    def record(self, stream_id: str, before: Stream | None) -> None:
        """Record a stream's state before a change that the next commit acknowledges."""
        if stream_id not in self._fresh:
            self._fresh.add(stream_id)
            self.setdefault(stream_id, before)

    def begin(self, streams: Mapping[str, Stream]) -> dict[str, Stream | None]:
        """Begin a commit; return the current states of the logged streams."""
        self._fresh.clear()
        return {stream_id: streams.get(stream_id) for stream_id in self}

    def succeed(self, committed: Mapping[str, Stream | None]) -> None:
        """End a commit that began with these states: only changes made since then stay unacknowledged."""
        for stream_id, stream in committed.items():
            if stream_id in self._fresh:
                self[stream_id] = stream
            else:
                del self[stream_id]

    def fail(self) -> dict[str, Stream | None]:
        """Empty the log, and return the states to roll back to."""
        before = dict(self)
        self.clear()
        self._fresh.clear()
        return before
