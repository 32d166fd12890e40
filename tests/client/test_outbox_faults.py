"""Outboxes that were tampered with, damaged, forked or have no room: one bad thing holds up nothing else."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from streamnorm_client import (
    Client,
    Closed,
    Forbidden,
    Outbox,
    OutboxCorrupt,
    OutboxError,
    OutboxForked,
    OutboxUnwritable,
    StreamnormError,
)
from streamnorm_client.testing import InMemoryService
from tests.support.processes import PATIENCE

NOWHERE = "http://127.0.0.1:9"
INSERT = "INSERT INTO readings (stream, body, taken) VALUES (?, ?, 1e10)"

BAD = ["{garbage", "[]", "{}", '{"values":{"x":"warm"}}', '{"values":{"x":NaN}}', b"\xff\xfe", '{"values":{"x":1e999}}']


def rows(path: Path, query: str) -> list[Any]:
    """Look into the file of an outbox that nobody has open."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.text_factory = bytes
        return db.execute(query).fetchall()


def tamper(path: Path, *readings: tuple[str, Any]) -> None:
    """Write readings into the file of an outbox that nobody has open."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.executemany("INSERT OR IGNORE INTO streams VALUES (?)", [(stream,) for stream, _ in readings])
        db.executemany(INSERT, readings)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the file of an empty outbox."""
    file = tmp_path / "readings.db"
    Client(NOWHERE, outbox=file).close()
    return file


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_a_reading_that_cannot_be_sent_is_set_aside_and_the_others_go(
    streamnorm_service: InMemoryService, path: Path, bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    text = bad if isinstance(bad, str) else bad.decode("latin-1")
    tamper(path, ("a", text), ("a", '{"values":{"x":5}}'), ("b", '{"values":{"x":5}}'))
    if isinstance(bad, bytes):
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE readings SET body = CAST(? AS TEXT) WHERE body = ?", (bad, text))
    with streamnorm_service.client(outbox=Outbox(path, linger=0.0)) as client:
        assert client.flush(PATIENCE)
        assert [client.stream(name).info().count for name in ("a", "b")] == [1, 1]
        assert client.waiting == 0
    assert [row[0] for row in rows(path, "SELECT stream FROM set_aside")] == [b"a"]
    assert [record.levelno for record in caplog.records if "is set aside" in record.message] == [logging.ERROR]


def test_readings_of_a_name_that_no_stream_has_are_set_aside(streamnorm_service: InMemoryService, path: Path) -> None:
    tamper(path, ("no name/..", '{"values":{"x":5}}'), ("b", '{"values":{"x":5}}'))
    with streamnorm_service.client(outbox=Outbox(path, linger=0.0)) as client:
        assert client.flush(PATIENCE)
        assert client.stream("b").info().count == 1
    assert len(rows(path, "SELECT * FROM set_aside")) == 1


def test_an_undecodable_reading_may_be_dropped_for_its_age_or_for_want_of_room(path: Path) -> None:
    tamper(path, ("a", "{garbage"))
    dropped: list[Any] = []
    small = Outbox(path, max_bytes=1, on_dropped=lambda *drop: dropped.append(drop))
    with Client(NOWHERE, outbox=small) as client:
        client.stream("a").put({"x": 1})
    assert dropped[0] == ("a", None, None)


def test_a_stream_that_the_key_is_not_for_holds_up_no_other(path: Path) -> None:
    import httpx  # noqa: PLC0415

    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if "pump" in str(request.url) or b"pump" in request.content:
            return httpx.Response(403, json={"type": "/problems/forbidden", "detail": "not for this key"})
        if request.method == "GET":
            return httpx.Response(404, json={"type": "/problems/stream-not-found"})
        sent.append(request.url.path)
        return httpx.Response(200, json={"readings": []})

    outbox = Outbox(path, linger=0.0)
    with Client(NOWHERE, outbox=outbox, transport=httpx.MockTransport(answer)) as client:
        client.stream("pump-1").put({"x": 1})
        client.stream("boiler-1").put({"x": 1})
        deadline = time.monotonic() + PATIENCE
        while not sent and time.monotonic() < deadline:
            client.flush(0.05)
        assert sent
        assert client.waiting == 1
        with pytest.raises(Forbidden):
            client.stream("pump-1").info()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_outbox_is_told_as_such(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "readings.db"
    file.write_bytes(content)
    with pytest.raises(OutboxCorrupt, match=r"readings\.db cannot be read"):
        Client(NOWHERE, outbox=file)
    assert file.read_bytes() == content


def test_a_file_in_a_folder_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(OutboxUnwritable, match="unable to open"):
        Client(NOWHERE, outbox=tmp_path / "nowhere" / "readings.db")


def test_a_reading_that_a_full_disk_does_not_take_is_told_and_the_outbox_goes_on(path: Path) -> None:
    large = {"x": [1.5] * 100_000}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Client(NOWHERE, outbox=path) as client:
        client.stream("a").put({"x": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
        try:
            with pytest.raises(OutboxUnwritable, match="cannot be written"):
                client.stream("a").put(large)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert client.waiting == 1
        client.stream("a").put(large)
        assert client.waiting == 2


def test_putting_in_a_forked_child_is_refused_and_the_parent_goes_on(
    streamnorm_service: InMemoryService, path: Path
) -> None:
    with streamnorm_service.client(outbox=Outbox(path, linger=0.0)) as client:
        client.stream("a").put({"x": 1})
        child = os.fork()
        if child == 0:
            refused = [_refuses(lambda: client.stream("a").put({"x": 2})), _refuses(lambda: client.flush(1))]
            client.close()
            os._exit(0 if all(refused) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.stream("a").put({"x": 3})
        assert client.flush(PATIENCE)
        assert client.stream("a").info().count == 2


def _refuses(call: Any) -> bool:
    try:
        call()
    except OutboxForked:
        return True
    return False


def test_putting_into_a_closed_outbox_is_refused(path: Path) -> None:
    client = Client(NOWHERE, outbox=path)
    client.close()
    with pytest.raises(Closed):
        client.stream("a").put({"x": 1})


def test_errors_of_outboxes_are_the_packages_own() -> None:
    assert issubclass(OutboxError, StreamnormError)
    assert issubclass(OutboxError, RuntimeError)
