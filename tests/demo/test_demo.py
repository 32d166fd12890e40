"""The demo as people run it: a process, its output and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from streamnorm import demo
from streamnorm.demo import machine, rig
from streamnorm_client import Client
from tests.support.processes import PATIENCE, Service

PROGRAM = [sys.executable, "-m", "streamnorm", "demo"]
FAST = ["--rate", "500"]


def start(*options: str) -> subprocess.Popen[str]:
    """Start the demo."""
    command = [*PROGRAM, *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)  # noqa: S603 - our own program


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end, and give exit status, output and errors."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def test_the_same_seed_gives_the_same_readings() -> None:
    assert list(islice(rig.readings(7), 500)) == list(islice(rig.readings(7), 500))


def test_another_seed_gives_other_readings() -> None:
    assert next(rig.readings(7)) != next(rig.readings(8))


def test_the_rig_has_every_kind_of_sensor() -> None:
    columns = {name: [reading[name] for reading in islice(rig.readings(0), 5000)] for name in rig.UNITS}
    assert set(columns["supply"]) == {24.0}
    assert set(columns["door"]) == {0.0, 1.0}
    assert 0 < sum(columns["alarm"]) < 0.05 * 5000
    assert columns["motor"][-1] - columns["motor"][0] > 20
    assert min(columns["pressure"]) / max(columns["vibration"]) > 1e6


def test_this_machine_has_at_least_a_processor_and_memory() -> None:
    assert {"cpu", "memory"} <= next(machine.readings()).keys() <= machine.UNITS.keys()


@pytest.fixture(scope="module")
def shown() -> str:
    """Run the demo for 200 readings; returns what it printed."""
    status, out, err = finish(start("--readings", "200", *FAST))
    assert (status, err) == (0, "")
    return out


def test_the_demo_ends_after_the_readings_asked_for(shown: str) -> None:
    assert "demo-rig: 200 readings" in shown


def test_the_demo_shows_every_sensor_and_what_became_of_it_within_80_columns(shown: str) -> None:
    titles = ["sensor", "raw", "normalized", "mean", "std", "kind"]
    assert titles in [line.split() for line in shown.splitlines()]
    assert all(any(line.split()[:1] == [name] for line in shown.splitlines()) for name in rig.UNITS)


def test_the_demo_tells_what_to_try_next(shown: str) -> None:
    assert "streamnorm serve" in shown
    assert "curl http://127.0.0.1:8000/v1/streams/boiler-7/readings" in shown
    assert "from streamnorm_client import Client" in shown


def test_the_demo_ends_after_the_seconds_asked_for() -> None:
    assert finish(start("--seconds", "0.5", *FAST))[0] == 0


def test_the_demo_shows_this_machines_sensors_too() -> None:
    _, out, _ = finish(start("--machine", "--readings", "40", *FAST))
    assert "demo-machine: 40 readings" in out


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_ends_in_good_order_when_it_is_told_to(how: signal.Signals) -> None:
    process = start(*FAST)
    assert process.stdout is not None
    process.stdout.readline()  # the service runs
    process.send_signal(how)
    status, out, err = finish(process)
    assert (status, err) == (0, "")
    assert "What to try next" in out


def test_the_demo_feeds_a_service_that_runs_already(tmp_path: Path) -> None:
    with Service(tmp_path) as service, Client(service.url) as client:
        finish(start("--url", service.url, "--readings", "50", *FAST))
        assert client.stream("demo-rig").info().count == 50


def test_a_url_that_is_none_is_told_without_a_traceback() -> None:
    status, _, err = finish(start("--url", "localhost:8000", "--readings", "1"))
    assert (status, err) == (1, "streamnorm demo: url 'localhost:8000' is not an http:// or https:// URL\n")


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(sys.modules, "streamnorm.demo.machine", raising=False)
    monkeypatch.delattr(demo, "machine", raising=False)
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert demo.run(machine=True, readings=1) == 1
    assert "psutil is not installed" in capsys.readouterr().err
