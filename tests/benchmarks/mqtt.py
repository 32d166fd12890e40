"""MQTT beside a bare echo, over a broker: messages a second of the client's processor time."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.benchmarks.report import Row, in_turns
from tests.benchmarks.servers import PATIENCE, ROOT, SERVER, ours, worked
from tests.support.broker import Broker

MESSAGES = 3_000
STREAMS = 100
IN_FLIGHT = 500
ROUNDS = 5
PAYLOAD = b'{"values":{"temp":21.4,"door":0,"light":3.5}}'


class Load:
    """Publishes readings to a broker, and counts what comes back."""

    def __init__(self, broker: Broker) -> None:
        self._came = threading.Semaphore(0)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.on_message = lambda *_: self._came.release()
        self._client.on_connect = lambda client, *_: client.subscribe("sensors/+/normalized", 1)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def begin(self) -> None:
        """Send until something comes back."""
        self._client.publish("sensors/s-0/raw", PAYLOAD, qos=1)
        while not self._came.acquire(timeout=0.2):
            self._client.publish("sensors/s-0/raw", PAYLOAD, qos=1)
        while self._came.acquire(timeout=1.0):
            pass

    def send(self, process: int) -> float:
        """Return the messages that come back in a second of a process's processor time."""
        before = worked(process)
        for number in range(MESSAGES + IN_FLIGHT):
            if number < MESSAGES:
                self._client.publish(f"sensors/s-{number % STREAMS}/raw", PAYLOAD, qos=1)
            if number >= IN_FLIGHT and not self._came.acquire(timeout=PATIENCE):
                raise RuntimeError("a message did not come back")
        return MESSAGES / (worked(process) - before)

    def end(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def loaded(folder: Path) -> Iterator[tuple[Broker, Load]]:
    """Run a broker, and connect to it."""
    with Broker(folder) as broker:
        load = Load(broker)
        try:
            yield broker, load
        finally:
            load.end()


@contextmanager
def echo(broker: Broker) -> Iterator[int]:
    """Run the bare echo; returns its process."""
    command = ["taskset", "--cpu-list", str(SERVER), sys.executable, "-m", "tests.benchmarks.mqtt_echo"]
    process = subprocess.Popen([*command, str(broker.port)], cwd=ROOT)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def measure() -> list[Row]:
    """Compare; each has a broker of its own, which runs where the load does."""
    with (
        tempfile.TemporaryDirectory() as folder,
        loaded(Path(folder, "ours")) as (broker, load),
        loaded(Path(folder, "echo")) as (other, same),
        ours(mqtt=broker.url) as us,
        echo(other) as bare,
    ):
        for each in (load, same):
            each.begin()
        theirs, mine = in_turns(ROUNDS, lambda: same.send(bare), lambda: load.send(us.process))
    note = f"{STREAMS} topics, {IN_FLIGHT} in flight, mosquitto, the client's processor time alone; "
    note += "ours kept and confirmed (QoS 1), the echo not (QoS 0)"
    return [Row("MQTT", "bare aiomqtt echo of the payload", theirs, mine, "/s", "≥ 0.6", note)]
