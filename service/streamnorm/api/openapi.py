"""What the OpenAPI pages say of bodies that the routes read themselves."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from streamnorm.api import schemas
from streamnorm.api.bodies import JSON, NDJSON
from streamnorm.api.problems import MEDIA_TYPE
from streamnorm.api.schemas import ProblemBody
from streamnorm.engine.config import CONFIGURATIONS
from streamnorm.engine.snapshot import Snapshot

Models = type[BaseModel] | tuple[type[BaseModel], ...]
REF: Final = "#/components/schemas/{model}"
BODY_PROBLEMS: Final = ("malformed-json", "body-too-large", "unsupported-media-type")


def described(
    body: Models | None, answer: type[BaseModel] | None, *statuses: int, created: bool = False, lines: Any = None
) -> dict[str, Any]:
    """Describe a route: what it takes, what it answers, and its problems."""
    every = {*statuses, 422, 503} | ({400, 413, 415} if body else set())
    problem = {MEDIA_TYPE: {"schema": _ref(ProblemBody)}}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": PROBLEMS[status], "content": problem} for status in sorted(every)
    }
    if answer:
        content = {JSON: {"schema": _ref(answer)}} | ({NDJSON: {"schema": {"type": "string"}}} if lines else {})
        responses[200] = {"description": "Done", "content": content}
        if created:
            responses[201] = {"description": "Made", "content": content}
    extra: dict[str, Any] = {}
    if body:
        media: dict[str, Any] = {JSON: {"schema": _any(_all(body))}}
        if lines:
            media[NDJSON] = {"schema": {"type": "string", "description": f"a {lines.__name__} a line"}}
        extra["requestBody"] = {"required": True, "content": media}
    return {"responses": responses, "openapi_extra": extra, "response_model": None}


def schema(app: FastAPI) -> dict[str, Any]:
    """Give the service's OpenAPI document."""
    if not app.openapi_schema:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        models: set[type[BaseModel]] = {Snapshot, *CONFIGURATIONS.values()}
        models |= {
            found for found in vars(schemas).values() if isinstance(found, type) and issubclass(found, BaseModel)
        }
        _, definitions = models_json_schema([(model, "validation") for model in models - {BaseModel}], ref_template=REF)
        document["components"] = {"schemas": definitions["$defs"]}
        app.openapi_schema = document
    return app.openapi_schema


def _all(models: Models | None) -> tuple[type[BaseModel], ...]:
    return () if models is None else models if isinstance(models, tuple) else (models,)


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def _any(models: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    return _ref(models[0]) if len(models) == 1 else {"oneOf": [_ref(model) for model in models]}
