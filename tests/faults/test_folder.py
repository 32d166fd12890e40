"""A real service whose data folder is deleted, replaced, filled up or made read-only under it.

What it answers 200 is there after a restart, what it answers 503 is not, and it says what is wrong: in the log with the
paths, to callers without.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.faults.folders import fragile_disk, full, small_disk, until, writes_failing
from tests.support.processes import PATIENCE, Service

PATH = "/v1/streams/boiler-7"


def observe(client: httpx.Client, stream: str = PATH) -> httpx.Response:
    """Send a reading without a number: nobody could tell it from a second one."""
    return client.post(f"{stream}/readings", json={"values": {"temp": 21.5}})


def counted(client: httpx.Client) -> int:
    """Ask how many readings the stream has."""
    answer = client.get(PATH)
    count: int = answer.json()["count"] if answer.is_success else 0
    return count


def refused(client: httpx.Client) -> httpx.Response:
    """Send readings until one is refused, which takes as long as durability allows."""
    deadline = time.monotonic() + PATIENCE
    while (answer := observe(client)).is_success:
        assert time.monotonic() < deadline
    return answer


def assert_told(answer: httpx.Response, service: Service) -> None:
    """Check that a refusal is one of the store's, and has no path in it."""
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
    assert answer.headers["retry-after"] == "1"
    assert str(service.folder) not in answer.text


def removed(folder: Path) -> None:
    """Remove the database and all that belongs to it."""
    for file in folder.glob("streamnorm.db*"):
        file.unlink()


def without_log(folder: Path) -> None:
    """Remove the log: commits go on into a file that has no name any more."""
    (folder / "streamnorm.db-wal").unlink()


def replaced(folder: Path) -> None:
    """Put a backup in the database's place."""
    backup = folder.with_name("backup.db")
    with closing(sqlite3.connect(folder / "streamnorm.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))
    removed(folder)
    backup.rename(folder / "streamnorm.db")


@pytest.mark.parametrize(
    ("durability", "happen", "told"),
    [
        ("always", shutil.rmtree, "gone"),
        ("always", removed, "gone"),
        ("always", without_log, "gone"),
        ("always", replaced, "replaced"),
        ("everysec", shutil.rmtree, "gone"),
        ("everysec", replaced, "replaced"),
    ],
)
def test_a_folder_that_is_gone_or_replaced_is_told_and_nothing_is_taken(
    tmp_path: Path, durability: str, happen: Callable[[Path], None], told: str
) -> None:
    with Service(tmp_path, STREAMNORM_DURABILITY=durability) as service, httpx.Client(base_url=service.url) as client:
        for _ in range(10):
            observe(client)
        happen(tmp_path / "data")
        if durability == "always":
            assert observe(client).status_code == 503
            assert counted(client) == 10
        for answer in (refused(client), observe(client, "/v1/streams/new"), client.delete(PATH)):
            assert_told(answer, service)
            assert told in answer.json()["detail"]
        assert told in until(client, 503)["detail"]
        assert client.get(PATH).is_success
        service.ask_to_stop()
        assert service.wait() == 1
    assert f"{tmp_path}/data/streamnorm.db" in service.log.read_text()
    assert "readings are rejected, they cannot be persisted" in service.log.read_text()


@pytest.mark.parametrize("durability", ["always", "everysec"])
def test_a_folder_that_comes_back_is_used_again(tmp_path: Path, durability: str) -> None:
    with Service(tmp_path, STREAMNORM_DURABILITY=durability) as service, httpx.Client(base_url=service.url) as client:
        observe(client)
        (tmp_path / "data").rename(tmp_path / "elsewhere")
        assert_told(refused(client), service)
        kept = counted(client)
        (tmp_path / "elsewhere").rename(tmp_path / "data")
        until(client, 200)
        deadline = time.monotonic() + PATIENCE
        while not observe(client).is_success:
            assert time.monotonic() < deadline
        assert counted(client) == kept + 1
        service.restart()
        assert counted(client) == kept + 1
    assert "readings are persisted again" in service.log.read_text()


def test_a_backup_in_the_databases_place_is_used_after_a_restart(tmp_path: Path) -> None:
    with Service(tmp_path, STREAMNORM_DURABILITY="always") as service, httpx.Client(base_url=service.url) as client:
        for _ in range(10):
            observe(client)
        replaced(tmp_path / "data")
        assert_told(observe(client), service)
        service.restart()
        assert counted(client) == 10
        assert observe(client).json()["count"] == 11


@pytest.mark.parametrize("durability", ["always", "everysec"])
def test_on_a_full_disk_a_reading_that_is_refused_does_not_stay_applied(tmp_path: Path, durability: str) -> None:
    with (
        small_disk(tmp_path / "data") as disk,
        Service(tmp_path, STREAMNORM_DURABILITY=durability) as service,
        httpx.Client(base_url=service.url, timeout=PATIENCE) as client,
    ):
        taken = sum(observe(client).is_success for _ in range(20))
        with full(service, disk=disk):
            while (answer := observe(client)).is_success:
                taken += 1
            assert_told(answer, service)
            assert counted(client) == taken
            again = observe(client)  # as a client would, without a number
            assert_told(again, service)
            assert counted(client) == taken
            until(client, 503)
        until(client, 200)
        assert observe(client).json()["count"] == taken + 1
        service.restart()
        assert counted(client) == taken + 1


def test_on_a_full_disk_readings_that_share_a_commit_are_all_kept_or_all_refused(tmp_path: Path) -> None:
    clients, each = 8, 150

    def send(url: str) -> tuple[int, int]:
        own = together = 0
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            for n in range(each):
                many = [{"stream": f"of-all-{part}", "values": {"temp": n}} for part in range(2)]
                own += observe(client).is_success
                together += client.post("/v1/bulk", json={"readings": many}).is_success
        return own, together

    with (
        small_disk(tmp_path / "data") as disk,
        Service(tmp_path, STREAMNORM_DURABILITY="always") as service,
        httpx.Client(base_url=service.url, timeout=PATIENCE) as client,
        ThreadPoolExecutor(clients) as pool,
    ):
        sending = [pool.submit(send, service.url) for _ in range(clients)]
        while not all(one.done() for one in sending):
            with full(service, disk=disk):
                refused(client)
        taken = [one.result() for one in sending]
        own = counted(client)
        service.kill()
        service.start()
        after = {info["stream"]: info["count"] for info in client.get("/v1/streams").json()["streams"]}
    together = sum(number for _, number in taken)
    assert after == {"boiler-7": own, "of-all-0": together, "of-all-1": together}
    assert own >= sum(number for number, _ in taken) > 0
    assert together < clients * each


@pytest.mark.parametrize("durability", ["always", "everysec"])
def test_a_disk_that_became_read_only_is_told_and_loses_nothing_that_was_kept(tmp_path: Path, durability: str) -> None:
    with (
        fragile_disk(tmp_path / "disk", tmp_path / "data") as fail,
        Service(tmp_path, STREAMNORM_DURABILITY=durability) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        taken = sum(observe(client).is_success for _ in range(20))
        if fail is None:
            with writes_failing(service):
                assert_told(refused(client), service)
        else:
            fail()
            assert_told(refused(client), service)
            assert counted(client) >= taken
            until(client, 503)
    assert "readings are rejected, they cannot be persisted: " in service.log.read_text()
