"""An in-memory service for testing client programs; `streamnorm_client.testing` runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamnorm.app import create_app
from streamnorm.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def application() -> ASGIApp:
    """Build an application with a store in memory, no keys and the default settings.

    Raises:
        InvalidConfiguration: the environment's defaults for streams contradict each other.

    """
    return create_app(Settings(store="memory", device="cpu"))
