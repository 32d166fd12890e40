"""The file of the outbox: readings in SQLite, in the order they were taken."""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

KEEP_SENT = 30.0  # seconds; a service that is killed forgets the last second or so

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
"""


class KeptReading(NamedTuple):
    """A reading as it is kept."""

    id: int
    stream: str
    body: dict[str, Any]
    seq: int | None

    def reading(self) -> dict[str, Any]:
        """Return it as it is sent."""
        return {"stream": self.stream, **self.body, "seq": self.seq}


class Kept:
    """The readings in a file; safe to use from several threads, by one process at a time."""

    def __init__(self, path: str | os.PathLike[str], max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            # A kill of the process loses nothing; a loss of power may lose the last moments, and spares the SD card.
            for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
                self._db.execute(f"PRAGMA {setting}")
            self._db.executescript(SCHEMA)
        except sqlite3.OperationalError as error:
            self._db.close()
            raise RuntimeError(f"the outbox {path} is used by another process: {error}") from error
        self._bytes = self._value("SELECT total(length(body)) FROM readings")
        #: those whose readings the outbox numbers
        self.streams = {stream for (stream,) in self._db.execute("SELECT stream FROM streams")}
        self._waiting = int(self._value("SELECT count(*) FROM readings WHERE sent IS NULL"))

    def waiting(self) -> int:
        """Count what is not sent."""
        return self._waiting

    def waiting_streams(self) -> list[str]:
        """Name the streams of what is not sent, the one that has waited longest first."""
        query = "SELECT stream FROM readings WHERE sent IS NULL GROUP BY stream ORDER BY min(id)"
        with self._lock:
            return [stream for (stream,) in self._db.execute(query)]

    def put(self, stream: str, body: dict[str, Any], now: float) -> list[KeptReading]:
        """Keep a reading; returns those that had to go for it."""
        text = json.dumps(body, separators=(",", ":"), allow_nan=False)
        with self._lock:
            if stream not in self.streams:
                self._db.execute("INSERT INTO streams VALUES (?)", (stream,))
                self.streams.add(stream)
            self._db.execute("INSERT INTO readings (stream, body, taken) VALUES (?, ?, ?)", (stream, text, now))
            self._bytes += len(text)
            self._waiting += 1
            return self._make_room() if self._bytes > self._max_bytes else []

    def drop_older(self, than: float) -> list[KeptReading]:
        """Discard readings that were taken before a time; returns those of them that were not sent."""
        return self._drop("SELECT id, stream, body, seq, sent FROM readings WHERE taken < ?", than)

    def block(self, stream: str, last_seq: int, most: int, now: float) -> list[KeptReading]:
        """Return the next readings of a stream whose last number at the service is known, with their numbers."""
        with self._lock, self._transaction():
            applied = "UPDATE readings SET sent = ? WHERE stream = ? AND sent IS NULL AND seq <= ?"
            self._waiting -= self._db.execute(applied, (now, stream, last_seq)).rowcount
            forgotten = "UPDATE readings SET sent = NULL WHERE stream = ? AND sent IS NOT NULL AND seq > ?"
            self._waiting += self._db.execute(forgotten, (stream, last_seq)).rowcount
            query = "SELECT id, stream, body, seq FROM readings WHERE stream = ? AND sent IS NULL ORDER BY id LIMIT ?"
            rows, seq = [], last_seq
            for row in self._db.execute(query, (stream, most)).fetchall():
                seq = seq + 1 if row[3] is None else row[3]
                rows.append(KeptReading(row[0], row[1], json.loads(row[2]), seq))
            self._db.executemany("UPDATE readings SET seq = ? WHERE id = ?", [(row.seq, row.id) for row in rows])
            return rows

    def renumber(self, stream: str) -> None:
        """Take the numbers away from what is not sent."""
        with self._lock:
            self._db.execute("UPDATE readings SET seq = NULL WHERE stream = ? AND sent IS NULL", (stream,))

    def sent(self, rows: Iterable[KeptReading], now: float) -> None:
        """Note that readings were sent, and forget those that were sent long ago."""
        with self._lock, self._transaction():
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
            found = self._drop("SELECT id, stream, body, seq, sent FROM readings ORDER BY id LIMIT ?", 64)
            dropped += found
            if not found and not self._value("SELECT count(*) FROM readings"):
                break
        return dropped

    def _drop(self, query: str, argument: float) -> list[KeptReading]:
        with self._lock, self._transaction():
            found = self._db.execute(query, (argument,)).fetchall()
            self._db.executemany("DELETE FROM readings WHERE id = ?", [(row[0],) for row in found])
            self._bytes -= sum(len(row[2]) for row in found)
            unsent = [KeptReading(row[0], row[1], json.loads(row[2]), row[3]) for row in found if row[4] is None]
            self._waiting -= len(unsent)
            return unsent

    def _value(self, query: str, *arguments: float) -> float:
        ((value,),) = self._db.execute(query, arguments)
        return float(value)

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    """All of it, or nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
