"""The database schema, as an ordered list of migrations.

A migration is never edited once released; corrections are further migrations. The number of applied migrations is
stored in the file's header (`user_version`), in the same transaction as the migration.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from streamnorm.errors import StoreError

MIGRATIONS = (
    # A rowid table on purpose: WITHOUT ROWID stores large rows in the index itself. 50 000 streams of 1 kB: saving 1000
    # took 35 ms with, 77 ms without a rowid; a load 8 and 21 µs; count(*) 0.2 and 9 ms; the file 70 and 234 MB. With
    # blobs of 0.5 and 2 kB the rowid table was faster in every measurement, too.
    "CREATE TABLE streams (id TEXT PRIMARY KEY NOT NULL, state BLOB NOT NULL);",
    # When each stream was saved, in seconds since 1970. Only a service whose streams expire maintains an index on it.
    """
    ALTER TABLE streams ADD COLUMN saved REAL NOT NULL DEFAULT 0;
    UPDATE streams SET saved = CAST(strftime('%s', 'now') AS REAL);
    """,
)


def migrate(connection: sqlite3.Connection, file: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Apply the `migrations` that the database has not had yet, each in a transaction of its own.

    `connection` is open for writing in autocommit mode; `file` only appears in error messages.

    Raises:
        StoreError: a newer version has applied migrations that are unknown here; the file is left unchanged.

    """
    (taken,) = connection.execute("PRAGMA user_version").fetchone()
    if taken > len(migrations):
        raise StoreError(
            f"{file} was written by a newer streamnorm (schema {taken}, this one knows {len(migrations)}): "
            "run that version again, or choose another data folder",
            public="the data folder was written by a newer streamnorm",
        )
    for number, step in enumerate(migrations[taken:], taken + 1):
        with connection:
            connection.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number};")
