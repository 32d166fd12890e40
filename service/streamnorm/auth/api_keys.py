"""API keys: authentication and scopes.

Only the hash of a key's token is stored, in a separate database in the data folder: `streamnorm keys` writes to it
while the service runs, and the service polls it for changes every quarter of a second. A revoked key stays in the list,
so that revoking the last key does not disable authorization. For the same reason a file that is empty, damaged, or
disappears while the service runs is not treated as a file without keys: all calls are rejected until it can be read
(fail closed).
A file that replaces it is read again.
"""

from __future__ import annotations

import hmac
import logging
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamnorm.auth.tokens import hash_token, key_id_of, new_token
from streamnorm.errors import StoreCorrupt, StoreError, StoreUnavailable
from streamnorm.stores.local.file_identity import Identity, identity
from streamnorm.stores.local.schema import migrate

log = logging.getLogger(__name__)

KEYS_FILE = "keys.db"
SCOPES: Final = ("observe", "read", "admin")
#: Seconds between checks for keys created or revoked by other processes.
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
    """A key without its secret: its scopes, and the prefix that the ids of its streams must have."""

    id: str
    name: str
    scopes: frozenset[str]
    prefix: str = ""
    created: float = 0.0
    revoked: float | None = None
    hash: bytes = _NOBODY

    def may(self, scopes: Collection[str]) -> bool:
        """Return whether the key has one of the scopes; `admin` implies all."""
        return "admin" in self.scopes or not self.scopes.isdisjoint(scopes)

    def covers(self, stream_id: str) -> bool:
        """Return whether the key grants access to a stream."""
        return stream_id.startswith(self.prefix)


#: The caller's identity where no keys are configured.
ANYONE = ApiKey("", "anyone", frozenset({"admin"}))


def new_key(name: str, scopes: Collection[str], prefix: str) -> tuple[str, ApiKey]:
    """Return the token of a new key, and the key, called `name`, with `scopes` for streams of the `prefix`."""
    key_id, token = new_token()
    return token, ApiKey(key_id, name, frozenset(scopes), prefix, time.time(), None, hash_token(token))


def match(known: Mapping[str, ApiKey], token: str) -> ApiKey | None:
    """Return the valid key among those `known` that a token belongs to, in time independent of the secret."""
    key = known.get(key_id_of(token))
    same = hmac.compare_digest(hash_token(token), key.hash if key else _NOBODY)
    return key if key and same and key.revoked is None else None


class SQLiteApiKeys:
    """The keys of a data folder; the file is created with the first key."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / KEYS_FILE
        self._connection: sqlite3.Connection | None = None
        self._opened_file: Identity | None = None
        self._version = -1
        self._look_at = 0.0
        self._failure: StoreError | None = None
        self._known: Mapping[str, ApiKey] = {}

    def open(self) -> None:
        """Read the keys, if there is a file.

        Raises:
            StoreError: they cannot be read.

        """
        self._reload_if_changed()

    def create(self, name: str, scopes: Collection[str], prefix: str = "") -> str:
        """Create a key called `name` with `scopes` for streams whose ids start with `prefix`.

        Return the token, which cannot be recovered later.
        """
        token, key = new_key(name, scopes, prefix)
        self._insert([key], "INSERT")
        return token

    def adopt(self, keys: Iterable[ApiKey]) -> int:
        """Add keys from another store, except those whose ids exist already; return how many were added."""
        return self._insert(keys, "INSERT OR IGNORE")

    def revoke(self, key_id: str) -> bool:
        """Revoke a key permanently; return whether there was such a key."""
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
        """List all keys, revoked ones included, the oldest first.

        Raises:
            StoreError: the keys cannot be read.

        """
        self._reload_if_changed()
        return list(self._known.values())

    def any(self) -> bool:
        """Return whether there is a key, revoked ones included."""
        self._reload_if_changed()
        return bool(self._known)

    def find(self, token: str) -> ApiKey | None:
        """Return the valid key that a token belongs to, or None, in time independent of the secret."""
        self._reload_if_changed()
        if key_id_of(token) not in self._known:
            self._look_at = 0.0  # it may have been created since the last check
            self._reload_if_changed()
        return match(self._known, token)

    @property
    def known(self) -> Mapping[str, ApiKey]:
        """The keys by id; a new object whenever they may have changed."""
        self._reload_if_changed()
        return self._known

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _insert(self, keys: Iterable[ApiKey], how: str) -> int:
        rows = [(k.id, k.hash, k.name, " ".join(sorted(k.scopes)), k.prefix, k.created, k.revoked) for k in keys]
        if not rows:
            return 0
        with self._open() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            done = connection.executemany(f"{how} INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        self._look_at = 0.0
        return done.rowcount

    def _reload_if_changed(self) -> None:
        """Reload the keys if they have changed since the last check."""
        now = time.monotonic()
        if now >= self._look_at:
            previous, self._failure = self._failure, None
            try:
                with self._store_error():
                    self._reload()
            except StoreError as error:
                self.close()
                self._failure = error
                if previous is None:
                    log.error("all calls are rejected, the API keys cannot be read: %s", error)  # noqa: TRY400 - no defect
            else:
                if previous is not None:
                    log.info("the API keys can be read again")
            self._look_at = now + RELOAD_INTERVAL
        if self._failure is not None:
            raise self._failure

    def _reload(self) -> None:
        current = identity(self._file)
        if current is None:
            if self._opened_file is not None:
                raise StoreUnavailable(f"{self._file} is gone", public="the file of the keys is gone")
            return
        if self._connection is None or current != self._opened_file:
            self.close()
            self._connection = _connect(self._file)
            self._opened_file = current
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
        """Open the file for writing, creating it if it is missing."""
        with self._store_error():
            if not self._file.exists():
                self._make()
            with closing(_connect(self._file)) as connection:
                migrate(connection, self._file, MIGRATIONS)
                yield connection

    def _make(self) -> None:
        """Create the file with its table atomically: an empty file would reject all calls."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_name(f"{self._file.name}.{os.getpid()}.new")
        temporary.touch(mode=0o600)
        try:
            with closing(_connect(temporary)) as connection:
                migrate(connection, temporary, MIGRATIONS)
            with suppress(FileExistsError):  # another process has created it meanwhile
                self._put_in_place(temporary)
        finally:
            temporary.unlink(missing_ok=True)

    def _put_in_place(self, temporary: Path) -> None:
        try:
            os.link(temporary, self._file)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if not self._file.exists():
                temporary.rename(self._file)

    @contextmanager
    def _store_error(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except (sqlite3.Error, OSError, ValueError) as error:
            raise StoreUnavailable(f"cannot use {self._file}: {error}", public=UNREADABLE) from error


def _connect(file: Path) -> sqlite3.Connection:
    address = f"{file.absolute().as_uri()}?mode=rw"  # does not create the file
    return sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
