"""What the routes work with; built by the composition root, found by FastAPI's dependencies."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Path, Request

from streamnorm.api.metrics import Metrics
from streamnorm.engine.limits import Limits
from streamnorm.engine.streams import Streams


@dataclass
class Context:
    """The streams and what is accepted of them."""

    streams: Streams
    stream_defaults: dict[str, Any]
    limits: Limits
    max_reading_bytes: int
    max_block_bytes: int
    clock: Callable[[], float] = time.time
    metrics: Metrics = field(default_factory=Metrics)
    #: False while starting and while draining
    serving: bool = False


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]
STREAM_ID = r"^[A-Za-z0-9._:~-]{1,128}$"
StreamId = Annotated[
    str, Path(pattern=STREAM_ID, description="1 to 128 letters, digits and . _ : ~ -", examples=["boiler-7"])
]
