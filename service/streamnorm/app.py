"""The composition root: settings -> store -> streams -> API."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import streamnorm
from streamnorm import bridges, sharing
from streamnorm.api import bulk, events, line_protocol, live, openapi, pages, problems, readings, service, streams
from streamnorm.api.access import Access
from streamnorm.api.at_once import AtOnce
from streamnorm.api.context import Context, known_query
from streamnorm.api.guard import Capacity, Guard, Names
from streamnorm.api.hot import HotPath
from streamnorm.api.metrics import Metrics
from streamnorm.engine.config import configuration
from streamnorm.engine.plan import Plan, plan
from streamnorm.engine.store import Store
from streamnorm.engine.streams import Streams
from streamnorm.errors import StoreError
from streamnorm.events import Hub
from streamnorm.service import Service
from streamnorm.settings import Settings
from streamnorm.stores.keys import Keys
from streamnorm.stores.open import open_store
from streamnorm.stores.residents import Residents

if TYPE_CHECKING:
    from streamnorm.stores.replicated import Replicated

log = logging.getLogger(__name__)

DESCRIPTION = (
    "Normalizes sensor readings as they arrive, one at a time: a reading goes in, the same reading at zero mean and "
    "unit variance comes out.\n\n"
    "Beside the calls below, WebSockets at `/v1/streams/{stream_id}/live` and `/v1/live` take a reading a message, and "
    "`/write` and `/api/v2/write` take line protocol."
)


async def save(residents: Residents | Replicated) -> None:
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


class Front(NamedTuple):
    """What the server runs."""

    #: the application behind the guard
    app: ASGIApp
    #: what answers in front of both
    at_once: AtOnce


def application(settings: Settings) -> tuple[Front, Context]:
    """Build what the server runs.

    Raises:
        StoreError: the store, or the keys, cannot be opened.
        InvalidConfiguration: the settings' defaults for streams contradict each other.

    """
    app = create_app(settings)
    context: Context = app.state.context
    return behind_guard(app, settings, keys_of(settings, context.service.streams)), context


def behind_guard(app: FastAPI, settings: Settings, keys: Keys) -> Front:
    """Put an application behind the guard, and what is fast in front of each."""
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
    names = Names()
    at_once = AtOnce(access, names, context.service, context.metrics, context.max_reading_bytes)
    inner: Any = Guard(in_front(app), access, names, capacity, context.metrics)
    guard: Any = ProxyHeadersMiddleware(inner, os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1"))
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
    return Front(guard, at_once)


def keys_of(settings: Settings, streams: Streams) -> Keys:
    """Give the keys of the data folder, or those that replicas share with the streams.

    Raises:
        StoreError: they cannot be opened.

    """
    if settings.shared:
        return sharing.keys(streams)
    keys = Keys(settings.data_dir)
    keys.any()
    return keys


def streams_of(settings: Settings, default_plan: Plan, store: Store | None) -> Residents | Replicated:
    """Give the streams of this process, or those that it shares with other replicas.

    Raises:
        StoreError: the store cannot be opened.

    """
    if store is None and settings.shared:
        return sharing.streams(settings, default_plan)
    return Residents(
        store or open_store(settings.store, settings.data_dir, settings.durability, expiring=settings.stream_ttl > 0),
        default_plan,
        durability=settings.durability,
        max_resident=settings.max_resident_streams,
        max_streams=settings.max_streams,
        ttl=settings.stream_ttl,
    )


def in_front(app: FastAPI) -> HotPath:
    """Put the hot path in front of an application."""
    context: Context = app.state.context
    return HotPath(app, context.service, context.max_reading_bytes, context.metrics.refused)


def create_app(settings: Settings, store: Store | None = None) -> FastAPI:
    """Build the application; its lifespan starts and stops what it works with.

    Raises:
        StoreError: the store cannot be opened.
        InvalidConfiguration: the settings' defaults for streams contradict each other.

    """
    default_plan = plan(configuration({}, settings.stream_defaults))
    residents = streams_of(settings, default_plan, store)
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
    if settings.shared and store is None:
        ways.append(sharing.relay(residents, hub))

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
    for router in (readings.router, bulk.router, streams.router, events.router):
        app.include_router(router, dependencies=[Depends(known_query)])
    for router in (line_protocol.router, service.router):  # whose callers send parameters of other services
        app.include_router(router)
    live.install(app)
    pages.install(app)
    app.openapi = lambda: openapi.schema(app)  # type: ignore[method-assign]
    return app
