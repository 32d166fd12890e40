"""What the OpenAPI pages say of bodies that the routes read themselves, and of problems; with examples."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from streamnorm.api.bodies import JSON, NDJSON
from streamnorm.api.http.problems import MEDIA_TYPE
from streamnorm.api.openapi import examples
from streamnorm.api.schemas import ProblemBody

Models = type[BaseModel] | tuple[type[BaseModel], ...]
REF: Final = "#/components/schemas/{model}"
REFERRED: Final = {"$ref", "anyOf"}
BODY_PROBLEMS: Final = (
    "malformed-json",
    "malformed-gzip",
    "request-timeout",
    "body-too-large",
    "unsupported-media-type",
    "overloaded",
)
#: what the guard in front of the routes may answer
GUARD_PROBLEMS: Final = ("unauthorized", "forbidden", "too-many-requests", "overloaded")


def describe_route(
    body: Models | None,
    answer: type[BaseModel] | None,
    *problems: str,
    created: bool = False,
    lines: tuple[type[BaseModel], type[BaseModel]] | None = None,
    arrays: str | None = None,
    guarded: bool = True,
) -> dict[str, Any]:
    """Describe a route: what it takes, what it answers, and its problems by their slugs.

    `lines` are what a line of the body and of the answer is where the call also takes NDJSON, `arrays` is the media
    type of the NumPy file that it also takes and gives; `guarded` calls may need a key.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    for slug in (*(BODY_PROBLEMS if body else ()), *problems, *(GUARD_PROBLEMS if guarded else ())):
        example = examples.PROBLEMS[slug]
        found = responses.setdefault(example["status"], {"description": HTTPStatus(example["status"]).phrase})
        content = found.setdefault("content", {MEDIA_TYPE: {"schema": _ref(ProblemBody.__name__), "examples": {}}})
        content[MEDIA_TYPE]["examples"][slug] = {"summary": example["title"], "value": example}
    if answer:
        responses[200] = {"description": "Done", "content": _content((answer,), lines and lines[1], arrays)}
        if created:
            responses[201] = responses[200] | {"description": "Made"}
    extra: dict[str, Any] = {"security": [{}, {"key": []}]} if guarded else {}
    if body:
        models = body if isinstance(body, tuple) else (body,)
        extra["requestBody"] = {"required": True, "content": _content(models, lines and lines[0], arrays)}
    return {"responses": responses, "openapi_extra": extra, "response_model": None}


def schema(app: FastAPI) -> dict[str, Any]:
    """Return the service's OpenAPI document."""
    if not app.openapi_schema:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        worked = examples.worked_example()
        models: list[type[BaseModel]] = [*worked, ProblemBody]
        _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=REF)
        key = {"type": "http", "scheme": "bearer", "description": "made by `streamnorm keys create`"}
        document["components"] = {"schemas": definitions["$defs"], "securitySchemes": {"key": key}}
        values: dict[str, Any] = {}
        for model, value in worked.items():
            name = model.__name__
            values |= {name: value, f"{name}Lines": examples.lines([value])}
            document["components"]["schemas"][f"{name}Lines"] = {
                "type": "string",
                "description": f"NDJSON: a {name} a line",
            }
        for call in _calls(document["paths"]):  # a list of calls tells what each does, not what its function is called
            call["summary"], _, more = call.pop("description").partition("\n\n")
            call.update({"description": more} if more else {})
        for media in _media(document["paths"]):
            names = [found["$ref"].rpartition("/")[2] for found in media["schema"].get("anyOf", [media["schema"]])]
            media.setdefault("examples", {name: {"value": values[name]} for name in names if name in values})
        app.openapi_schema = document
    return app.openapi_schema


def _media(paths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Find what is said of every body, answer and problem, where it refers to a model."""
    for call in _calls(paths):
        for said in (call.get("requestBody", {}), *call["responses"].values()):
            yield from (media for media in said.get("content", {}).values() if REFERRED & media["schema"].keys())


def _calls(paths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (call for path in paths.values() for call in path.values())


def _content(models: tuple[type[BaseModel], ...], line: type[BaseModel] | None, arrays: str | None) -> dict[str, Any]:
    refs = [_ref(model.__name__) for model in models]
    content: dict[str, Any] = {JSON: {"schema": refs[0] if len(refs) == 1 else {"anyOf": refs}}}
    if line:
        content[NDJSON] = {"schema": _ref(f"{line.__name__}Lines")}
    if arrays:
        content[arrays] = {"schema": {"type": "string", "format": "binary"}}
    return content


def _ref(name: str) -> dict[str, str]:
    return {"$ref": REF.format(model=name)}
