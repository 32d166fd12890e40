"""The default store: one SQLite file.

Rule 1: one process per folder, one writing connection, one transaction at a time.
Rule 2: loads use a read-only connection of their own. In WAL mode it never waits for a commit, so a load may run on the
event loop's thread.
Rule 3: an unreadable file is reported, and never replaced, repaired or deleted.
Rule 4: a save succeeds only if the paths still lead to the database and the write-ahead log that were opened.
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

from streamnorm.engine.names import LAST
from streamnorm.errors import StoreCorrupt, StoreError, StoreUnavailable
from streamnorm.stores.local.file_identity import check_identity, identity
from streamnorm.stores.local.folder_lock import acquire_folder
from streamnorm.stores.local.schema import MIGRATIONS, migrate

log = logging.getLogger(__name__)

DATABASE_FILE = "streamnorm.db"

# Seconds to wait for locks of other processes: a backup tool holds one briefly, an open shell indefinitely.
BUSY_TIMEOUT = 5.0

# Bytes of the write-ahead log that are kept for reuse. SQLite checkpoints the log after every 1000 pages (4 MB) and
# starts it over; this limit also returns the disk space after an exceptionally large save.
WAL_KEPT = 64 * 2**20

BY_TIME = "CREATE INDEX IF NOT EXISTS streams_by_time ON streams (saved)"
NOT_BY_TIME = "DROP INDEX IF EXISTS streams_by_time"

DETAILS = "the log of the service has the details"

# SQLite's codes for a file that is not a database, is damaged, or has other tables than ours.
_DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR}


class SQLiteStore:
    """Stores streams in `<folder>/streamnorm.db`, with exclusive use of that folder until closed.

    `synchronous` decides when a save is on disk: "full" when it returns; "normal" by the next checkpoint, so a crash of
    the process loses nothing, but a power failure may lose the last saves (entire saves, never parts of one).

    `expiring` maintains an index on the time of saving, without which `idle` reads the whole file. `clock` returns
    seconds since 1970.

    Raises:
        StoreInUse: another process uses the folder.
        StoreCorrupt: the file is damaged, or is not a database of streamnorm.
        StoreUnavailable: the file cannot be opened.
        StoreError: a newer version has written the file.

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
                self._reader.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()  # creates the write-ahead log
            real = self._file.resolve()
            self._files = [(file, identity(file)) for file in (self._file, real.with_name(f"{real.name}-wal"))]
            self._opened = opened.pop_all()

    def load(self, stream_id: str) -> bytes | None:
        """Return the blob stored under the id, or None."""
        with self._store_error(logged=True), self._reading:
            row: tuple[bytes] | None = self._reader.execute(
                "SELECT state FROM streams WHERE id = ?", (stream_id,)
            ).fetchone()
        return row[0] if row else None

    def save(self, changes: Mapping[str, bytes | None]) -> None:
        """Store all changes in one transaction; None deletes."""
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
        bounds = (max(prefix, after), after, prefix + LAST, limit)
        with self._store_error(logged=True), self._reading:
            rows = self._reader.execute(
                "SELECT id FROM streams WHERE id >= ? AND id <> ? AND id < ? ORDER BY id LIMIT ?", bounds
            ).fetchall()
        return [stream_id for (stream_id,) in rows]

    def idle(self, before: float, limit: int) -> list[str]:
        """List at most `limit` ids last saved before the time `before` (s since 1970), the oldest first."""
        with self._store_error(logged=True), self._reading:
            rows = self._reader.execute(
                "SELECT id FROM streams WHERE saved < ? ORDER BY saved LIMIT ?", (before, limit)
            ).fetchall()
        return [stream_id for (stream_id,) in rows]

    def count(self) -> int:
        """Count the stored streams."""
        with self._store_error(logged=True), self._reading:
            row: tuple[int] = self._reader.execute("SELECT count(*) FROM streams").fetchone()
        return row[0]

    def check(self) -> None:
        """Raise StoreError when the store cannot be written now."""
        with self._store_error(), self._writing:
            self._check_files()
            # Commits one page: beginning a transaction alone would succeed on a full disk, too.
            self._writer.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def close(self) -> None:
        """Close the file and the folder; a second call does nothing."""
        # The reader is closed first: the last connection to close checkpoints the log into the database.
        with self._writing, self._reading:
            self._opened.close()

    def _check_files(self) -> None:
        """Check that the paths still lead to the open files."""
        for file, opened in self._files:
            check_identity(file, opened)

    @contextmanager
    def _store_error(self, *, logged: bool = False) -> Iterator[None]:
        """Translate SQLite's errors to domain errors; with `logged`, log each distinct error once."""
        try:
            yield
        except sqlite3.Error as error:
            failure = _translated(error, self._file)
            if logged and str(failure) != self._logged:
                self._logged = str(failure)
                log.error("streams cannot be read: %s", failure)  # noqa: TRY400 - the database's fault, not the code's
            raise failure from error


def _connect(file: Path, mode: Literal["rwc", "ro"]) -> sqlite3.Connection:
    """Open the file in autocommit mode; the store's locks serialize threads."""
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )


def _translated(error: sqlite3.Error, file: Path) -> StoreError:
    """Translate an error by its primary result code, naming the file and the remedy."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED:
        return StoreCorrupt(
            f"{file} is damaged or no database of streamnorm's ({error}); it is left as it is: "
            f"put a backup in its place, or move {file.name}* out of {file.parent} to start with an empty one",
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
