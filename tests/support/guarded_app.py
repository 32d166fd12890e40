"""The application behind its guard, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp, Message

from streamnorm.api.dependencies import AppState
from streamnorm.app import application
from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm.settings import Settings


class Guarded:
    """A started application behind its guard, its keys, and a client that calls it."""

    def __init__(self, app: ASGIApp, context: AppState, keys: SQLiteApiKeys, client: httpx.AsyncClient) -> None:
        self.app = app
        self.context = context
        self.keys = keys
        self.client = client

    async def call(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        """Call, with a key or without."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return await self.client.request(method, path, headers=headers | options.pop("headers", {}), **options)


@asynccontextmanager
async def guarded(folder: Path, **settings: Any) -> AsyncIterator[Guarded]:
    """Start the application, as the server does, and stop it afterwards."""
    front, context = application(Settings(data_dir=folder, store="memory", **settings))
    async with lifespan(front.app):
        transport = httpx.ASGITransport(front.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            yield Guarded(front.app, context, SQLiteApiKeys(folder), client)


@asynccontextmanager
async def lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """Speak the lifespan protocol with an application."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def live() -> None:
        await app({"type": "lifespan", "state": {}}, to_app.get, from_app.put)

    living = asyncio.create_task(live())
    await to_app.put({"type": "lifespan.startup"})
    assert (await from_app.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        assert (await from_app.get())["type"] == "lifespan.shutdown.complete"
        await living
