"""What the routes work with; built by the composition root, found by FastAPI's dependencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request

from streamnorm.api.metrics import Metrics
from streamnorm.service import Service


@dataclass
class Context:
    """The service, and what HTTP adds to it."""

    service: Service
    metrics: Metrics
    max_reading_bytes: int
    max_block_bytes: int
    max_binary_bytes: int
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
