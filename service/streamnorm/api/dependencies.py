"""The state and dependencies of the routes; built by the composition root, injected by FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple, Protocol

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from streamnorm.api.http.metrics import Metrics
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.auth.api_keys import ANYONE, ApiKey
from streamnorm.config_file import ConfigFile
from streamnorm.engine.limits import LARGEST_NAME
from streamnorm.engine.names import RULE, checked_stream_id
from streamnorm.engine.validation import escape_pointer
from streamnorm.errors import Fault, InvalidConfiguration
from streamnorm.events.hub import EventHub
from streamnorm.formats.ids import DEFAULT_TEMPLATE
from streamnorm.ingest import IngestService
from streamnorm.ingest.refusals import Refusals
from streamnorm.mappings import Catalogue


class ConfigReport(NamedTuple):
    """What a file of rules says after it was read."""

    rules: int
    mappings: int
    #: streams that were configured anew
    streams: int


async def _no_config_file() -> ConfigReport:
    raise InvalidConfiguration.at("", "the service was started without a file of rules (STREAMNORM_CONFIG)")


class Bridges(Protocol):
    """The part of the bridges that HTTP uses."""

    def check(self) -> None:
        """Raise BridgeUnavailable if a required bridge does not work."""

    def states(self) -> dict[str, str]:
        """Return the state of each bridge, in words, by name."""

    def refusals(self) -> Iterable[tuple[str, Refusals]]:
        """Return what each bridge refused, or its peer refused of it, by its name."""

    def forget(self, stream_id: str, features: Sequence[str]) -> None:
        """Discard a stream that was deleted."""


@dataclass
class AppState:
    """The service, and the state that the HTTP layer adds."""

    service: IngestService
    metrics: Metrics
    events: EventHub
    bridges: Bridges
    max_reading_bytes: int
    max_block_bytes: int
    max_binary_bytes: int
    #: what devices send, as readings
    mappings: Catalogue = field(default_factory=Catalogue)
    #: reads the file of rules anew
    reload: Callable[[], Awaitable[ConfigReport]] = _no_config_file
    #: the file of rules in force; None where there is none
    config_file: Callable[[], ConfigFile | None] = lambda: None
    #: how the points of line protocol name their streams
    line_stream: str = DEFAULT_TEMPLATE
    #: False while starting and while draining
    serving: bool = False
    #: further readiness checks; each raises an error if it fails
    checks: list[Callable[[], None]] = field(default_factory=list)
    #: set on graceful shutdown: handlers of long-lived connections then close them with a reason
    draining: asyncio.Event = field(default_factory=asyncio.Event)

    def drain(self) -> None:
        """Begin a graceful shutdown: end live connections, and report not ready."""
        self.serving = False
        self.events.end()
        self.draining.set()


# All dependencies are asynchronous, whether they wait or not: FastAPI calls plain functions in another thread.
async def _app_state(request: Request) -> AppState:
    context: AppState = request.app.state.context
    return context


async def _caller(request: Request) -> ApiKey:
    caller: ApiKey = request.scope.get("caller", ANYONE)
    return caller


async def reject_unknown_query(request: Request) -> None:
    """Reject unknown query parameters: a reading with a mistyped `learn` would be learned from."""
    check_query(request.query_params, [field.alias for field in request.scope["route"].dependant.query_params])


def check_query(names: Iterable[str], known: Sequence[str]) -> None:
    """Reject query parameters that are not in `known`.

    Raises:
        HTTPProblem: some parameters are unknown; the problem names each of them.

    """
    detail = f"is unknown; known are {', '.join(known)}" if known else "is unknown; the call has none"
    faults = [Fault(f"/query/{escape_pointer(name)}", detail) for name in names if name not in known]
    if faults:
        raise HTTPProblem.of("invalid-request", faults)


Ctx = Annotated[AppState, Depends(_app_state)]
#: The authenticated caller, for routes without a stream id in the path.
Caller = Annotated[ApiKey, Depends(_caller)]
StreamId = Annotated[
    str,
    AfterValidator(checked_stream_id),
    Path(description=f"{RULE} without a slash", examples=["boiler-7"], min_length=1, max_length=LARGEST_NAME),
]
