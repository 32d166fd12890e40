"""What the routes work with; built by the composition root, found by FastAPI's dependencies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends, Path, Request

from streamnorm.api.http.metrics import Metrics
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.auth.api_keys import ANYONE, ApiKey
from streamnorm.engine.validation import escape_pointer
from streamnorm.errors import Fault
from streamnorm.events.hub import EventHub
from streamnorm.formats.line_protocol import DEFAULT_TEMPLATE
from streamnorm.ingest import IngestService


class Bridges(Protocol):
    """What HTTP asks of the bridges."""

    def check(self) -> None:
        """Raise BridgeUnavailable where one does not work as it has to."""

    def states(self) -> dict[str, str]:
        """Return how each fares, in words, by name."""

    def forget(self, stream_id: str, features: Sequence[str]) -> None:
        """Discard a stream that was deleted."""


@dataclass
class AppState:
    """The service, and what HTTP adds to it."""

    service: IngestService
    metrics: Metrics
    events: EventHub
    bridges: Bridges
    max_reading_bytes: int
    max_block_bytes: int
    max_binary_bytes: int
    #: how the points of line protocol name their streams
    line_stream: str = DEFAULT_TEMPLATE
    #: False while starting and while draining
    serving: bool = False
    #: what else must be well for the service to be ready; each raises what is not
    checks: list[Callable[[], None]] = field(default_factory=list)
    #: set when the service is told to stop: who keeps a connection open ends it then, and says why
    draining: asyncio.Event = field(default_factory=asyncio.Event)

    def drain(self) -> None:
        """Have live connections end, and be ready no more."""
        self.serving = False
        self.events.end()
        self.draining.set()


async def _app_state(request: Request) -> AppState:  # no plain function: FastAPI calls those in another thread
    context: AppState = request.app.state.context
    return context


async def _caller(request: Request) -> ApiKey:
    caller: ApiKey = request.scope.get("caller", ANYONE)
    return caller


def reject_unknown_query(request: Request) -> None:
    """Refuse query parameters that a call does not have: a reading with a mistyped `learn` would be learned from."""
    check_query(request.query_params, [field.alias for field in request.scope["route"].dependant.query_params])


def check_query(names: Iterable[str], known: Sequence[str]) -> None:
    """Refuse query parameters that are none of those known.

    Raises:
        Refused: naming each of them.

    """
    told = f"is unknown; known are {', '.join(known)}" if known else "is unknown; the call has none"
    found = [Fault(f"/query/{escape_pointer(name)}", told) for name in names if name not in known]
    if found:
        raise HTTPProblem.of("invalid-request", found)


Ctx = Annotated[AppState, Depends(_app_state)]
#: Who calls: for calls that do not name their streams in their paths.
Caller = Annotated[ApiKey, Depends(_caller)]
STREAM_ID = r"^[A-Za-z0-9._:~-]{1,128}$"
StreamId = Annotated[
    str, Path(pattern=STREAM_ID, description="1 to 128 letters, digits and . _ : ~ -", examples=["boiler-7"])
]
