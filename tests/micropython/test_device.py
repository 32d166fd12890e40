"""The client for boards, run by MicroPython's Unix port against a real service."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamnorm import Normalizer
from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm_client import Client
from tests.support.certificates import certificate
from tests.support.docs_page import examples
from tests.support.processes import PATIENCE, ROOT, Service, free_port
from tests.support.proxy import Proxy

CLIENT = ROOT / "clients" / "micropython" / "streamnorm.py"
PROGRAM = Path(sys.executable).with_name("micropython")
HEAD = "import json, os, time\nfrom streamnorm import Problem, Stream\n"
XS = [20.0, 22.5, 19.25, 21.0]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service; tests take streams of their own names."""
    with Service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> str:
    """Name a stream after the test."""
    return f"{request.node.originalname}-{abs(hash(request.node.name))}"


class Board:
    """A board with a folder for its files; each run begins as after a reset."""

    def __init__(self, folder: Path, stream: str) -> None:
        self.folder = folder
        self.outbox = folder / "outbox.txt"
        self._stream = stream

    def run(self, url: str, program: str, **options: object) -> list[Any]:
        """Run a program with the stream as `s`; returns what it prints, line by line, as JSON."""
        settings = {"outbox": "outbox.txt", "attempts": 2, "timeout": 5, **options}
        made = f"s = Stream({url!r}, {self._stream!r}, **{settings!r})\n"
        (self.folder / "main.py").write_text(HEAD + made + program)
        done = subprocess.run(  # noqa: S603 - installed by the Makefile
            [PROGRAM, "main.py"],
            cwd=self.folder,
            env={**os.environ, "MICROPYPATH": f"{CLIENT.parent}:.frozen"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) if line[0] in '[{"0123456789nt' else line for line in done.stdout.splitlines()]

    def waiting(self) -> list[Any]:
        """Read the outbox: the number before the readings, and the readings."""
        return [json.loads(line) for line in self.outbox.read_text().splitlines()] if self.outbox.exists() else []


@pytest.fixture
def board(tmp_path: Path, stream: str) -> Board:
    """Give a board."""
    return Board(tmp_path, stream)


@pytest.fixture
def info(service: Service, stream: str) -> Iterator[Any]:
    """Ask the service for the stream's counters."""
    with Client(service.url) as client:
        yield client.stream(stream).info


def observe(*xs: object) -> str:
    """Write a program that observes and prints the answers."""
    return f"for x in {list(xs)!r}:\n    print(json.dumps(s.observe({{'temp': x}})))\n"


def test_it_fits_a_board() -> None:
    assert len(CLIENT.read_text().splitlines()) <= 150
    assert shutil.which(PROGRAM)


def test_readings_are_numbered_and_normalized(service: Service, board: Board) -> None:
    answers = board.run(service.url, observe(*XS[:2])) + board.run(service.url, observe(*XS[2:]))
    twin = Normalizer()
    assert [answer["values"]["temp"] for answer in answers] == [twin.observe([x]).values[0] for x in XS]
    assert [answer["seq"] for answer in answers] == [1, 2, 3, 4]
    assert board.waiting() == []


def test_a_reading_whose_answer_is_lost_counts_once(service: Service, board: Board, info: Any) -> None:
    with Proxy(service.port) as proxy:
        board.run(proxy.url, observe(XS[0]))
        proxy.cut(1)
        (answer,) = board.run(proxy.url, observe(XS[1]).replace("for", "s._last = 1\nfor"))
    assert (answer["seq"], answer["replayed"]) == (2, True)
    assert info().count == 2


def test_what_finds_no_service_waits_and_is_sent_in_order_with_its_times(
    service: Service, board: Board, info: Any
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert board.run(nowhere, observe(*XS[:2]), attempts=1) == [None, None]
    assert board.run(nowhere, observe(XS[2]), attempts=1) == [None]
    head, *readings = board.waiting()
    assert (head, [reading["values"]["temp"] for reading in readings]) == ([None], XS[:3])
    assert all(reading["timestamp"] > 1.7e9 for reading in readings)
    (answer,) = board.run(service.url, observe(XS[3]))
    twin = Normalizer()
    assert answer["values"]["temp"] == [twin.observe([x]).values[0] for x in XS][-1]
    assert (info().count, info().last_seq, board.waiting()) == (4, 4, [])


def test_a_connection_that_breaks_midway_neither_loses_nor_doubles(service: Service, board: Board, info: Any) -> None:
    numbers = list(range(40))
    with Proxy(service.port, share=0.15, seed=3) as proxy:
        board.run(proxy.url, observe(*numbers), attempts=1)
        assert proxy.broken
    board.run(service.url, "s.flush()\n")
    assert (info().count, info().last_seq, board.waiting()) == (40, 40, [])
    with Client(service.url) as client:
        twin = Normalizer().observe_block([[float(n)] for n in numbers])
        profile = client.stream(info().stream).profile()
        assert profile.features["temp"].count == twin.count


def test_a_reset_between_the_answer_and_the_outbox_sends_nothing_twice(
    service: Service, board: Board, info: Any
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    board.run(service.url, observe(1))
    board.run(nowhere, "s._last = 1\n" + observe(2, 3), attempts=1)
    before = board.outbox.read_bytes()
    board.run(service.url, "s.flush()\n")
    board.outbox.write_bytes(before)  # as if the reset had come before it was removed
    (answer,) = board.run(service.url, observe(4))
    assert (answer["seq"], info().count) == (4, 4)


def test_a_line_that_a_reset_cut_off_spoils_no_other(service: Service, board: Board, info: Any) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    board.run(nowhere, observe(1), attempts=1)
    with board.outbox.open("a") as file:
        file.write('\n{"values": {"te')
    board.run(nowhere, observe(2), attempts=1)
    board.run(service.url, "s.flush()\n")
    assert (info().count, info().last_seq, board.waiting()) == (2, 3, [])


@pytest.mark.parametrize("left", ["", "[", "[1"])
def test_nor_does_an_outbox_that_was_never_written(service: Service, board: Board, info: Any, left: str) -> None:
    board.outbox.write_text(left)
    (answer,) = board.run(service.url, observe(1))
    assert (answer["count"], info().last_seq, board.waiting()) == (1, 1, [])


def test_an_invalid_reading_is_told_and_does_not_hold_up_others(service: Service, board: Board, info: Any) -> None:
    program = "try:\n    s.observe({'temp': 'warm'})\nexcept Problem as problem:\n    print(json.dumps(problem.args))\n"
    ((status, detail),) = board.run(service.url, program)
    assert (status, "must be a number" in detail, board.waiting()) == (422, True, [])
    nowhere = f"http://127.0.0.1:{free_port()}"
    board.run(nowhere, observe(1, "warm", 2), attempts=1)
    told, answer = board.run(service.url, observe(3))
    assert (told.startswith("streamnorm: dropped"), answer["count"], info().count) == (True, 3, 3)


def test_without_a_valid_key_readings_wait(board: Board, tmp_path: Path) -> None:
    key = SQLiteApiKeys(tmp_path / "data").create("board", ["observe"])
    with Service(tmp_path) as guarded:
        told = "try:\n    s.observe([1])\nexcept Problem as problem:\n    print(problem.args[0])\n"
        assert board.run(guarded.url, told, key="sn_wrong") == [401]
        (answer,) = board.run(guarded.url, observe(2), key=key)
    assert answer["count"] == 2


def test_without_an_outbox_the_failure_is_raised(board: Board) -> None:
    program = "try:\n    s.observe([1])\nexcept OSError as error:\n    print(1)\n"
    assert board.run(f"http://127.0.0.1:{free_port()}", program, outbox="", attempts=1) == [1]
    program = "try:\n    Stream('ftp://a', 'b')\nexcept ValueError as error:\n    print(2)\n"
    assert board.run("http://127.0.0.1:9", program) == [2]


def test_then_the_number_of_a_reading_in_doubt_is_not_used_again(service: Service, board: Board, info: Any) -> None:
    program = """
s._last = 0
try:
    s.observe({'temp': 1})
except OSError:
    print(json.dumps(s.observe({'temp': 3})))
"""
    with Proxy(service.port) as proxy:
        proxy.cut(1)
        (answer,) = board.run(proxy.url, program, outbox="", attempts=1)
    assert (answer["seq"], answer["count"], info().count) == (2, 2, 2)


def test_a_full_flash_is_told_and_not_taken_for_a_lost_connection(board: Board) -> None:
    program = "try:\n    s.observe([1])\nexcept OSError as error:\n    print(1)\n"
    assert board.run(f"http://127.0.0.1:{free_port()}", program, outbox="missing/outbox.txt", attempts=1) == [1]


def test_a_full_outbox_drops_the_oldest(service: Service, board: Board, info: Any) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    board.run(nowhere, observe(*range(150)), attempts=1, most=4000)
    head, *readings = board.waiting()
    assert board.outbox.stat().st_size <= 4000
    assert (head, readings[-1]["values"]["temp"], len(readings) >= 50) == ([None], 149, True)
    board.run(service.url, "s.flush()\n")
    assert info().count == len(readings)


def test_missing_values_and_arrays_are_sent(service: Service, board: Board) -> None:
    program = "print(json.dumps(s.observe({'a': float('nan'), 'b': 1, 'ir': [[1, 3]]}, timestamp=1.7e9)))\n"
    (answer,) = board.run(service.url, program)
    assert answer["values"] == {"a": None, "b": 0.0, "ir": [[-1.0, 1.0]]}


def test_https_is_verified(board: Board, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    guarded = Service(tmp_path, STREAMNORM_SSL_CERTFILE=str(cert), STREAMNORM_SSL_KEYFILE=str(key))
    guarded.verify = ssl.create_default_context(cafile=str(cert))
    guarded.url = guarded.url.replace("http://127.0.0.1", "https://localhost")
    (tmp_path / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(cert.read_text()))
    program = """
import ssl
for ca in (open("ca.der", "rb").read(), None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    if ca:
        context.load_verify_locations(cadata=ca)
    try:
        print(Stream(URL, "a", context=context, attempts=1).observe([1])["count"])
    except OSError:
        print(2)
"""
    with guarded:
        assert board.run("http://unused", program.replace("URL", repr(guarded.url))) == [1, 2]


BOARD = {
    "network": """
class WLAN:
    def __init__(self, interface): self._asked = 0
    def active(self, on): pass
    def connect(self, name, password): pass
    def isconnected(self):
        self._asked += 1
        return self._asked > 2
STA_IF = 0
""",
    "machine": """
class Pin:
    OUT = 1
    def __init__(self, number, mode=0): pass
    def on(self): print("on")
class ADC:
    def __init__(self, pin): pass
    def read_uv(self): return VOLTS
def deepsleep(milliseconds): raise SystemExit
""",
}


def test_the_example_of_the_page(service: Service, board: Board) -> None:
    (example,) = (each for each in examples() if each.peer == "micropython")
    program = example.text.replace("http://192.168.1.5:8000", service.url)
    for volts in [1_500_000 + n % 3 * 1000 for n in range(3)]:
        for name, text in BOARD.items():
            (board.folder / f"{name}.py").write_text(text.replace("VOLTS", str(volts)))
        board.run(service.url, program)
    with Client(service.url) as client:
        client.stream("boiler-8").bulk([{"volts": 1.5 + n % 3 / 1000} for n in range(40)])
        (board.folder / "machine.py").write_text(BOARD["machine"].replace("VOLTS", "3_000_000"))
        assert board.run(service.url, program) == ["on"]
        assert client.stream("boiler-8").info().count == 44


def test_what_is_no_service_is_told(board: Board) -> None:
    program = "try:\n    s.observe([1])\nexcept OSError as error:\n    print(json.dumps(str(error)))\n"
    with Proxy(free_port()) as proxy:
        assert board.run(proxy.url, program, outbox="", attempts=1)
