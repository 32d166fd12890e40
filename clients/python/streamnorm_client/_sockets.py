"""What live connections need of websockets (the extra `live`); imported only where one is made."""

from __future__ import annotations

from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

__all__ = ["InvalidStatus", "WebSocketException", "connect", "connect_async"]
