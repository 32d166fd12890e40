"""What to go back to where a commit fails: the streams as they were before the changes that wait for it.

Rules:

1. A stream is in the log from its first unanswered change on, until a commit that began after the last one has ended.
2. What the log holds is never changed in place, nor is what a running commit saves: the first change of a stream after
   a commit began works on a copy (copy-on-write), later ones may work on that.
3. A commit answers all changes made before it began, or none; where it fails, those made meanwhile fail with it, for
   they were computed from what is taken back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamnorm.engine.stream import Stream


class UndoLog(dict[str, "Stream | None"]):
    """Streams as they were before their oldest unanswered change, by their ids; None where there was none."""

    def __init__(self) -> None:
        super().__init__()
        #: those that have changed since the last commit began
        self._fresh: set[str] = set()

    def must_copy(self, stream_id: str) -> bool:
        """Return whether an unanswered change of a stream must work on a copy."""
        return stream_id not in self._fresh

    def record(self, stream_id: str, before: Stream | None) -> None:
        """Record how a stream was before a change that is to be answered after the next commit."""
        if stream_id not in self._fresh:
            self._fresh.add(stream_id)
            self.setdefault(stream_id, before)

    def begin(self, streams: Mapping[str, Stream]) -> dict[str, Stream | None]:
        """Begin a commit; return the logged streams as it finds them."""
        self._fresh.clear()
        return {stream_id: streams.get(stream_id) for stream_id in self}

    def succeed(self, found: Mapping[str, Stream | None]) -> None:
        """End a commit that began with these streams: only what has changed since is unanswered."""
        for stream_id, stream in found.items():
            if stream_id in self._fresh:
                self[stream_id] = stream
            else:
                del self[stream_id]

    def fail(self) -> dict[str, Stream | None]:
        """Empty the log, and return what to go back to."""
        before = dict(self)
        self.clear()
        self._fresh.clear()
        return before
