"""The database's schema, as the list of steps that lead to it.

A step is never edited once released; a change of mind is a further step. The number of steps taken is the record, kept
in the file's header (`user_version`) and written in the same transaction as the step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from streamnorm.errors import StoreError

MIGRATIONS = (
    # A rowid table on purpose: WITHOUT ROWID keeps large rows in the index itself. 50 000 streams of 1 kB: saving 1000
    # took 35 ms with, 77 ms without a rowid; a load 8 and 21 µs; count(*) 0.2 and 9 ms; the file 70 and 234 MB. With
    # blobs of 0.5 and 2 kB the rowid won every line, too.
    "CREATE TABLE streams (id TEXT PRIMARY KEY NOT NULL, state BLOB NOT NULL);",
    # When each was saved, in seconds since 1970. Only a service whose streams expire pays for an index on it.
    """
    ALTER TABLE streams ADD COLUMN saved REAL NOT NULL DEFAULT 0;
    UPDATE streams SET saved = CAST(strftime('%s', 'now') AS REAL);
    """,
)


def migrate(connection: sqlite3.Connection, file: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Take the steps that the file has not taken yet, each in a transaction of its own.

    Raises StoreError, and leaves the file alone, when a newer version has taken steps that are unknown here.
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
