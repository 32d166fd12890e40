"""Recordings sent to a running service: without the SDK, through restarts and lost answers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from streamnorm import Normalizer
from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm.backfill.reading.readings import Part
from streamnorm.backfill.sinks import remote as module
from streamnorm.backfill.sinks.remote import NoAnswer, Refused, Remote, remote
from streamnorm.errors import InvalidReading
from tests.support.processes import Service

ROWS = np.random.default_rng(0).normal(20, 3, (50, 2)).round(3)
#: stands in for an installation without the extras
BARE = (
    "import sys\n"
    "for name in ('streamnorm_client', 'httpx', 'duckdb', 'pyarrow', 'numba'):\n"
    "    sys.modules[name] = None\n"
    "from streamnorm.cli import main\nmain()\n"
)


def part(values: np.ndarray = ROWS, times: np.ndarray | None = None) -> Part:
    """Return a part of a recording."""
    return Part("attic", ("x", "y"), values, times, np.zeros(values.shape, np.intp))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service; tests take streams of their own names."""
    with Service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_DELAY", 0.0)


Answers = list[tuple[int, object]]


@contextmanager
def scripted(answers: Answers) -> Iterator[tuple[str, list[tuple[str, str, object]]]]:
    """Run a server that gives these answers in turn; a status of 0 cuts the connection. Yields the requests, too."""
    asked: list[tuple[str, str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked.append((str(self.command), self.path, json.loads(body) if body else None))
            status, content = answers.pop(0)
            if not status:
                return
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_GET  # noqa: N815 - as http.server names them

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_neither_the_sdk_nor_any_extra_is_needed(tmp_path: Path, service: Service) -> None:
    np.savetxt(tmp_path / "shed.csv", ROWS, delimiter=",", header="x,y", comments="", fmt="%.3f")
    command = [sys.executable, "-c", BARE, "backfill", "shed.csv", "--out", "out.csv"]
    for where in (["--url", service.url], ["--data-dir", "data"]):
        done = subprocess.run(  # noqa: S603 - our own program
            [*command, *where, "--again"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found = np.loadtxt(tmp_path / "out.csv", delimiter=",", skiprows=1)
        np.testing.assert_array_equal(found, Normalizer().observe_block(ROWS).values)


def test_missing_values_times_and_configurations_arrive(service: Service) -> None:
    values, times = ROWS.copy(), 1.7e9 + np.arange(50.0)
    values[3, 1] = np.nan
    with remote(service.url, {"horizon": 50}) as sink:
        assert sink.last_seq("attic") == 0
        answer, gap = sink.observe(part(values, times), 1)
        assert sink.last_seq("attic") == 50
        assert set(sink.kinds("attic")) == {"x", "y"}
    np.testing.assert_array_equal(answer, Normalizer(horizon=50).observe_block(values).values)
    assert gap == 0


def test_a_lost_answer_is_computed_again_without_learning() -> None:
    stale = {"type": "/problems/stale-sequence", "detail": "stale", "last_seq": 50}
    with scripted([(0, None), (503, {}), (409, stale), (200, {"values": [[0.5, None]]})]) as (url, asked):
        values, _ = Remote(url, {}).observe(part(), 1)
    np.testing.assert_array_equal(values, [[0.5, np.nan]])
    assert [path for _, path, _ in asked] == ["/v1/streams/attic/bulk"] * 3 + ["/v1/streams/attic/bulk?learn=false"]
    assert asked[0] == asked[1] == asked[2]


def test_numbers_that_another_writer_took_are_refused() -> None:
    stale = {"type": "/problems/stale-sequence", "detail": "seq 1 is not after the last applied seq 50", "last_seq": 50}
    with scripted([(409, stale)]) as (url, _), pytest.raises(Refused, match="last applied seq 50"):
        Remote(url, {}).observe(part(), 1)


def test_what_the_service_refuses_is_told_in_its_words_and_not_sent_again() -> None:
    problem = {"type": "/problems/forbidden", "title": "Forbidden", "detail": "the key does not allow observe"}
    with scripted([(403, problem)]) as (url, asked), pytest.raises(Refused, match="the key does not allow observe"):
        Remote(url, {}).observe(part(), 1)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, b"<html>"), "is this a streamnorm service"),
        ((404, b"<html>"), "was answered with 404"),
        ((0, None), "no answer from http://127.0.0.1"),
    ],
)
def test_a_wrong_address_is_told_at_once(answer: tuple[int, object], told: str) -> None:
    with scripted([answer]) as (url, _), pytest.raises((NoAnswer, Refused), match=told), remote(url, {}):
        pass


@pytest.mark.parametrize("url", ["localhost:8000", "file:///etc/passwd", "http://", ""])
def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(NoAnswer, match="is not the address of a service"):
        Remote(url, {})


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = SQLiteApiKeys(tmp_path / "data").create("loader", ["observe"])
    with Service(tmp_path) as guarded:
        with pytest.raises(Refused, match="key"):
            Remote(guarded.url, {}).last_seq("attic")
        monkeypatch.setenv("STREAMNORM_KEY", key)
        assert Remote(guarded.url, {}).observe(part(), 1)[0].shape == ROWS.shape


def test_infinity_is_refused_before_it_could_be_taken_for_a_missing_value() -> None:
    with pytest.raises(InvalidReading, match="infinite"):
        Remote("http://127.0.0.1:9", {}).observe(part(np.array([[1.0, np.inf]])), 1)
