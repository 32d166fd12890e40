"""A real service whose store fails: it is told, nothing that was there is lost, and all is well when it works again."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import forked
from tests.support.processes import PATIENCE, STEP, Service

PATH = "/v1/streams/boiler-7"


@contextmanager
def disk_that_takes_no_more(service: Service) -> Iterator[None]:
    """Have every write of the service to its database fail, as on a full disk."""
    assert service.pid is not None
    before = resource.prlimit(service.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (4000, before[1]))  # the log is smaller, a page is larger
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # stopped meanwhile
            resource.prlimit(service.pid, resource.RLIMIT_FSIZE, before)


def observe(client: httpx.Client, seq: int) -> httpx.Response:
    """Send a numbered reading."""
    return client.post(f"{PATH}/readings", json={"values": {"temp": 20.0 + seq % 7}, "seq": seq})


def until(client: httpx.Client, status: int) -> Any:
    """Wait until the service is ready, or is not; returns what it says."""
    deadline = time.monotonic() + PATIENCE
    while (answer := client.get("/readyz")).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(STEP)
    return answer.json()


@pytest.mark.parametrize("durability", ["always", "everysec"])
def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path, durability: str) -> None:
    with Service(tmp_path, STREAMNORM_DURABILITY=durability) as service, httpx.Client(base_url=service.url) as client:
        taken = [observe(client, seq).status_code for seq in range(1, 31)]
        with disk_that_takes_no_more(service):
            last = next(seq for seq in range(31, 100_000) if observe(client, seq).status_code != 200)
            refused = observe(client, last)
            assert (refused.status_code, refused.json()["type"]) == (503, "/problems/store-unavailable")
            assert refused.headers["retry-after"] == "1"
            assert until(client, 503)["detail"].startswith("the database cannot be used (")
        until(client, 200)
        assert [observe(client, seq).status_code for seq in range(last, last + 10)] == [200] * 10
        count = client.get(PATH).json()["count"]
        service.restart()
        assert (client.get(PATH).json()["count"], count) == (last + 9, last + 9)
    assert taken == [200] * 30
    assert "readings are rejected, they cannot be persisted: cannot use" in service.log.read_text()


def test_a_stop_that_cannot_keep_everything_ends_as_a_failure(tmp_path: Path) -> None:
    with Service(tmp_path, STREAMNORM_DURABILITY="no") as service, httpx.Client(base_url=service.url) as client:
        assert observe(client, 1).status_code == 200
        with disk_that_takes_no_more(service):
            service.ask_to_stop()
            assert service.wait() == 1
    assert "readings since the last commit are lost" in service.log.read_text()


def served(folder: Path) -> subprocess.CompletedProcess[str]:
    """Start a service that cannot start."""
    return forked.ran(["serve", "--port", "0", "--data-dir", str(folder)], os.environ, PATIENCE)


def test_a_folder_that_cannot_be_written_is_told() -> None:
    result = served(Path("/sys/streamnorm"))
    assert result.returncode == 1
    assert result.stderr.startswith("streamnorm cannot start: cannot use the data folder /sys/streamnorm: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("whole", [True, False])
def test_a_damaged_database_is_told_and_left_as_it_is(tmp_path: Path, *, whole: bool) -> None:
    file = tmp_path / "data" / "streamnorm.db"
    with Service(tmp_path) as service, httpx.Client(base_url=service.url) as client:
        for n in range(50):
            client.post(f"/v1/streams/device-{n}/readings", json={"values": {"temp": n}})
        service.stop()
    damaged = bytearray(file.read_bytes())
    damaged[0 if whole else 4096 :] = b"\xff" * (len(damaged) - (0 if whole else 4096))
    file.write_bytes(damaged)
    result = served(tmp_path / "data")
    assert result.returncode == 1
    assert f"{file} is damaged" in result.stderr
    assert "it is left as it is: put a backup in its place" in result.stderr
    assert file.read_bytes() == damaged


def test_clients_that_share_streams_lose_no_update_though_memory_has_room_for_one(tmp_path: Path) -> None:
    clients, readings, streams = 4, 60, 3

    def send(url: str) -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            for n in range(readings):
                path = f"/v1/streams/shared-{n % streams}/readings"
                assert client.post(path, json={"values": {"temp": n}}).status_code == 200

    with Service(tmp_path, STREAMNORM_MAX_RESIDENT_STREAMS="1") as service:
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(send, [service.url] * clients))
        infos = httpx.get(f"{service.url}/v1/streams").json()["streams"]
    assert [info["count"] for info in infos] == [clients * readings // streams] * streams
