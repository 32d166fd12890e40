"""The composition root: settings -> store -> streams -> API."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

import streamnorm
from streamnorm import bridges, shared_store
from streamnorm.api.dependencies import AppState, reject_unknown_query
from streamnorm.api.fastpath.asgi import FastPathMiddleware
from streamnorm.api.fastpath.inline import InlineResponder
from streamnorm.api.http import problems
from streamnorm.api.http.metrics import Metrics
from streamnorm.api.middleware.admission import AdmissionLimits, AdmissionMiddleware, RequestIds
from streamnorm.api.middleware.authorization import Authorizer
from streamnorm.api.openapi import document
from streamnorm.api.routes import (
    bulk,
    dashboard,
    influx,
    influx_handshake,
    ingest,
    probes,
    readings,
    sse,
    streams,
    websocket,
)
from streamnorm.api.routes import config as config_routes
from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm.compat.uvicorn import ProxyHeadersMiddleware
from streamnorm.config_reload import ConfigReloader
from streamnorm.engine.config import configuration
from streamnorm.engine.plan import Plan, plan
from streamnorm.engine.ports.blob_store import BlobStore
from streamnorm.engine.ports.stream_repository import StreamRepository
from streamnorm.errors import StoreError
from streamnorm.events.hub import EventHub
from streamnorm.ingest import IngestService
from streamnorm.mappings import Catalogue
from streamnorm.settings import Settings
from streamnorm.stores.local.open import open_store
from streamnorm.stores.local.write_behind import WriteBehindStreams

if TYPE_CHECKING:
    from streamnorm.stores.redis.streams import SharedStreams

log = logging.getLogger(__name__)

DESCRIPTION = (
    "Normalizes sensor readings as they arrive, one at a time: a reading goes in, the same reading at zero mean and "
    "unit variance comes out.\n\n"
    "Beside the calls below, WebSockets at `/v1/streams/{stream_id}/live` and `/v1/live` take a reading a message, and "
    "`/write` and `/api/v2/write` take line protocol."
)


async def save(residents: WriteBehindStreams | SharedStreams) -> None:
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


class ASGIStack(NamedTuple):
    """What the server runs."""

    #: the application behind the guard
    app: ASGIApp
    #: what answers in front of both
    at_once: InlineResponder


def application(settings: Settings) -> tuple[ASGIStack, AppState]:
    """Build what the server runs.

    Raises:
        StoreError: the store, or the keys, cannot be opened.
        InvalidConfiguration: the settings' defaults for streams contradict each other.

    """
    app = create_app(settings)
    context: AppState = app.state.context
    return with_middleware(app, settings, open_api_keys(settings, context.service.streams)), context


def with_middleware(app: FastAPI, settings: Settings, keys: SQLiteApiKeys) -> ASGIStack:
    """Put an application behind the guard, and what is fast in front of each."""
    context: AppState = app.state.context
    access = Authorizer(keys, loopback=settings.loopback, open_to_all=settings.insecure, origins=settings.origins)
    context.checks.append(access.check)
    capacity = AdmissionLimits(
        settings.max_requests,
        settings.max_requests_per_client,
        settings.max_live,
        settings.max_pending_bytes,
        settings.body_timeout,
        settings.body_rate,
    )
    names = RequestIds()
    at_once = InlineResponder(access, names, context.service, context.metrics, context.max_reading_bytes)
    inner: Any = AdmissionMiddleware(with_fast_path(app), access, names, capacity, context.metrics)
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
    return ASGIStack(guard, at_once)


def open_api_keys(settings: Settings, streams: StreamRepository) -> SQLiteApiKeys:
    """Return the keys of the data folder, or those that replicas share with the streams.

    Raises:
        StoreError: they cannot be opened.

    """
    if settings.shared:
        return shared_store.shared_api_keys(streams)
    keys = SQLiteApiKeys(settings.data_dir)
    keys.any()
    return keys


def open_streams(settings: Settings, default_plan: Plan, store: BlobStore | None) -> WriteBehindStreams | SharedStreams:
    """Return the streams of this process, or those that it shares with other replicas.

    Raises:
        StoreError: the store cannot be opened.

    """
    if store is None and settings.shared:
        return shared_store.shared_streams(settings, default_plan)
    return WriteBehindStreams(
        store or open_store(settings.store, settings.data_dir, settings.durability, expiring=settings.stream_ttl > 0),
        default_plan,
        durability=settings.durability,
        max_resident=settings.max_resident_streams,
        max_streams=settings.max_streams,
        ttl=settings.stream_ttl,
    )


def with_fast_path(app: FastAPI) -> FastPathMiddleware:
    """Put the hot path in front of an application."""
    context: AppState = app.state.context
    return FastPathMiddleware(app, context.service, context.max_reading_bytes, context.metrics.refused)


def create_app(settings: Settings, store: BlobStore | None = None) -> FastAPI:
    """Build the application; its lifespan starts and stops what it works with.

    Raises:
        StoreError: the store cannot be opened.
        InvalidConfiguration: the settings' defaults for streams contradict each other, or the file of rules is invalid.

    """
    default_plan = plan(configuration({}, settings.stream_defaults))
    residents = open_streams(settings, default_plan, store)
    mappings = Catalogue()
    config = ConfigReloader(Path(settings.config) if settings.config else None, residents, mappings)
    core = IngestService(residents, limits=settings.limits)
    hub = EventHub(residents.peek)
    core.listeners.append(hub)

    async def settle() -> None:
        if settings.durability == "everysec":  # always: was kept before it was answered; no: is not to be kept
            await residents.flush()

    relays = [shared_store.replica_relay(residents, hub)] if settings.shared and store is None else []
    supervisor = bridges.Supervisor([*bridges.of(settings, core, settle, mappings), *relays], settings.required)
    context = AppState(
        core,
        Metrics(core),
        hub,
        supervisor,
        max_reading_bytes=settings.max_reading_bytes,
        max_block_bytes=settings.max_block_bytes,
        max_binary_bytes=settings.max_binary_bytes,
        mappings=mappings,
        line_stream=settings.line_stream,
        reload=config.reload,
    )
    context.metrics.registry.register(supervisor)
    context.metrics.kinds = lambda: hub.kinds

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await residents.start()
        try:
            await supervisor.start()
            config.listen()
            context.serving = True
            yield
        finally:
            config.stop()
            context.drain()
            try:
                await supervisor.stop()
            finally:
                await save(residents)

    app = FastAPI(
        title="streamnorm",
        version=streamnorm.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # theirs loads its scripts from elsewhere, and is blank offline: ours is in `pages`
        redoc_url=None,
        redirect_slashes=False,  # theirs leads wherever the Host header says
    )
    app.state.context = context
    problems.install(app)
    for router in (readings.router, bulk.router, streams.router, sse.router, config_routes.router):
        app.include_router(router, dependencies=[Depends(reject_unknown_query)])
    for router in (
        ingest.router,
        influx.router,
        influx_handshake.router,
        probes.router,
    ):  # whose callers send parameters of other services
        app.include_router(router)
    websocket.install(app)
    dashboard.install(app)
    app.openapi = lambda: document.schema(app)  # type: ignore[method-assign]
    return app
