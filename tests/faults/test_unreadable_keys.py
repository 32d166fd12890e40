"""A real service whose keys cannot be read any more: every way in is refused with 503, and nobody is let in."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from streamnorm.api.middleware.authorization import KEY_CHECK_INTERVAL
from streamnorm.auth.api_keys import RELOAD_INTERVAL, SQLiteApiKeys
from tests.faults.folders import until
from tests.support.processes import PATIENCE, STEP, Service

PATH = "/v1/streams/boiler-7"
READING = {"values": {"temp": 21.5}}


def garbled(file: Path) -> None:
    """Write nonsense over the file, where it is."""
    with file.open("r+b") as open_file:
        open_file.write(b"garbage" * 2000)


def emptied(file: Path) -> None:
    """Leave nothing in it, as a full disk does to what is written anew."""
    file.write_bytes(b"")


def assert_refused(answer: httpx.Response, service: Service) -> None:
    """Check that an answer tells of the store, and no path."""
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"] == "/problems/store-unavailable"
    assert answer.json()["detail"].startswith(("the keys cannot be read", "the file of the keys is gone"))
    assert str(service.folder) not in answer.text


@pytest.mark.parametrize("happen", [garbled, emptied, Path.unlink])
@pytest.mark.parametrize("with_key", [True, False])
def test_every_way_in_is_refused_until_they_can_be_read(
    tmp_path: Path, happen: Callable[[Path], None], *, with_key: bool
) -> None:
    token = SQLiteApiKeys(tmp_path / "data").create("sensor", ["admin"])
    file = tmp_path / "data" / "keys.db"
    whole = file.read_bytes()
    headers = {"authorization": f"Bearer {token}"} if with_key else {}
    with Service(tmp_path) as service, httpx.Client(base_url=service.url, headers=headers) as client:
        for _ in range(3):  # the second one is answered by the parser itself
            assert client.post(f"{PATH}/readings", json=READING).is_success == with_key
        happen(file)
        until(client, 503)
        assert_refused(client.get("/readyz"), service)
        time.sleep(KEY_CHECK_INTERVAL)  # for as long, the fast path may still use what it has decided
        for _ in range(8):  # with what was decided before, and without
            for answer in (
                client.post(f"{PATH}/readings", json=READING),
                client.post(f"{PATH}/readings?stats=true", json=READING),
                client.post(f"{PATH}/bulk", json={"values": [[1.0]]}),
                client.get(PATH),
                client.get("/metrics"),
                client.post("/write", content=b"boiler temp=1"),
            ):
                assert_refused(answer, service)
            time.sleep(RELOAD_INTERVAL / 4)
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://127.0.0.1:{service.port}{PATH}/live", additional_headers=headers)
        assert refused.value.response.status_code == 503
        assert client.get("/healthz").is_success
        file.unlink(missing_ok=True)
        file.write_bytes(whole)
        until(client, 200)
        deadline = time.monotonic() + PATIENCE
        while client.post(f"{PATH}/readings", json=READING).status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(STEP)
        assert client.post(f"{PATH}/readings", json=READING).status_code == (200 if with_key else 401)
    assert service.log.read_text().count("all calls are rejected, the API keys cannot be read") == 1
    assert "Traceback" not in service.log.read_text()
