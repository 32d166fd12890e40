"""The event stream: a parser of server-sent events, without I/O.

An event ends with an empty line (WHATWG HTML, 9.2.6). The service sends a comment after 15 seconds without an event, so
a longer silence means a broken connection. A lost connection is reopened with the last event id, if there was one.
"""

from __future__ import annotations

import codecs
import json
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from streamnorm_client._calls.call import Call
from streamnorm_client._calls.retry import delay_before_retry, log_retry
from streamnorm_client._errors import ConnectionFailed, StreamnormError, TransportError
from streamnorm_client._models import SLOTS
from streamnorm_client._problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamnorm_client._http.async_driver import AsyncTransport
    from streamnorm_client._http.sync_driver import Transport

SILENCE = 45.0  # seconds; three of the service's keep-alive intervals
END = "end"
KIND = "kind"


@dataclass(frozen=True, **SLOTS)
class Event:
    """An event: its `type`, its `data`, and its `id`, if it has one.

    `reading`: `stream`, `time` (seconds since 1970), `count`, `ready`, `values`, `normalized`, and sometimes `mean`
    and `std`. `history`: `stream` and its recent `readings`. `latest`: `streams`, each with its counters and first
    values. `dropped`: `readings`, how many were dropped because the client read too slowly. `kind` is a `KindChange`.
    """

    type: str
    data: dict[str, Any]
    id: str | None = None


@dataclass(frozen=True, **SLOTS)
class KindChange(Event):
    """A feature became another kind of sensor: stuck, constant, drifting, alive again, or `invalid`: nothing valid.

    >>> KindChange("kind", {"stream": "s", "feature": "temp", "was": "continuous", "kind": "stuck", "time": 0.0}).kind
    'stuck'
    """

    @property
    def stream(self) -> str:
        """The stream's id."""
        return str(self.data["stream"])

    @property
    def feature(self) -> str:
        """The feature's name."""
        return str(self.data["feature"])

    @property
    def was(self) -> str:
        """The kind until now."""
        return str(self.data["was"])

    @property
    def kind(self) -> str:
        """The kind from now on."""
        return str(self.data["kind"])

    @property
    def time(self) -> float:
        """When the change was noticed, in seconds since 1970."""
        return float(self.data["time"])


@dataclass
class EventCall(Call[None]):
    """The request for events, resumed after `last_id`."""

    last_id: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of an event source."""
        resumed = {} if self.last_id is None else {"last-event-id": self.last_id}
        return {"accept": "text/event-stream", "cache-control": "no-store", **resumed}


class EventSource:
    """Parses events, and decides when to reconnect."""

    #: errors that end a connection, and may be retried
    ERRORS = (TransportError, Problem)

    def __init__(self, params: tuple[tuple[str, str], ...], transport: Transport | AsyncTransport) -> None:
        self._params: Any = params  # names may repeat
        self._transport = transport
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._last_id: str | None = None
        self._attempt = 0
        self._was_connected = False

    def call(self) -> EventCall:
        """Describe the next request."""
        self._text = ""
        self._decoder.reset()
        return EventCall("GET", "/v1/events", lambda _: None, self._params, last_id=self._last_id)

    @property
    def timeout(self) -> httpx.Timeout:
        """The client's timeout, except between events."""
        timeout = self._transport.connection.timeout
        return httpx.Timeout(connect=timeout.connect, write=timeout.write, pool=timeout.pool, read=SILENCE)

    def receive(self, data: bytes) -> Iterator[Event]:
        """Process received bytes, and yield the complete events."""
        self._attempt, self._was_connected = 0, True
        # a CR at the end may be half of a CR LF
        text = self._text + self._decoder.decode(data)
        held = text.endswith("\r")
        *blocks, self._text = (text[:-1] if held else text).replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
        self._text += "\r" * held
        for block in blocks:
            event = self._event(block)
            if event is not None and event.type != END:
                yield event

    def _event(self, block: str) -> Event | None:
        fields: dict[str, str] = {}
        data = []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            else:
                fields[name] = value
        if "id" in fields and "\0" not in fields["id"]:
            self._last_id = fields["id"]
        if not data:
            return None
        try:
            members = json.loads("\n".join(data))
        except ValueError:
            return None  # from another service
        kind = fields.get("event", "message")
        return (KindChange if kind == KIND else Event)(kind, members, fields.get("id"))

    def ended(self) -> ConnectionFailed:
        """Build the error for a connection that the service ended, as it does when it stops."""
        return ConnectionFailed(f"the service at {self._transport.connection.url} ended the event stream")

    def delay_after(self, error: StreamnormError) -> float:
        """Return the seconds to wait before reconnecting, or raise the error if it is permanent."""
        self._attempt += 1
        retries = math.inf if self._was_connected else self._transport.retries
        luck = random.random()  # noqa: S311 - spreads load, guards nothing
        delay = delay_before_retry(self._attempt, retries, error, repeatable=True, luck=luck)
        if delay is None:
            raise error
        log_retry(self.call(), error, self._attempt, delay)
        return delay
