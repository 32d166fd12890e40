"""The composition root: settings -> store -> streams -> API."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Literal

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

import streamnorm
from streamnorm import bridges
from streamnorm.api import bulk, events, line_protocol, live, openapi, pages, problems, readings, service, streams
from streamnorm.api.access import Access
from streamnorm.api.context import Context
from streamnorm.api.guard import Capacity, Guard
from streamnorm.api.hot import HotPath
from streamnorm.api.metrics import Metrics
from streamnorm.engine.config import configuration
from streamnorm.engine.plan import plan
from streamnorm.engine.store import Store
from streamnorm.errors import StoreError
from streamnorm.events import Hub
from streamnorm.service import Service
from streamnorm.settings import Settings
from streamnorm.stores.keys import Keys
from streamnorm.stores.memory import MemoryStore
from streamnorm.stores.residents import Residents
from streamnorm.stores.sqlite import SQLiteStore

log = logging.getLogger(__name__)

DESCRIPTION = (
    "Normalizes sensor readings as they arrive, one at a time: a reading goes in, the same reading at zero mean and "
    "unit variance comes out."
)


def store_of(settings: Settings) -> Store:
    """Open the store that the settings name.

    Raises:
        StoreError: it cannot be opened.

    """
    if settings.store == "memory":
        return MemoryStore()
    # A write once a second may well wait for the disk: only `no` goes without.
    synchronous: Literal["normal", "full"] = "normal" if settings.durability == "no" else "full"
    return SQLiteStore(settings.data_dir, synchronous=synchronous, expiring=settings.stream_ttl > 0)


async def save(residents: Residents) -> None:
    """Save everything at the end, or tell that it could not be.

    Raises:
        StoreError: what is not saved is lost.

    """
    try:
        await residents.stop()
    except StoreError as error:
        log.critical("readings since the last commit are lost: %s", error)
        raise
    log.info("state saved")


def application(settings: Settings) -> tuple[ASGIApp, Context]:
    """Build what the server runs: the application behind the guard.

    Raises:
        StoreError: the store, or the keys, cannot be opened.
        InvalidConfiguration: the settings' defaults for streams contradict each other.

    """
    keys = Keys(settings.data_dir)
    keys.any()
    app = create_app(settings)
    context: Context = app.state.context
    access = Access(keys, loopback=settings.loopback, open_to_all=settings.insecure, origins=settings.origins)
    capacity = Capacity(
        settings.max_requests,
        settings.max_requests_per_client,
        settings.max_live,
        settings.max_pending_bytes,
        settings.body_timeout,
        settings.body_rate,
    )
    guard: ASGIApp = Guard(in_front(app), access, capacity, context.metrics)
    if settings.origins:
        exposed = ["X-Request-ID", "Retry-After"]
        methods, headers = ["GET", "POST", "PUT", "DELETE"], ["Authorization", "Content-Type", "X-Request-ID"]
        guard = CORSMiddleware(
            guard,
            allow_origins=settings.origins,
            allow_methods=methods,
            allow_headers=headers,
            expose_headers=exposed,
        )
    return guard, context


def in_front(app: FastAPI) -> HotPath:
    """Put the hot path in front of an application."""
    context: Context = app.state.context
    return HotPath(app, context.service, context.max_reading_bytes)


def create_app(settings: Settings, store: Store | None = None) -> FastAPI:
    """Build the application; its lifespan starts and stops what it works with.

    Raises:
        StoreError: the store cannot be opened.
        InvalidConfiguration: the settings' defaults for streams contradict each other.

    """
    default_plan = plan(configuration({}, settings.stream_defaults))
    residents = Residents(
        store or store_of(settings),
        default_plan,
        durability=settings.durability,
        max_resident=settings.max_resident_streams,
        max_streams=settings.max_streams,
        ttl=settings.stream_ttl,
    )
    core = Service(residents, limits=settings.limits, defaults=settings.stream_defaults)
    hub = Hub(residents.peek)
    core.listeners.append(hub)
    context = Context(
        core,
        Metrics(core),
        hub,
        max_reading_bytes=settings.max_reading_bytes,
        max_block_bytes=settings.max_block_bytes,
        max_binary_bytes=settings.max_binary_bytes,
        line_stream=settings.line_stream,
    )

    async def settle() -> None:
        if settings.durability == "everysec":  # always: was kept before it was answered; no: is not to be kept
            await residents.flush()

    ways = bridges.of(settings, core, settle)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await residents.start()
        for bridge in ways:
            await bridge.start()
        context.serving = True
        try:
            yield
        finally:
            context.drain()
            for bridge in ways:
                await bridge.stop()
            await save(residents)

    app = FastAPI(
        title="streamnorm",
        version=streamnorm.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # theirs loads its scripts from elsewhere, and is blank offline: ours is in `pages`
        redoc_url=None,
    )
    app.state.context = context
    problems.install(app)
    for router in (
        readings.router,
        bulk.router,
        streams.router,
        events.router,
        line_protocol.router,
        service.router,
    ):
        app.include_router(router)
    live.install(app)
    pages.install(app)
    app.openapi = lambda: openapi.schema(app)  # type: ignore[method-assign]
    return app
