"""The composition root: builds everything from the settings, top to bottom."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

import streamnorm
from streamnorm import bridges
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
    refusals,
    sse,
    streams,
    websocket,
)
from streamnorm.api.routes import config as config_routes
from streamnorm.auth.ports import ApiKeys
from streamnorm.backends import Backend, open_backend
from streamnorm.compat.uvicorn import ProxyHeadersMiddleware
from streamnorm.config_reload import ConfigReloader
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.ports.blob_store import BlobStore
from streamnorm.engine.ports.stream_repository import StreamRepository
from streamnorm.errors import StoreError
from streamnorm.events.hub import EventHub
from streamnorm.ingest import IngestService
from streamnorm.mappings import Catalogue
from streamnorm.settings import Settings

log = logging.getLogger(__name__)

DESCRIPTION = (
    "Normalizes sensor readings as they arrive, one at a time: a reading goes in, the same reading at zero mean and "
    "unit variance comes out.\n\n"
    "Beside the calls below, WebSockets at `/v1/streams/{stream_id}/live` and `/v1/live` take a reading a message, and "
    "`/write` and `/api/v2/write` take line protocol."
)


@dataclass(frozen=True)
class Container:
    """Everything that a service consists of."""

    settings: Settings
    backend: Backend
    supervisor: bridges.Supervisor
    #: the service itself, its events and metrics, and what HTTP adds
    state: AppState
    #: the routes
    app: FastAPI


class ASGIStack(NamedTuple):
    """What the server runs."""

    #: the application behind the guard
    app: ASGIApp
    #: what answers in front of both
    at_once: InlineResponder


def build(settings: Settings, store: BlobStore | None = None) -> Container:
    """Build a service; with a `store`, its streams are kept there, whatever the settings say.

    Raises:
        StoreError: the store cannot be opened.
        InvalidConfiguration: the settings' defaults for streams contradict each other, or the file of rules is invalid.

    """
    default_plan = plan(configuration({}, settings.stream_defaults))
    backend = open_backend(settings, default_plan, store)
    mappings = Catalogue()
    config = ConfigReloader(Path(settings.config) if settings.config else None, backend.streams, mappings)
    service = IngestService(backend.streams, limits=settings.limits)
    hub = EventHub(backend.streams.peek)
    service.listeners.append(hub)

    async def settle() -> None:
        if settings.durability == "everysec":  # always: was kept before it was answered; no: is not to be kept
            await backend.streams.flush()

    bridged = bridges.of(settings, service, settle, mappings, hub.kind_listeners)
    supervisor = bridges.Supervisor([*bridged, *backend.relays(hub)], settings.required)
    metrics = Metrics(service, lambda: hub.kinds)
    metrics.registry.register(supervisor)
    state = AppState(
        service,
        metrics,
        hub,
        supervisor,
        max_reading_bytes=settings.max_reading_bytes,
        max_block_bytes=settings.max_block_bytes,
        max_binary_bytes=settings.max_binary_bytes,
        mappings=mappings,
        line_stream=settings.line_stream,
        reload=config.reload,
        config_file=lambda: config.file,
    )
    app = routes(state, lambda: running(backend, supervisor, config, state))
    return Container(settings, backend, supervisor, state, app)


def create_app(settings: Settings, store: BlobStore | None = None) -> FastAPI:
    """Build the application alone, without keys and limits; its lifespan starts and stops what it works with.

    Raises:
        StoreError: the `store`, or the one in the `settings`, cannot be opened.
        InvalidConfiguration: the settings' defaults for streams contradict each other.

    """
    return build(settings, store).app


def application(settings: Settings) -> tuple[ASGIStack, AppState]:
    """Build what the server runs.

    Raises:
        StoreError: the store, or the keys, cannot be opened.
        InvalidConfiguration: the settings' defaults for streams contradict each other.

    """
    container = build(settings)
    container.backend.api_keys.open()
    return with_middleware(container.app, container.state, settings, container.backend.api_keys), container.state


@contextlib.asynccontextmanager
async def running(
    backend: Backend, supervisor: bridges.Supervisor, config: ConfigReloader, state: AppState
) -> AsyncIterator[None]:
    """Run what the routes work with: the streams of the `backend`, the bridges of the `supervisor`, the `config`.

    The `state` tells who serves.

    Raises:
        StoreError: what is not saved at the end is lost.

    """
    await backend.streams.start()
    try:
        await supervisor.start()
        config.listen()
        state.serving = True
        yield
    finally:
        config.stop()
        state.drain()
        try:
            await supervisor.stop()
        finally:
            await save(backend.streams)


async def save(streams: StreamRepository) -> None:
    """Save everything at the end, or tell that it could not be.

    Raises:
        StoreError: what is not saved is lost.

    """
    try:
        await streams.stop()
    except StoreError as error:
        log.critical("readings since the last commit are lost: %s", error)
        raise
    log.info("state saved")


def routes(state: AppState, lifespan: Callable[[], AbstractAsyncContextManager[None]]) -> FastAPI:
    """Build the routes, which find the `state` where FastAPI keeps it; they are served during the `lifespan`."""
    app = FastAPI(
        title="streamnorm HTTP API",  # generators name their packages after it: our SDK is streamnorm_client
        generate_unique_id_function=lambda route: route.name,  # and their functions after these
        version=streamnorm.__version__,
        description=DESCRIPTION,
        lifespan=lambda _: lifespan(),
        docs_url=None,  # theirs loads its scripts from elsewhere, and is blank offline: ours is in `pages`
        redoc_url=None,
        redirect_slashes=False,  # theirs leads wherever the Host header says
    )
    app.state.context = state
    problems.install(app)
    checked = [Depends(reject_unknown_query)]  # callers of the other routers send parameters of other services
    app.include_router(readings.router, dependencies=checked)  # routes are tried one after the other: the busiest first
    for router in (ingest.router, influx.router):
        app.include_router(router)
    for router in (bulk.router, streams.router, sse.router, config_routes.router, refusals.router):
        app.include_router(router, dependencies=checked)
    for router in (influx_handshake.router, probes.router):
        app.include_router(router)
    websocket.install(app)
    dashboard.install(app)
    app.openapi = lambda: document.schema(app)  # type: ignore[method-assign] # as FastAPI's documentation has it
    return app


def with_fast_path(app: ASGIApp, state: AppState) -> FastPathMiddleware:
    """Put the fast path in front of an `app` with its `state`."""
    return FastPathMiddleware(app, state.service, state.max_reading_bytes, state.metrics.refused)


def with_middleware(app: ASGIApp, state: AppState, settings: Settings, keys: ApiKeys) -> ASGIStack:
    """Put an `app` with its `state` behind admission, as the `settings` and the `keys` have it, and the fast path."""
    access = Authorizer(keys, loopback=settings.loopback, open_to_all=settings.insecure, origins=settings.origins)
    state.checks.append(access.check)
    capacity = AdmissionLimits(
        settings.max_requests,
        settings.max_requests_per_client,
        settings.max_live,
        settings.max_pending_bytes,
        settings.body_timeout,
        settings.body_rate,
    )
    names = RequestIds()
    at_once = InlineResponder(access, names, state.service, state.metrics, state.max_reading_bytes)
    admission = AdmissionMiddleware(with_fast_path(app, state), access, names, capacity, state.metrics)
    state.metrics.open = lambda: admission.open_requests
    inner: Any = admission  # uvicorn types messages more narrowly than Starlette
    guard: Any = ProxyHeadersMiddleware(inner, os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1"))
    if settings.origins:
        guard = CORSMiddleware(
            guard,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    return ASGIStack(guard, at_once)
