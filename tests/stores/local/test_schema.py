"""How a database file comes to the schema of this version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from streamnorm.errors import StoreError
from streamnorm.stores.local.schema import MIGRATIONS, migrate

FILE = Path("streamnorm.db")
FIRST = "CREATE TABLE first (id);"
SECOND = "CREATE TABLE second (id); INSERT INTO second VALUES (2);"
FAILING = "CREATE TABLE half (id); INSERT INTO nowhere VALUES (1);"


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def tables(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]


def steps_taken(connection: sqlite3.Connection) -> int:
    taken: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return taken


def test_a_new_file_takes_every_step(connection: sqlite3.Connection) -> None:
    migrate(connection, FILE, [FIRST, SECOND])
    assert tables(connection) == ["first", "second"]


def test_a_file_takes_only_the_steps_it_has_not_taken(connection: sqlite3.Connection) -> None:
    migrate(connection, FILE, [FIRST])
    migrate(connection, FILE, [FIRST, SECOND])
    assert steps_taken(connection) == 2


def test_a_step_that_fails_leaves_neither_changes_nor_a_record(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(connection, FILE, [FIRST, FAILING])
    assert (tables(connection), steps_taken(connection)) == (["first"], 1)


def test_a_failed_step_can_be_taken_again(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(connection, FILE, [FAILING])
    migrate(connection, FILE, [FIRST])
    assert tables(connection) == ["first"]


def test_a_newer_file_is_refused_and_left_alone(connection: sqlite3.Connection) -> None:
    migrate(connection, FILE, [FIRST, SECOND])
    with pytest.raises(StoreError, match=r"streamnorm\.db was written by a newer streamnorm \(schema 2, .* knows 1\)"):
        migrate(connection, FILE, [FIRST])
    assert steps_taken(connection) == 2


def test_the_released_steps_make_the_streams_table(connection: sqlite3.Connection) -> None:
    migrate(connection, FILE)
    assert (tables(connection), steps_taken(connection)) == (["streams"], len(MIGRATIONS))
