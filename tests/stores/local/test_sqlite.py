"""What the SQLite store promises beyond the conformance suite: faults are told, and nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from threading import Thread
from typing import Literal

import pytest

from streamnorm.errors import StoreCorrupt, StoreError, StoreInUse, StoreUnavailable
from streamnorm.stores.local import sqlite
from streamnorm.stores.local.sqlite import SQLiteStore

BLOB = bytes(1000)


def opened(folder: Path) -> closing[SQLiteStore]:
    return closing(SQLiteStore(folder, synchronous="normal"))


def by_hand(folder: Path, *statements: str) -> None:
    """Change the file as an outsider would."""
    with closing(sqlite3.connect(folder / "streamnorm.db")) as outsider, outsider:
        for statement in statements:
            outsider.execute(statement)


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[SQLiteStore]:
    """Yield a store that is soon full: a disk of 256 kB where we may mount one, else SQLite's own limit."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "streamnorm", str(tmp_path)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own command
    with ExitStack() as cleanup:
        if mounted:
            cleanup.callback(subprocess.run, ["umount", str(tmp_path)], check=True)
        store = cleanup.enter_context(opened(tmp_path))
        if not mounted:
            store._writer.execute("PRAGMA max_page_count = 60")  # noqa: SLF001 - cannot be reached from outside
        yield store


def fill(store: SQLiteStore) -> int:
    """Save one stream after the other until the store refuses; return how many it took."""
    with suppress(StoreUnavailable):
        for n in range(1000):
            store.save({f"stream-{n}": BLOB})
    assert n < 999, "the disk was never full"
    return n


def test_blobs_survive_a_clean_stop(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.save({"boiler-7": BLOB})
    with opened(tmp_path) as store:
        assert store.load("boiler-7") == BLOB


def test_a_clean_stop_leaves_one_file_to_copy(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.save({"boiler-7": BLOB})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["streamnorm.db", "streamnorm.lock"]


@pytest.mark.parametrize(("synchronous", "level"), [("normal", 1), ("full", 2)])
def test_saves_are_as_durable_as_asked(tmp_path: Path, synchronous: Literal["normal", "full"], level: int) -> None:
    with closing(SQLiteStore(tmp_path, synchronous=synchronous)) as store:
        assert store._writer.execute("PRAGMA synchronous").fetchone() == (level,)  # noqa: SLF001 - only power loss shows it


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    with opened(tmp_path / "a?mode=ro#b %41") as store:
        store.save({"boiler-7": BLOB})
    assert (tmp_path / "a?mode=ro#b %41" / "streamnorm.db").exists()


def test_a_second_store_on_the_folder_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StoreInUse, match=f"by process {os.getpid()}$"):
        SQLiteStore(tmp_path, synchronous="normal")


def test_a_load_does_not_wait_for_a_save(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.save({"boiler-7": b"before"})
        with closing(sqlite3.connect(tmp_path / "streamnorm.db", isolation_level=None)) as outsider:
            outsider.execute("BEGIN IMMEDIATE")  # the save waits for this
            save = Thread(target=store.save, args=[{"boiler-7": b"after"}])
            save.start()
            assert store.load("boiler-7") == b"before"
            assert save.is_alive()
            outsider.execute("ROLLBACK")
            save.join()
        assert store.load("boiler-7") == b"after"


def test_threads_may_save_and_load_at_once(tmp_path: Path) -> None:
    lost: list[str] = []

    def use(store: SQLiteStore, name: str) -> None:
        for n in range(50):
            store.save({name: b"%d" % n})
            if store.load(name) != b"%d" % n:
                lost.append(f"{name} {n}")

    with opened(tmp_path) as store:
        threads = [Thread(target=use, args=[store, f"stream-{k}"]) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert lost == []


def test_the_log_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAL_KEPT", 2**20)
    with opened(tmp_path) as store:
        store.save(dict.fromkeys(map(str, range(20)), bytes(2**20)))
        for _ in range(1500):
            store.save({"boiler-7": BLOB})
        assert (tmp_path / "streamnorm.db-wal").stat().st_size < 6 * 2**20


def test_a_full_disk_is_told_with_its_folder_and_free_space(cramped: SQLiteStore, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=rf"the disk of {tmp_path} is full \(\d+\.\d MiB free\)"):
        cramped.save({"boiler-7": bytes(2**20)})


def test_a_full_disk_loses_nothing_that_was_saved(cramped: SQLiteStore) -> None:
    saved = fill(cramped)
    assert all(cramped.load(f"stream-{n}") == BLOB for n in range(saved))


def test_a_save_that_a_full_disk_refuses_changes_nothing(cramped: SQLiteStore) -> None:
    cramped.save({"boiler-7": b"before"})
    with pytest.raises(StoreUnavailable):
        cramped.save({"boiler-7": b"after", "boiler-8": bytes(2**20)})
    assert cramped.load("boiler-7") == b"before"


def test_a_save_that_fits_succeeds_after_one_that_did_not(cramped: SQLiteStore) -> None:
    with pytest.raises(StoreUnavailable):
        cramped.save({"boiler-7": bytes(2**20)})
    cramped.save({"boiler-7": BLOB})
    assert cramped.load("boiler-7") == BLOB


def test_a_file_that_is_no_database_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "streamnorm.db"
    file.write_bytes(b"garbage " * 1000)
    with pytest.raises(StoreCorrupt, match=rf"^{file} is damaged .* it is left as it is: put a backup in its place"):
        SQLiteStore(tmp_path, synchronous="full")
    assert file.read_bytes() == b"garbage " * 1000


def test_damage_inside_the_file_is_told_when_it_is_met(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.save({f"stream-{n}": BLOB for n in range(100)})
    file = tmp_path / "streamnorm.db"
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with opened(tmp_path) as store, pytest.raises(StoreCorrupt, match=f"^{file} is damaged"):
        store.load("stream-50")


def test_another_programs_database_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    by_hand(tmp_path, "CREATE TABLE streams (anything)", "INSERT INTO streams VALUES ('precious')")
    theirs = (tmp_path / "streamnorm.db").read_bytes()
    with pytest.raises(StoreCorrupt, match="table streams already exists"):
        SQLiteStore(tmp_path, synchronous="full")
    assert (tmp_path / "streamnorm.db").read_bytes() == theirs


def test_a_newer_versions_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    by_hand(tmp_path, "CREATE TABLE future (id)", "PRAGMA user_version = 1000")
    theirs = (tmp_path / "streamnorm.db").read_bytes()
    with pytest.raises(StoreError, match="written by a newer streamnorm"):
        SQLiteStore(tmp_path, synchronous="full")
    assert (tmp_path / "streamnorm.db").read_bytes() == theirs


def test_a_folder_is_free_again_after_a_refused_start(tmp_path: Path) -> None:
    file = tmp_path / "streamnorm.db"
    file.write_bytes(b"garbage " * 1000)
    with pytest.raises(StoreCorrupt):
        SQLiteStore(tmp_path, synchronous="full")
    file.rename(tmp_path / "aside")
    with opened(tmp_path) as store:
        assert store.count() == 0


def test_a_folder_in_the_files_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "streamnorm.db").mkdir()
    with pytest.raises(StoreUnavailable, match=r"streamnorm\.db: unable to open database file$"):
        SQLiteStore(tmp_path, synchronous="full")


def test_a_read_only_folder_is_told(sealed: Path) -> None:
    with pytest.raises(StoreUnavailable, match=f"{sealed}: Permission denied$"):
        SQLiteStore(sealed, synchronous="full")


def test_check_tells_of_a_file_that_is_gone(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        (tmp_path / "streamnorm.db").unlink()
        with pytest.raises(StoreUnavailable, match=r"streamnorm\.db is gone"):
            store.check()


def test_check_tells_of_a_lock_that_an_outsider_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0)
    with opened(tmp_path) as store, closing(sqlite3.connect(tmp_path / "streamnorm.db")) as outsider:
        outsider.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="database is locked"):
            store.check()


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        pass
    with pytest.raises(StoreUnavailable, match="closed"):
        store.load("boiler-7")
