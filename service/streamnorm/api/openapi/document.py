"""Builds the OpenAPI document: bodies that the routes parse themselves, problems, and examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from streamnorm.api.codecs.codec import Described, Lines, Literal
from streamnorm.api.codecs.registry import Codecs
from streamnorm.api.http.negotiation import JSON
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
#: problems that the admission middleware may return
GUARD_PROBLEMS: Final = ("unauthorized", "forbidden", "too-many-requests", "overloaded")


def describe_route(
    body: Models | None,
    answer: type[BaseModel] | None,
    *problems: str,
    created: bool = False,
    codecs: Codecs = MappingProxyType({}),
    guarded: bool = True,
) -> dict[str, Any]:
    """Return FastAPI's route arguments that describe its `body`, its `answer` and its `problems` (slugs).

    `created` adds the status 201. `codecs` are further media types of its bodies and answers; `guarded` calls may
    require a key.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    for slug in (*(BODY_PROBLEMS if body or codecs else ()), *problems, *(GUARD_PROBLEMS if guarded else ())):
        example = examples.PROBLEMS[slug]
        response = responses.setdefault(example["status"], {"description": HTTPStatus(example["status"]).phrase})
        media = response.setdefault("content", {MEDIA_TYPE: {"schema": _ref(ProblemBody.__name__), "examples": {}}})
        media[MEDIA_TYPE]["examples"][slug] = {"summary": example["title"], "value": example}
    content = _content(answer, {media: codec.answer for media, codec in codecs.items()})
    if content:
        responses[200] = {"description": "Done", "content": content}
        if created:
            responses[201] = responses[200] | {"description": "Made"}
    extra: dict[str, Any] = {"security": [{}, {"key": []}]} if guarded else {}
    content = _content(body, {media: codec.body for media, codec in codecs.items()})
    if content:
        extra["requestBody"] = {"required": True, "content": content}
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
        for call in _calls(document["paths"]):  # summaries are taken from docstrings, not from the functions' names
            call["summary"], _, more = call.pop("description").partition("\n\n")
            call.update({"description": more} if more else {})
        for media in _media(document["paths"]):
            refs = media["schema"].get("anyOf", [media["schema"]])
            names = [ref["$ref"].rpartition("/")[2] for ref in refs]
            media.setdefault("examples", {name: {"value": values[name]} for name in names if name in values})
        _drop_null_defaults(definitions["$defs"])
        app.openapi_schema = document
    return app.openapi_schema


def _drop_null_defaults(schemas: dict[str, Any]) -> None:
    """Drop defaults of null, which say nothing: openapi-typescript takes members with a default as required."""
    for schema in schemas.values():
        for member in schema.get("properties", {}).values():
            if member.get("default", ...) is None:
                del member["default"]


def _media(paths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the media type objects of all bodies, answers and problems that refer to a model."""
    for call in _calls(paths):
        for part in (call.get("requestBody", {}), *call["responses"].values()):
            yield from (
                media for media in part.get("content", {}).values() if REFERRED & media.get("schema", {}).keys()
            )


def _calls(paths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (call for path in paths.values() for call in path.values())


def _content(models: Models | None, others: Mapping[str, Described | None]) -> dict[str, Any]:
    """Describe a body or an answer: JSON of one of the models, and other media types."""
    content: dict[str, Any] = {}
    if models:
        refs = [_ref(model.__name__) for model in (models if isinstance(models, tuple) else (models,))]
        content[JSON] = {"schema": refs[0] if len(refs) == 1 else {"anyOf": refs}}
    return content | {media: _form(form) for media, form in others.items() if form is not None}


def _form(form: Described) -> dict[str, Any]:
    if isinstance(form, Literal):
        members = {"schema": form.schema, "example": form.example}
        return {name: member for name, member in members.items() if member is not None}
    return {"schema": _ref(f"{form.model.__name__}Lines" if isinstance(form, Lines) else form.__name__)}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": REF.format(model=name)}
