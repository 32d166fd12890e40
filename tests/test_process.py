"""The service as people run it: a process, its options, its end, and what is left after it.

Interpreters of their own start and stop it where that is what a test is about; the others fork it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamnorm.stores.codec import decode
from tests.support import forked
from tests.support.processes import PATIENCE, STEP, FreshService, Service

COMMAND = [sys.executable, "-m", "streamnorm"]
HERE = "/v1/streams/boiler-7"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service that the tests leave running."""
    with Service(tmp_path_factory.mktemp("service")) as running:
        yield running


def ran(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    env = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **environment}
    return forked.ran(arguments, env, PATIENCE)


def observe(service: Service, *xs: float) -> Any:
    """Observe readings; returns the last answer."""
    answer: Any = None
    for x in xs:
        response = httpx.post(f"{service.url}{HERE}/readings", json={"values": {"temp": x}})
        answer = response.raise_for_status().json()
    return answer


def snapshot(service: Service) -> Any:
    """Export the stream."""
    return httpx.get(f"{service.url}{HERE}/snapshot").raise_for_status().json()


def kept(service: Service) -> int:
    """Count the readings that are on disk; the service does not hear of it."""
    file = (service.folder / "data" / "streamnorm.db").as_uri()
    with closing(sqlite3.connect(f"{file}?mode=ro", uri=True)) as connection:
        row = connection.execute("SELECT state FROM streams WHERE id = 'boiler-7'").fetchone()
    return decode("boiler-7", row[0]).count if row else 0


def raw(service: Service, body: bytes, length: int) -> socket.socket:
    """Send a reading whose body claims a length."""
    connection = socket.create_connection(("127.0.0.1", service.port), PATIENCE)
    head = f"POST {HERE}/readings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {length}"
    connection.sendall(head.encode() + b"\r\n\r\n" + body)
    return connection


def gone(service: Service) -> float:
    """Count the callers that went away half-way."""
    text = httpx.get(f"{service.url}/metrics").raise_for_status().text
    found = re.search(r'^streamnorm_refusals_total\{reason="client-gone"\} (.*)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


# Its end


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_ends_with_status_0_and_says_so(tmp_path: Path, how: signal.Signals) -> None:
    with FreshService(tmp_path) as service:
        observe(service, 21.4)
        os.kill(service.pid, how)
        assert service.wait() == 0
        listens, *told = service.log.read_text().splitlines()
    assert listens.startswith("streamnorm ")
    told = [line.partition(" INFO ")[2] for line in told]
    assert [line for line in told if not line.startswith("streamnorm.warmup: ")][-2:] == [
        "streamnorm.server: stopping",
        "streamnorm.app: state saved",
    ]


@pytest.mark.parametrize("durability", ["always", "everysec", "no"])
def test_stopping_and_starting_changes_no_bit(tmp_path: Path, durability: str) -> None:
    with Service(tmp_path, STREAMNORM_DURABILITY=durability) as service:
        observe(service, 21.4, 22.0, 20.3)
        before = snapshot(service)
        service.restart()
        assert snapshot(service) == before
        assert observe(service, 25.0)["count"] == 4


def test_a_killed_service_has_kept_what_was_told_a_while_ago(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        observe(service, *range(20))
        deadline = time.monotonic() + PATIENCE
        while kept(service) < 20 and time.monotonic() < deadline:
            time.sleep(STEP)
        service.kill()
        service.start()
        assert observe(service, 25.0)["count"] == 21


def test_a_service_killed_with_always_has_kept_every_answered_reading(tmp_path: Path) -> None:
    with Service(tmp_path, STREAMNORM_DURABILITY="always") as service:
        observe(service, *range(20))
        before = snapshot(service)
        service.kill()
        service.start()
        assert snapshot(service) == before


# Its start


def test_a_second_process_on_the_same_folder_is_refused(service: Service) -> None:
    folder = service.folder / "data"
    result = ran("serve", "--port", "0", "--data-dir", str(folder))
    assert result.returncode == 1
    assert re.fullmatch(f"streamnorm cannot start: the data folder {folder} is in use by process \\d+\n", result.stderr)


def test_a_port_in_use_is_told_with_its_number(service: Service, tmp_path: Path) -> None:
    result = ran("serve", "--port", str(service.port), "--data-dir", str(tmp_path / "other"))
    message = f"streamnorm cannot listen on 127.0.0.1, port {service.port}: Address already in use\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", message)


def test_a_host_that_is_none_is_told(tmp_path: Path) -> None:
    result = ran("serve", "--host", "256.0.0.1", "--port", "0", "--data-dir", str(tmp_path))
    assert result.returncode == 1
    assert result.stderr.startswith("streamnorm cannot listen on 256.0.0.1, port 0: ")


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--port", "70000", "must be less than or equal to 65535, not 70000"),
        ("--horizon", "1e13", "must be less than or equal to 1000000000000, not 10000000000000.0"),
        ("--forward", "influx:8086", "'influx:8086' is no http:// or https:// address"),
    ],
)
def test_a_bad_option_is_told_without_a_traceback(tmp_path: Path, option: str, value: str, told: str) -> None:
    result = ran("serve", option, value, STREAMNORM_DATA_DIR=str(tmp_path))
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"{option}: {told}\n")


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    result = ran("serve", "--port", "0", "--data-dir", str(file))
    assert (result.returncode, result.stderr) == (
        1,
        f"streamnorm cannot start: cannot use the data folder {file}: it is not a folder\n",
    )


def test_port_0_takes_a_free_port_and_tells_it(tmp_path: Path) -> None:
    command = [*COMMAND, "serve", "--data-dir", str(tmp_path)]
    env = {**os.environ, "STREAMNORM_PORT": "0", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        found = re.search(r"listens on (http://127\.0\.0\.1:\d+) ", process.stdout.readline())
        assert found is not None
        assert httpx.get(f"{found[1]}/healthz", timeout=PATIENCE).json() == {"status": "ok"}
        process.terminate()


# Callers with bad manners


def test_a_caller_that_goes_away_half_way_changes_nothing_and_is_no_failure(service: Service) -> None:
    observe(service, 1.0)
    before, gone_before = snapshot(service), gone(service)
    raw(service, b'{"values": {"temp": 2', 30).close()
    deadline = time.monotonic() + PATIENCE
    while gone(service) == gone_before and time.monotonic() < deadline:
        time.sleep(STEP)
    assert gone(service) > gone_before
    assert snapshot(service) == before
    assert "Traceback" not in service.log.read_text()


def test_a_reading_whose_caller_went_away_is_applied_once_when_it_is_sent_again(service: Service) -> None:
    before = observe(service, 1.0)["count"]
    body = b'{"values": {"temp": 2}, "seq": 7}'
    raw(service, body, len(body)).close()
    answer = httpx.post(f"{service.url}{HERE}/readings", content=body, headers={"content-type": "application/json"})
    assert answer.json()["count"] == snapshot(service)["count"] == before + 1


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(service: Service) -> None:
    with raw(service, b"", 10**12) as connection:
        answer = HTTPResponse(connection)
        answer.begin()
        assert (answer.status, json.load(answer)["type"]) == (413, "/problems/body-too-large")


@pytest.mark.parametrize(
    "request_",
    [b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n" * 50],
    ids=["words", "a version of the future", "TLS", "blank lines"],
)
def test_what_is_no_http_does_not_disturb_others(service: Service, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as connection:
        connection.sendall(request_)
    assert service.alive()
    assert "Traceback" not in service.log.read_text()
