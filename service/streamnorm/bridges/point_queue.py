"""A queue of lines for a receiver: bounded in bytes, dropping the oldest, and spooled to disk at a stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path

from streamnorm.bridges.files import replace_file

#: About 500 000 points of two fields; beyond it the oldest are dropped.
MAX_BYTES = 64 * 1024 * 1024


class PointQueue:
    """A FIFO queue of lines; those taken are in flight until they are confirmed or restored."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        #: bytes of the queued lines; those in flight are bounded by the size of a write
        self._bytes = 0
        self._waiting: deque[bytes] = deque()
        self._taken: deque[bytes] = deque()
        #: lines dropped because the queue was full
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many lines are queued or in flight."""
        return len(self._waiting) + len(self._taken)

    def put(self, line: bytes) -> None:
        """Append a line."""
        self._waiting.append(line)
        self._bytes += len(line)
        self._make_room()

    def take(self, most: int, max_bytes: int) -> list[bytes]:
        """Take the oldest lines, at most `most` and about `max_bytes`, but at least one if there is any."""
        size = 0
        while self._waiting and len(self._taken) < most and (not self._taken or size < max_bytes):
            line = self._waiting.popleft()
            size += len(line)
            self._taken.append(line)
        self._bytes -= size
        return list(self._taken)

    def confirm(self, count: int) -> None:
        """Discard the first lines of those in flight."""
        for _ in range(count):
            self._taken.popleft()

    def restore(self) -> None:
        """Return the unconfirmed lines in flight to the head of the queue."""
        self._bytes += sum(map(len, self._taken))
        self._waiting.extendleft(reversed(self._taken))
        self._taken.clear()
        self._make_room()

    def lines(self) -> list[bytes]:
        """Return all lines, the oldest first."""
        return [*self._taken, *self._waiting]

    def _make_room(self) -> None:
        """Drop the oldest queued lines, but never the newest."""
        while self._bytes > self._max_bytes and len(self._waiting) > 1:
            self._bytes -= len(self._waiting.popleft())
            self.dropped += 1


class Spool:
    """The file that stores lines between two runs of the service, until they have been delivered."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[bytes]:
        """Return the lines spooled by the last run.

        Raises:
            OSError: the file cannot be read.

        """
        try:
            return [line for line in self._path.read_bytes().split(b"\n") if line]
        except FileNotFoundError:
            return []

    def save(self, lines: Iterable[bytes]) -> None:
        """Replace the spooled lines.

        Raises:
            OSError: the file cannot be written.

        """
        data = b"\n".join(lines)
        if data:
            replace_file(self._path, data)
        else:
            self._path.unlink(missing_ok=True)
