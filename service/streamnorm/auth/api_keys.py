"""Keys: who may call, and for what.

A key is `sn_<id>_<secret>`; the secret has 256 random bits, so its SHA-256 tells nothing of it, and no slow hash is
needed. Only that hash is kept, in a database of its own in the data folder: `streamnorm keys` writes there while the
service runs, and the service looks for changes every quarter of a second. A revoked key stays in the list, so that
revoking the last one does not open the door again. For the same reason a file that is empty, damaged, or gone while the
service runs is no file without keys: nobody is let in until it can be read. A file that was put in its place is read
anew.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamnorm.errors import StoreCorrupt, StoreError, StoreUnavailable
from streamnorm.stores.local.file_identity import Identity, identity
from streamnorm.stores.local.schema import migrate

log = logging.getLogger(__name__)

KEYS_FILE = "keys.db"
SCOPES: Final = ("observe", "read", "admin")
#: Seconds between two looks for keys made or revoked by others.
RELOAD_INTERVAL = 0.25
BUSY_TIMEOUT = 5.0
_NOBODY = bytes(32)
UNREADABLE = "the keys cannot be read; the log of the service has the details"

MIGRATIONS = (
    """
    CREATE TABLE keys (
        id TEXT PRIMARY KEY NOT NULL,
        hash BLOB NOT NULL,
        name TEXT NOT NULL,
        scopes TEXT NOT NULL,
        prefix TEXT NOT NULL,
        created REAL NOT NULL,
        revoked REAL
    );
    """,
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key: its scopes, and the prefix that the ids of its streams must have."""

    id: str
    name: str
    scopes: frozenset[str]
    prefix: str = ""
    created: float = 0.0
    revoked: float | None = None
    hash: bytes = _NOBODY

    def may(self, scopes: Collection[str]) -> bool:
        """Return whether it has one of the scopes; `admin` has all."""
        return "admin" in self.scopes or not self.scopes.isdisjoint(scopes)

    def covers(self, stream_id: str) -> bool:
        """Return whether a stream is one of the key's."""
        return stream_id.startswith(self.prefix)


#: Who calls where no key is asked for.
ANYONE = ApiKey("", "anyone", frozenset({"admin"}))


class SQLiteApiKeys:
    """The keys of a data folder; the file is made with the first one."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / KEYS_FILE
        self._connection: sqlite3.Connection | None = None
        self._opened_file: Identity | None = None
        self._version = -1
        self._look_at = 0.0
        self._failure: StoreError | None = None
        self._known: Mapping[str, ApiKey] = {}

    def create(self, name: str, scopes: Collection[str], prefix: str = "") -> str:
        """Build a key and give it; nobody can do so again."""
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        token = f"sn_{key_id}_{secret}"
        row = (key_id, hash_secret(token), name, " ".join(sorted(scopes)), prefix, time.time())
        with self._open() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT INTO keys (id, hash, name, scopes, prefix, created) VALUES (?, ?, ?, ?, ?, ?)", row
            )
        self._look_at = 0.0
        return token

    def adopt(self, keys: Iterable[ApiKey]) -> int:
        """Update with keys that were made elsewhere, where there are none of their ids; says how many were new."""
        rows = [(k.id, k.hash, k.name, " ".join(sorted(k.scopes)), k.prefix, k.created, k.revoked) for k in keys]
        if not rows:
            return 0
        with self._open() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            done = connection.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        self._look_at = 0.0
        return done.rowcount

    def revoke(self, key_id: str) -> bool:
        """Build a key useless for good; returns whether there was such a one."""
        if not self._file.exists():
            return False
        with self._open() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            done = connection.execute(
                "UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL", (time.time(), key_id)
            )
        self._look_at = 0.0
        return done.rowcount > 0

    def all(self) -> list[ApiKey]:
        """List every key there ever was, the oldest first.

        Raises:
            StoreError: they cannot be read.

        """
        self._reload_if_changed()
        return list(self._known.values())

    def any(self) -> bool:
        """Return whether there ever was a key."""
        self._reload_if_changed()
        return bool(self._known)

    def find(self, token: str) -> ApiKey | None:
        """Find the key that somebody shows; the time it takes tells nothing of any secret."""
        self._reload_if_changed()
        key_id = token[3:].partition("_")[0]
        if key_id not in self._known:
            self._look_at = 0.0  # perhaps it was made this very moment
            self._reload_if_changed()
        key = self._known.get(key_id)
        shown = hash_secret(token)
        same = hmac.compare_digest(shown, key.hash if key else _NOBODY)
        return key if key and same and key.revoked is None else None

    @property
    def known(self) -> Mapping[str, ApiKey]:
        """The keys by their ids; another object where they may have changed."""
        self._reload_if_changed()
        return self._known

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _reload_if_changed(self) -> None:
        """Read the keys anew where somebody has changed them."""
        now = time.monotonic()
        if now >= self._look_at:
            had, self._failure = self._failure, None
            try:
                with self._store_error():
                    self._reload()
            except StoreError as error:
                self.close()
                self._failure = error
                if had is None:
                    log.error("nobody is let in, for the keys cannot be read: %s", error)  # noqa: TRY400 - no defect
            else:
                if had is not None:
                    log.info("keys are read again")
            self._look_at = now + RELOAD_INTERVAL
        if self._failure is not None:
            raise self._failure

    def _reload(self) -> None:
        found = identity(self._file)
        if found is None:
            if self._opened_file is not None:
                raise StoreUnavailable(f"{self._file} is gone", public="the file of the keys is gone")
            return
        if self._connection is None or found != self._opened_file:
            self.close()
            self._connection = _connect(self._file)
            self._opened_file = found
            if not self._connection.execute("PRAGMA user_version").fetchone()[0]:
                raise StoreCorrupt(f"{self._file} is empty: put a backup in its place", public=UNREADABLE)
            migrate(self._connection, self._file, MIGRATIONS)
            self._version = -1
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            rows = self._connection.execute(
                "SELECT id, name, scopes, prefix, created, revoked, hash FROM keys ORDER BY created, id"
            )
            self._known = {row[0]: ApiKey(row[0], row[1], frozenset(row[2].split()), *row[3:]) for row in rows}
            self._version = version

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file to write, with its table."""
        with self._store_error():
            if not self._file.exists():
                self._make()
            with closing(_connect(self._file)) as connection:
                migrate(connection, self._file, MIGRATIONS)
                yield connection

    def _make(self) -> None:
        """Build the file with its table in one step: one that is there and empty lets nobody in."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_name(f"{self._file.name}.{os.getpid()}.new")
        beside.touch(mode=0o600)
        try:
            with closing(_connect(beside)) as connection:
                migrate(connection, beside, MIGRATIONS)
            with suppress(FileExistsError):  # somebody else was quicker
                self._put_in_place(beside)
        finally:
            beside.unlink(missing_ok=True)

    def _put_in_place(self, beside: Path) -> None:
        try:
            os.link(beside, self._file)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if not self._file.exists():
                beside.rename(self._file)

    @contextmanager
    def _store_error(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except (sqlite3.Error, OSError, ValueError) as error:
            raise StoreUnavailable(f"cannot use {self._file}: {error}", public=UNREADABLE) from error


def _connect(file: Path) -> sqlite3.Connection:
    address = f"{file.absolute().as_uri()}?mode=rw"  # makes no file
    return sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)


def hash_secret(token: str) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
