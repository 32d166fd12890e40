"""Lines that wait for their receiver: bounded in bytes, the oldest go first, and what waits at a stop rests on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path

from streamnorm.bridges.files import replace_file

#: Some 500 000 points of two fields; beyond it the oldest go.
MAX_BYTES = 64 * 1024 * 1024


class PointQueue:
    """Lines in their order. Those taken stay in the queue's care until they are confirmed or restored."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        #: of the lines that wait; those on their way come on top, and are bounded by a write
        self._bytes = 0
        self._waiting: deque[bytes] = deque()
        self._taken: deque[bytes] = deque()
        #: lines that went for want of room
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many lines wait or are on their way."""
        return len(self._waiting) + len(self._taken)

    def put(self, line: bytes) -> None:
        """Append a line."""
        self._waiting.append(line)
        self._bytes += len(line)
        self._make_room()

    def take(self, most: int, max_bytes: int) -> list[bytes]:
        """Take the oldest lines, at least one where there is one."""
        size = 0
        while self._waiting and len(self._taken) < most and (not self._taken or size < max_bytes):
            line = self._waiting.popleft()
            size += len(line)
            self._taken.append(line)
        self._bytes -= size
        return list(self._taken)

    def confirm(self, count: int) -> None:
        """Discard the first lines of those taken: they are dealt with."""
        for _ in range(count):
            self._taken.popleft()

    def restore(self) -> None:
        """Put what was taken and not confirmed back to where it was."""
        self._bytes += sum(map(len, self._taken))
        self._waiting.extendleft(reversed(self._taken))
        self._taken.clear()
        self._make_room()

    def lines(self) -> list[bytes]:
        """Return everything that waits, the oldest first."""
        return [*self._taken, *self._waiting]

    def _make_room(self) -> None:
        """Drop the oldest of those that wait; at least the newest stays."""
        while self._bytes > self._max_bytes and len(self._waiting) > 1:
            self._bytes -= len(self._waiting.popleft())
            self.dropped += 1


class Spool:
    """The file where lines rest between two runs of the service; it stays until its lines have arrived."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[bytes]:
        """Return the lines of the last run.

        Raises:
            OSError: the file cannot be read.

        """
        try:
            return [line for line in self._path.read_bytes().split(b"\n") if line]
        except FileNotFoundError:
            return []

    def save(self, lines: Iterable[bytes]) -> None:
        """Keep lines in place of those that were kept before.

        Raises:
            OSError: the file cannot be written.

        """
        data = b"\n".join(lines)
        if data:
            replace_file(self._path, data)
        else:
            self._path.unlink(missing_ok=True)
