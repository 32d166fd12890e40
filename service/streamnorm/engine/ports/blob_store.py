"""What the engine asks of the place where streams rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class BlobStore(Protocol):
    """Where streams rest: ids and blobs, nothing else. All methods block; callers choose the thread."""

    def load(self, stream_id: str) -> bytes | None:
        """Return the blob kept under the id, or None."""

    def save(self, changes: Mapping[str, bytes | None]) -> None:
        """Keep all changes in one transaction, durable per the store's setting on return; None deletes."""

    def page(self, prefix: str, after: str, limit: int) -> list[str]:
        """List at most `limit` ids that start with the prefix, in byte order, greater than `after`."""

    def idle(self, before: float, limit: int) -> list[str]:
        """List at most `limit` ids that were saved last before a time, in seconds since 1970; the idlest first."""

    def count(self) -> int:
        """Count the streams kept."""

    def check(self) -> None:
        """Raise StoreError when the store cannot be written now."""

    def close(self) -> None:
        """Close the store; a second call does nothing."""
