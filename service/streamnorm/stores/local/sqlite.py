"""The default store: one SQLite file.

Rule 1: one process a folder, one writing connection; transactions follow each other.
Rule 2: loads go through a connection of their own, which only reads. In WAL mode it never waits for a commit, so a load
is fit for the event loop's thread.
Rule 3: a file that cannot be read is told about, and never replaced, repaired or deleted.
Rule 4: a save has only succeeded where the path still leads to the file, and to its log, that it was written to.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Literal

from streamnorm.errors import StoreCorrupt, StoreError, StoreUnavailable
from streamnorm.stores.local.file_identity import check_identity, identity
from streamnorm.stores.local.folder_lock import acquire_folder
from streamnorm.stores.local.schema import MIGRATIONS, migrate

log = logging.getLogger(__name__)

DATABASE_FILE = "streamnorm.db"

# Seconds to wait for others' locks: a backup tool holds one for moments, a person in a shell for ever.
BUSY_TIMEOUT = 5.0

# Bytes of the write-ahead log that are kept for reuse. SQLite copies the log into the database after every 1000 pages
# (4 MB) and starts it over; after one enormous save this limit gives the disk space back, too.
WAL_KEPT = 64 * 2**20

BY_TIME = "CREATE INDEX IF NOT EXISTS streams_by_time ON streams (saved)"
NOT_BY_TIME = "DROP INDEX IF EXISTS streams_by_time"

DETAILS = "the log of the service has the details"

# What SQLite calls a file that is not a database, is damaged, or has other tables than ours.
_DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR}


class SQLiteStore:
    """Keep streams in `<folder>/streamnorm.db`, alone in that folder until closed.

    `synchronous` says when a save is on disk: "full" when it returns; "normal" by the next checkpoint, so a process
    that dies loses nothing, but a machine that loses power may lose the last saves (whole ones, never parts).

    `expiring` keeps an index of when streams were saved, without which `idle` reads the whole file.

    Raises StoreInUse, StoreCorrupt, StoreUnavailable, or StoreError for a file of a newer version.
    """

    def __init__(
        self,
        folder: Path,
        *,
        synchronous: Literal["full", "normal"],
        expiring: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._file = folder / DATABASE_FILE
        self._writing = Lock()
        self._reading = Lock()
        self._logged = ""
        with ExitStack() as opened:
            opened.enter_context(acquire_folder(folder))
            with self._store_error():
                self._writer = opened.enter_context(closing(_connect(self._file, mode="rwc")))
                migrate(self._writer, self._file)
                self._writer.execute("PRAGMA journal_mode = WAL")
                self._writer.execute(f"PRAGMA synchronous = {synchronous}")
                self._writer.execute(f"PRAGMA journal_size_limit = {WAL_KEPT}")
                self._writer.execute(BY_TIME if expiring else NOT_BY_TIME)
                self._reader = opened.enter_context(closing(_connect(self._file, mode="ro")))
                self._reader.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()  # from now on there is a log
            real = self._file.resolve()
            self._files = [(file, identity(file)) for file in (self._file, real.with_name(f"{real.name}-wal"))]
            self._opened = opened.pop_all()

    def load(self, stream_id: str) -> bytes | None:
        """Return the blob kept under the id, or None."""
        with self._store_error(logged=True), self._reading:
            row: tuple[bytes] | None = self._reader.execute(
                "SELECT state FROM streams WHERE id = ?", (stream_id,)
            ).fetchone()
        return row[0] if row else None

    def save(self, changes: Mapping[str, bytes | None]) -> None:
        """Keep all changes in one transaction; None deletes."""
        now = self._clock()
        kept = [(stream_id, blob, now) for stream_id, blob in changes.items() if blob is not None]
        gone = [(stream_id,) for stream_id, blob in changes.items() if blob is None]
        with self._store_error(), self._writing:
            self._check_files()
            with self._writer as writer:
                writer.execute("BEGIN IMMEDIATE")
                writer.executemany(
                    "INSERT INTO streams (id, state, saved) VALUES (?, ?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET state = excluded.state, saved = excluded.saved",
                    kept,
                )
                writer.executemany("DELETE FROM streams WHERE id = ?", gone)
            self._check_files()

    def page(self, prefix: str, after: str, limit: int) -> list[str]:
        """List at most `limit` ids that start with the prefix, in byte order, greater than `after`."""
        # "~" is the last character an id may have, so everything with the prefix comes before prefix + DEL.
        bounds = (max(prefix, after), after, prefix + "\x7f", limit)
        with self._store_error(logged=True), self._reading:
            rows = self._reader.execute(
                "SELECT id FROM streams WHERE id >= ? AND id <> ? AND id < ? ORDER BY id LIMIT ?", bounds
            ).fetchall()
        return [stream_id for (stream_id,) in rows]

    def idle(self, before: float, limit: int) -> list[str]:
        """List at most `limit` ids that were saved last before a time, the idlest first."""
        with self._store_error(logged=True), self._reading:
            rows = self._reader.execute(
                "SELECT id FROM streams WHERE saved < ? ORDER BY saved LIMIT ?", (before, limit)
            ).fetchall()
        return [stream_id for (stream_id,) in rows]

    def count(self) -> int:
        """Count the streams kept."""
        with self._store_error(logged=True), self._reading:
            row: tuple[int] = self._reader.execute("SELECT count(*) FROM streams").fetchone()
        return row[0]

    def check(self) -> None:
        """Raise StoreError when the store cannot be written now."""
        with self._store_error(), self._writing:
            self._check_files()
            # A commit of one page, to see it succeed: a transaction that is only begun does so on a full disk, too.
            self._writer.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def close(self) -> None:
        """Close the file and the folder; a second call does nothing."""
        # The reader goes first: the last connection to close moves the log into the database.
        with self._writing, self._reading:
            self._opened.close()

    def _check_files(self) -> None:
        """Refuse where a path does not lead to the file that is open."""
        for file, opened in self._files:
            check_identity(file, opened)

    @contextmanager
    def _store_error(self, *, logged: bool = False) -> Iterator[None]:
        """Tell SQLite's errors in the service's own terms; those that nobody else logs are logged once."""
        try:
            yield
        except sqlite3.Error as error:
            told = _translated(error, self._file)
            if logged and str(told) != self._logged:
                self._logged = str(told)
                log.error("streams cannot be read: %s", told)  # noqa: TRY400 - the database's fault, not the code's
            raise told from error


def _connect(file: Path, mode: Literal["rwc", "ro"]) -> sqlite3.Connection:
    """Open the file; transactions are begun by hand, and threads take turns by the store's locks."""
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )


def _translated(error: sqlite3.Error, file: Path) -> StoreError:
    """Name the file and what can be done; the low byte of SQLite's code is the kind of error."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED:
        return StoreCorrupt(
            f"{file} is damaged or no database of streamnorm's ({error}); it is left as it is: "
            f"put a backup in its place, or move {file.name}* out of {file.parent} to start anew",
            public=f"the database is damaged; {DETAILS}",
        )
    if code == sqlite3.SQLITE_FULL:
        free = _free(file.parent)
        return StoreUnavailable(
            f"the disk of {file.parent} is full ({free}): {file} was not written",
            public=f"the disk of the data folder is full ({free})",
        )
    return StoreUnavailable(f"cannot use {file}: {error}", public=f"the database cannot be used ({error}); {DETAILS}")


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free / 2**20:.1f} MiB free"
    except OSError:
        return "and cannot be looked at"
