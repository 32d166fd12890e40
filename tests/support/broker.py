"""A real broker, mosquitto, as a process that tests start, stop and kill, and clients that talk to it."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.processes import PATIENCE, STEP, free_port

CONFIG = """
per_listener_settings true
persistence true
persistence_location {folder}/
max_queued_messages 0
user root
listener {port} 127.0.0.1
allow_anonymous true
"""


class Broker:
    """mosquitto on a port and a folder of its own; what it keeps survives a stop.

    `more` is configuration that follows: other listeners, or settings of the first one.
    """

    def __init__(self, folder: Path, more: str = "") -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(CONFIG.format(port=self.port, folder=folder) + more)
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start, and wait until it takes connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(["mosquitto", "-c", str(self._config)], stdout=log, stderr=log)  # noqa: S603, S607
        until(self._answers)
        return self

    def stop(self) -> None:
        """Stop; the broker saves what it keeps."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Leave nothing running."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE)

    def _answers(self) -> bool:
        try:
            with connected(self):
                return True
        except OSError:
            return False


@contextmanager
def connected(broker: Broker) -> Iterator[mqtt.Client]:
    """Connect a client."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def publish(broker: Broker, topic: str, *payloads: object, retain: bool = False) -> None:
    """Publish messages, text and bytes as they are and anything else as JSON, until the broker has them."""
    with connected(broker) as client:
        sent = [
            client.publish(topic, each if isinstance(each, (str, bytes)) else json.dumps(each), qos=1, retain=retain)
            for each in payloads
        ]
        for each in sent:
            each.wait_for_publish(PATIENCE)


class Heard:
    """What a subscriber has heard, in order."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[str, bytes]] = queue.Queue()

    def put(self, topic: str, payload: bytes) -> None:
        """Receive a message."""
        self._queue.put((topic, payload))

    def take(self, count: int) -> list[tuple[str, Any]]:
        """Wait for so many messages: topics, and payloads as JSON or text."""
        return [(topic, _read(payload)) for topic, payload in (self._queue.get(timeout=PATIENCE) for _ in range(count))]

    def waiting(self) -> bool:
        """Return whether there is a message to take."""
        return not self._queue.empty()

    def values(self, count: int) -> list[Any]:
        """Wait for so many normalized readings, and give their values."""
        return [payload["values"] for _, payload in self.take(count)]


@contextmanager
def listening(broker: Broker, *topics: str) -> Iterator[Heard]:
    """Subscribe."""
    heard = Heard()
    subscribed: queue.Queue[None] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: heard.put(message.topic, bytes(message.payload))
    client.on_subscribe = lambda *_: subscribed.put(None)
    client.on_connect = lambda connected, *_: connected.subscribe([(topic, 1) for topic in topics])
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        subscribed.get(timeout=PATIENCE)
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def until(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("it did not become true")
        time.sleep(STEP)


def _read(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode()
