"""Opens the store that is named: for the service, and for commands that work on a data folder without one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from streamnorm.engine.ports.blob_store import BlobStore
from streamnorm.engine.ports.stream_repository import Durability
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.sqlite import SQLiteStore


def open_store(name: str, folder: Path, durability: Durability, *, expiring: bool = False) -> BlobStore:
    """Open the store of one process: `name` is `memory`, or `sqlite` for a file in `folder`.

    `durability` is that of the settings, `expiring` whether streams expire.

    Raises:
        StoreError: it cannot be opened.

    """
    if name == "memory":
        return MemoryStore()
    # A write once a second may well wait for the disk: only `no` goes without.
    synchronous: Literal["normal", "full"] = "normal" if durability == "no" else "full"
    return SQLiteStore(folder, synchronous=synchronous, expiring=expiring)
