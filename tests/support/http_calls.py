"""Calling the API in this process: the application as it is, its store in memory, its clock stopped.

Every answer is held against the OpenAPI document, whatever else the test asks of it.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from jsonschema_rs import Draft202012Validator
from starlette.routing import BaseRoute

from streamnorm.api.dependencies import AppState
from streamnorm.app import create_app
from streamnorm.engine.ports.blob_store import BlobStore
from streamnorm.settings import Settings
from streamnorm.stores.codec import encode
from streamnorm.stores.local.memory import MemoryStore

NOW = 1_795_338_000.0  # 2026-11-22T09:00:00Z
JSON = "application/json"
NDJSON = "application/x-ndjson"
PROBLEM = "application/problem+json"

Reading = dict[str, Any]


class Api:
    """A started application, and a client that calls it."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient) -> None:
        self.app = app
        self.context: AppState = app.state.context
        self.client = client

    async def get(self, path: str, **params: Any) -> httpx.Response:
        """Get a page."""
        return await self.client.get(path, params=params or None)

    async def post(
        self, path: str, body: object = None, *, method: str = "POST", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a body: text and bytes as they are, anything else as JSON."""
        content = body if isinstance(body, (str, bytes)) or body is None else json.dumps(body)
        return await self.client.request(
            method, path, content=content, headers={"content-type": JSON} | (headers or {})
        )

    async def observe(self, stream: str, *readings: Reading) -> Any:
        """Observe readings one after the other; returns the last answer."""
        answer: Any = None
        for reading in readings:
            response = await self.post(f"/v1/streams/{stream}/readings", reading)
            assert response.status_code == 200, response.text
            answer = response.json()
        return answer

    async def lines(self, path: str, *items: object, headers: dict[str, str] | None = None) -> httpx.Response:
        """Send NDJSON: text as it is, anything else as JSON."""
        body = "\n".join(item if isinstance(item, str) else json.dumps(item) for item in items)
        return await self.post(path, body, headers={"content-type": NDJSON} | (headers or {}))

    async def state(self) -> dict[str, bytes]:
        """Return everything that is kept of every stream, to the bit."""
        streams = self.app.state.context.service.streams
        return {stream_id: encode(stream) for stream_id, stream in await streams.page("", "", 1000)}

    async def check(self, response: httpx.Response) -> None:
        """Hold an answer against the OpenAPI document."""
        await response.aread()
        check_answer(response)


@functools.cache
def settings_of(**values: Any) -> Settings:
    """Return settings with these values; to read the rest from the environment takes longer than a request."""
    return Settings(**values)


@functools.cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return create_app(settings_of(), MemoryStore()).openapi()


@functools.cache
def routers() -> list[BaseRoute]:
    """Return routers for all applications: FastAPI works each out at its first request, for as long as ten requests."""
    return create_app(settings_of(), MemoryStore()).router.routes


def with_routers_of_all(app: FastAPI) -> FastAPI:
    """Give an application the routers that all share; routes of its own, such as that of its pages, stay."""
    app.router.routes[:] = [
        route if hasattr(route, "path") else known for route, known in zip(app.router.routes, routers(), strict=True)
    ]
    return app


@asynccontextmanager
async def running(store: BlobStore | str | None = None, **settings: Any) -> AsyncIterator[Api]:
    """Start the application on a store, or on one that an address names, and stop it afterwards."""
    if isinstance(store, str):
        app = create_app(settings_of(store=store, **settings))
    else:
        app = create_app(settings_of(**settings), store or MemoryStore())
    with_routers_of_all(app)
    app.state.context.service.clock = lambda: NOW
    async with app.router.lifespan_context(app):
        # an error in the application is to become an answer, as it does behind a real server
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://streamnorm") as client:
            api = Api(app, client)
            client.event_hooks["response"] = [api.check]
            yield api


@functools.cache
def described() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Return what paths look like, and the calls that the document describes there."""
    templates = document()["paths"].items()
    return [(re.compile(re.sub(r"\{.*?\}", "[^/]+", template)), calls) for template, calls in templates]


def check_answer(response: httpx.Response) -> None:
    """Hold an answer to a described call against the document: status, media type, form."""
    path = response.request.url.path
    calls: dict[str, Any] = next((calls for pattern, calls in described() if pattern.fullmatch(path)), {})
    call = calls.get(response.request.method.lower())
    if call is None or response.status_code == 500:  # not described: what no caller can bring about
        return
    answer = call["responses"][str(response.status_code)]
    if response.status_code == 204:
        assert not response.content
        return
    media = response.headers["content-type"].partition(";")[0]
    schema = answer["content"][media]["schema"]
    if schema.get("format") == "binary":
        return
    for item in [response.text] if media in {NDJSON, "text/plain"} else [response.json()]:
        valid(schema, item)


def valid(schema: dict[str, Any], item: object) -> None:
    """Hold an item against a schema of the document."""
    validator(json.dumps(schema)).validate(item)


@functools.cache
def validator(schema: str) -> Draft202012Validator:
    """Return what validates against a schema of the document, in JSON."""
    return Draft202012Validator({**json.loads(schema), "components": document()["components"]})


def assert_problem(response: httpx.Response, status: int, slug: str, *pointers: str) -> Any:
    """Assert the one form that every problem has (RFC 9457), and the places it names; returns it."""
    problem = response.json()
    assert response.headers["content-type"] == PROBLEM
    assert (response.status_code, problem["status"], problem["type"]) == (status, status, f"/problems/{slug}")
    assert problem["title"]
    assert problem["detail"]
    assert "Traceback" not in response.text
    assert [fault["pointer"] for fault in problem.get("errors", ())] == list(pointers)
    assert all(fault["detail"] for fault in problem.get("errors", ()))
    members = {"type", "title", "status", "detail", "errors", "last_seq", "limit"}
    assert set(problem) <= members
    return problem
