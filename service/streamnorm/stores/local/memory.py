"""A store without persistence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import islice, takewhile
from threading import Lock


class MemoryStore:
    """Keep blobs in a dictionary: for tests, and for a service whose streams need not outlive it.

    >>> store = MemoryStore()
    >>> store.save({"boiler-7": b"state", "boiler-8": b"state"})
    >>> store.page("boiler", after="boiler-7", limit=10)
    ['boiler-8']
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._blobs: dict[str, bytes] = {}
        #: the time at which each blob was saved, in chronological order
        self._saved: dict[str, float] = {}
        self._lock = Lock()

    def load(self, stream_id: str) -> bytes | None:
        """Return the blob stored under the id, or None."""
        with self._lock:
            return self._blobs.get(stream_id)

    def save(self, changes: Mapping[str, bytes | None]) -> None:
        """Store all changes atomically; None deletes."""
        with self._lock:
            now = self._clock()
            for stream_id, blob in changes.items():
                self._blobs.pop(stream_id, None)
                self._saved.pop(stream_id, None)
                if blob is not None:
                    self._blobs[stream_id] = blob
                    self._saved[stream_id] = now

    def page(self, prefix: str, after: str, limit: int) -> list[str]:
        """List at most `limit` ids that start with the prefix, in byte order, greater than `after`."""
        with self._lock:
            return sorted(key for key in self._blobs if key.startswith(prefix) and key > after)[:limit]

    def idle(self, before: float, limit: int) -> list[str]:
        """List at most `limit` ids last saved before the time `before` (s since 1970), the oldest first."""
        with self._lock:
            past = takewhile(lambda key: self._saved[key] < before, self._saved)
            return list(islice(past, limit))

    def count(self) -> int:
        """Count the stored streams."""
        with self._lock:
            return len(self._blobs)

    def check(self) -> None:
        """Do nothing: memory can always be written."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
