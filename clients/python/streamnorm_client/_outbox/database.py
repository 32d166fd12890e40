"""The outbox's file: readings in SQLite, in the order of `put`."""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from streamnorm_client._calls.requests import reading
from streamnorm_client._errors import InvalidArgument, OutboxCorrupt, OutboxError, OutboxInUse, OutboxUnwritable

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

log = logging.getLogger(__name__)

KEEP_SENT = 30.0  # seconds; a service that is killed loses the last second or so

SCHEMA = """
CREATE TABLE IF NOT EXISTS readings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    body TEXT NOT NULL,
    taken REAL NOT NULL,
    seq INTEGER,
    sent REAL
);
CREATE INDEX IF NOT EXISTS by_stream ON readings (stream, id);
CREATE TABLE IF NOT EXISTS streams (stream TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS set_aside (
    id INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    body TEXT NOT NULL,
    taken REAL NOT NULL,
    reason TEXT NOT NULL
);
"""


class KeptReading(NamedTuple):
    """A stored reading."""

    id: int
    stream: str
    body: dict[str, Any]
    seq: int | None

    def reading(self) -> dict[str, Any]:
        """Return the reading as it is sent."""
        return {"stream": self.stream, **self.body, "seq": self.seq}


class OutboxDatabase:
    """The database of readings; safe to use from several threads, by one process at a time.

    Raises:
        OutboxInUse: another process uses the file.
        OutboxCorrupt: the file is not an outbox; every method raises it if the file was damaged since.
        OutboxUnwritable: it cannot be written; every method raises it if the disk is full.

    """

    def __init__(self, path: str | os.PathLike[str], max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        with self._typed_errors():
            self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        self._db.text_factory = lambda text: text.decode(errors="surrogateescape")  # keep damaged text readable
        try:
            with self._typed_errors():
                self._begin()
        except OutboxError:
            self._db.close()
            raise

    def _begin(self) -> None:
        # A killed process loses nothing; a power failure may lose the last moments, which spares SD cards.
        for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
            self._db.execute(f"PRAGMA {setting}")
        self._db.executescript(SCHEMA)
        self._bytes = self._value("SELECT total(length(body)) FROM readings")
        #: streams whose readings the outbox numbers
        self.streams = {stream for (stream,) in self._db.execute("SELECT stream FROM streams")}
        self._waiting = int(self._value("SELECT count(*) FROM readings WHERE sent IS NULL"))

    def waiting(self) -> int:
        """Return the number of unsent readings."""
        return self._waiting

    def waiting_streams(self) -> list[str]:
        """Return the streams with unsent readings, the longest waiting first."""
        query = "SELECT stream FROM readings WHERE sent IS NULL GROUP BY stream ORDER BY min(id)"
        with self._lock, self._typed_errors():
            return [stream for (stream,) in self._db.execute(query)]

    def put(self, stream: str, body: dict[str, Any], now: float) -> list[KeptReading]:
        """Store a reading; return those that were dropped to make room."""
        text = json.dumps(body, separators=(",", ":"), allow_nan=False)
        with self._lock, self._typed_errors():
            if stream not in self.streams:
                self._db.execute("INSERT INTO streams VALUES (?)", (stream,))
                self.streams.add(stream)
            self._db.execute("INSERT INTO readings (stream, body, taken) VALUES (?, ?, ?)", (stream, text, now))
            self._bytes += len(text)
            self._waiting += 1
            return self._make_room() if self._bytes > self._max_bytes else []

    def drop_older(self, than: float) -> list[KeptReading]:
        """Discard readings stored before a time; return the unsent ones."""
        return self._drop("SELECT id, stream, body, seq, sent FROM readings WHERE taken < ?", than)

    def block(self, stream: str, last_seq: int, limit: int, now: float) -> list[KeptReading]:
        """Return the next readings of a stream, numbered after the service's `last_seq`."""
        with self._lock, self._typed_errors(), _Transaction(self._db):
            applied = "UPDATE readings SET sent = ? WHERE stream = ? AND sent IS NULL AND seq <= ?"
            self._waiting -= self._db.execute(applied, (now, stream, last_seq)).rowcount
            forgotten = "UPDATE readings SET sent = NULL WHERE stream = ? AND sent IS NOT NULL AND seq > ?"
            self._waiting += self._db.execute(forgotten, (stream, last_seq)).rowcount
            query = "SELECT id, stream, body, seq FROM readings WHERE stream = ? AND sent IS NULL ORDER BY id LIMIT ?"
            rows, seq = [], last_seq
            for row in self._db.execute(query, (stream, limit)).fetchall():
                try:
                    body = decoded(row[2])
                except InvalidArgument as error:
                    self._set_aside(row[0], row[2], error)
                    continue
                seq = seq + 1 if row[3] is None else row[3]
                rows.append(KeptReading(row[0], row[1], body, seq))
            self._db.executemany("UPDATE readings SET seq = ? WHERE id = ?", [(row.seq, row.id) for row in rows])
            return rows

    def set_aside(self, stream: str, reason: InvalidArgument) -> None:
        """Set aside all readings of a stream with an invalid id."""
        with self._lock, self._typed_errors(), _Transaction(self._db):
            for row in self._db.execute("SELECT id, body FROM readings WHERE stream = ?", (stream,)).fetchall():
                self._set_aside(row[0], row[1], reason)

    def _set_aside(self, row_id: int, body: Any, reason: InvalidArgument) -> None:
        """Move a reading that cannot be sent to the table `set_aside`, so that it does not block the others."""
        log.error("reading %d of the outbox %s cannot be sent, and is set aside: %s", row_id, self.path, reason)
        copied = "INSERT INTO set_aside SELECT id, stream, body, taken, ? FROM readings WHERE id = ?"
        self._db.execute(copied, (str(reason).encode(errors="replace").decode(), row_id))
        self._waiting -= int(self._value("SELECT count(*) FROM readings WHERE id = ? AND sent IS NULL", row_id))
        self._db.execute("DELETE FROM readings WHERE id = ?", (row_id,))
        self._bytes -= len(body)

    def renumber(self, stream: str) -> None:
        """Remove the numbers of unsent readings."""
        with self._lock, self._typed_errors():
            self._db.execute("UPDATE readings SET seq = NULL WHERE stream = ? AND sent IS NULL", (stream,))

    def sent(self, rows: Iterable[KeptReading], now: float) -> None:
        """Mark readings as sent, and delete those sent more than `KEEP_SENT` ago."""
        with self._lock, self._typed_errors(), _Transaction(self._db):
            marked = [(now, row.id) for row in rows]
            self._db.executemany("UPDATE readings SET sent = ? WHERE id = ?", marked)
            self._waiting -= len(marked)
            old = "FROM readings WHERE sent < ?"
            self._bytes -= self._value(f"SELECT total(length(body)) {old}", now - KEEP_SENT)
            self._db.execute(f"DELETE {old}", (now - KEEP_SENT,))

    def forget(self, rows: Iterable[KeptReading]) -> None:
        """Discard readings that can never be sent."""
        with self._lock:
            for row in rows:
                self._drop("SELECT id, stream, body, seq, sent FROM readings WHERE id = ?", row.id)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _make_room(self) -> list[KeptReading]:
        dropped: list[KeptReading] = []
        while self._bytes > self._max_bytes:
            rows = self._drop("SELECT id, stream, body, seq, sent FROM readings ORDER BY id LIMIT ?", 64)
            dropped += rows
            if not rows and not self._value("SELECT count(*) FROM readings"):
                break
        return dropped

    def _drop(self, query: str, argument: float) -> list[KeptReading]:
        with self._lock, self._typed_errors(), _Transaction(self._db):
            rows = self._db.execute(query, (argument,)).fetchall()
            self._db.executemany("DELETE FROM readings WHERE id = ?", [(row[0],) for row in rows])
            self._bytes -= sum(len(row[2]) for row in rows)
            unsent = [KeptReading(row[0], row[1], _decoded_or_empty(row[2]), row[3]) for row in rows if row[4] is None]
            self._waiting -= len(unsent)
            return unsent

    def _value(self, query: str, *arguments: float) -> float:
        ((value,),) = self._db.execute(query, arguments)
        return float(value)

    @contextlib.contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _typed(self.path, error) from error

    def after_fork(self) -> None:
        """Leave the file to the parent process: keep SQLite from closing it in the child."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._db))


def decoded(text: Any) -> dict[str, Any]:
    """Return the body of a stored reading.

    Raises:
        InvalidArgument: it is not a valid reading.

    """
    try:
        text.encode()
        body = json.loads(text, parse_constant=_refuse)
        return reading(body["values"], body.get("timestamp"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidArgument(f"{text!r:.80} is not a valid reading: {error!r:.80}") from error


def _decoded_or_empty(text: Any) -> dict[str, Any]:
    try:
        return decoded(text)
    except InvalidArgument:
        return {"values": None}


def _refuse(constant: str) -> None:
    raise InvalidArgument(f"{constant} is not a number")


def _typed(path: Any, error: sqlite3.Error) -> OutboxError:
    """Convert an error of SQLite by its message: error codes need Python 3.11."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return OutboxInUse(f"the outbox {path} is used by another process: {text}")
    if isinstance(error, sqlite3.OperationalError):
        return OutboxUnwritable(f"the outbox {path} cannot be written: {text}")
    return OutboxCorrupt(f"the outbox {path} cannot be read: {text}; move it away to start with an empty one")


class _Transaction:
    """A transaction: commit on success, roll back on error."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._db.in_transaction:  # SQLite itself rolls back when the disk is full
            self._db.execute("COMMIT" if kind is None else "ROLLBACK")
