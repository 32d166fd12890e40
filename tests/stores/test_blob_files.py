"""Streams as a folder of Arrow files: what is written is found, the latest last, and what is no such file is told."""

from __future__ import annotations

import asyncio
import sys
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from streamnorm.errors import StoreCorrupt, StoreError, StoreUnavailable
from streamnorm.stores.blob_files import BlobFiles, save_blobs
from streamnorm.stores.codec import encode
from streamnorm.stores.local.sqlite import SQLiteStore
from tests.support.commands import invoke
from tests.support.engine import fed, new


def test_a_stream_is_found_in_whichever_file_it_is(tmp_path: Path) -> None:
    save_blobs(tmp_path, {"b": b"1", "Z": b"2", "ä": b"3"})
    save_blobs(tmp_path, {"a": b"4", "b": b"5"})
    files = BlobFiles(tmp_path)
    assert [files.get(name) for name in ("a", "b", "Z", "ä", "c")] == [b"4", b"5", b"2", b"3", None]


async def test_ids_come_once_in_byte_order(tmp_path: Path) -> None:
    files = BlobFiles(tmp_path)
    await files.save({"b": b"1", "Z": b"2", "ä": b"3"})
    await files.save({"a": b"4", "b": b"5"})
    assert await files.ids("", 10) == ["Z", "a", "b", "ä"]
    assert await files.ids("Z", 2) == ["a", "b"]
    assert await files.count() == 4
    assert await files.load(["b", "c"]) == [b"5", None]
    await files.close()


def test_saving_nothing_writes_no_file(tmp_path: Path) -> None:
    asyncio.run(BlobFiles(tmp_path).save({}))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_of_streams_is_told(tmp_path: Path) -> None:
    (tmp_path / "0.arrow").write_bytes(b"not Arrow at all")
    with pytest.raises(StoreCorrupt, match=r"0\.arrow is no Arrow file of streams"):
        BlobFiles(tmp_path).get("a")


def test_a_file_of_other_columns_is_told(tmp_path: Path) -> None:
    table = pa.table({"id": ["a"]})
    with pa.OSFile(str(tmp_path / "0.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(StoreCorrupt, match="stream"):
        BlobFiles(tmp_path).get("a")


def test_a_folder_that_cannot_be_written_is_told(sealed: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot write"):
        save_blobs(sealed / "streams", {"a": b"1"})


def test_that_pyarrow_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StoreError, match="pip install"):
        save_blobs(tmp_path, {"a": b"1"})


def migrate(source: str, target: str) -> tuple[int, str]:
    """Run `streamnorm migrate`."""
    done = invoke(["migrate", "--from", source, "--to", target])
    return done.exit_code, done.output


def test_migrate_takes_streams_there_and_back(tmp_path: Path) -> None:
    blobs = {f"s-{place}": encode(fed(new(), seed=place, readings=5)) for place in range(3)}
    with closing(SQLiteStore(tmp_path / "there", synchronous="normal")) as store:
        store.save(blobs)
    code, said = migrate(f"sqlite://{tmp_path}/there", f"blobs://{tmp_path}/files")
    assert code == 0, said
    assert "3 streams: 3 copied, 0 there before; 0 keys copied; the target has 3 streams, all read back" in said
    code, said = migrate(f"blobs://{tmp_path}/files", f"sqlite://{tmp_path}/back")
    assert code == 0, said
    with closing(SQLiteStore(tmp_path / "back", synchronous="normal")) as store:
        assert {name: store.load(name) for name in store.page("", "", 10)} == blobs


def test_migrate_from_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    code, said = migrate(f"blobs://{tmp_path}/nowhere", f"sqlite://{tmp_path}/back")
    assert code == 1
    assert f"there is no folder {tmp_path}/nowhere" in said
