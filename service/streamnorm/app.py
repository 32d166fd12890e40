"""The composition root: settings -> store -> streams -> API."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI

import streamnorm
from streamnorm.api import bulk, openapi, problems, readings, service, streams
from streamnorm.api.context import Context
from streamnorm.api.hot import HotPath
from streamnorm.api.metrics import Metrics
from streamnorm.engine.config import configuration
from streamnorm.engine.plan import plan
from streamnorm.engine.store import Store
from streamnorm.service import Service
from streamnorm.settings import Settings
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
    return SQLiteStore(settings.data_dir, synchronous="normal" if settings.durability == "no" else "full")


def application(settings: Settings) -> HotPath:
    """Build what the server runs: the application behind its hot path."""
    return in_front(create_app(settings))


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
    residents = Residents(store or store_of(settings), default_plan, durability=settings.durability)
    core = Service(residents, limits=settings.limits, defaults=settings.stream_defaults)
    context = Context(
        core,
        Metrics(core),
        max_reading_bytes=settings.max_reading_bytes,
        max_block_bytes=settings.max_block_bytes,
        max_binary_bytes=settings.max_binary_bytes,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await residents.start()
        context.serving = True
        try:
            yield
        finally:
            context.serving = False
            await residents.stop()
            log.info("state saved")

    app = FastAPI(
        title="streamnorm",
        version=streamnorm.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.context = context
    problems.install(app)
    for router in (readings.router, bulk.router, streams.router, service.router):
        app.include_router(router)
    app.openapi = lambda: openapi.schema(app)  # type: ignore[method-assign]
    return app
