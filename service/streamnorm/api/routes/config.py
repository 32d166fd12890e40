"""The routes about the file of rules: read it anew, and tell what it does to a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Response

from streamnorm.api.dependencies import Ctx, StreamId
from streamnorm.api.http.responses import encoded
from streamnorm.api.openapi.document import describe_route
from streamnorm.api.schemas import ReloadedConfig, StreamRules
from streamnorm.config_file import ConfigFile
from streamnorm.config_file.explanation import Source, holding, sources
from streamnorm.engine.streams.stream import Stream
from streamnorm.logs import printable
from streamnorm.mappings import Mapping

router = APIRouter(prefix="/v1", tags=["configuration"])


@router.post("/config/reload", **describe_route(None, ReloadedConfig, "invalid-configuration", "store-unavailable"))
async def reload(ctx: Ctx) -> Response:
    """Read the file of rules and mappings anew; it takes effect as a whole, or nothing changes."""
    return encoded((await ctx.reload())._asdict())


@router.get(
    "/streams/{stream_id}/rules",
    **describe_route(
        None, StreamRules, "invalid-configuration", "stream-not-found", "invalid-request", "store-unavailable"
    ),
)
async def explain(ctx: Ctx, stream_id: StreamId) -> Response:
    """Tell which rules and mappings matched a stream, and what says each parameter of its features."""
    rulebook, file = ctx.service.streams.rulebook, ctx.config_file()

    def explained(stream: Stream) -> dict[str, Any]:
        found = sources(stream_id, file, rulebook.defaults, rulebook.own(stream.plan))
        # rules speak of a feature by the name that readings give it; an angle's becomes two
        given = {name: stream.layout.source_of(name) for name in stream.layout.names}
        return {
            "stream": stream_id,
            "file": None if file is None else file.path.name,
            "sources": [_source(each, given) for each in found],
            "features": {name: _held(found, source) for name, source in given.items()},
            "mappings": [_mapping(each, topic, file) for each, topic in ctx.mappings.heard(stream_id)],
        }

    return encoded(await ctx.service.streams.read(stream_id, explained))


def _source(each: Source, given: dict[str, str]) -> dict[str, Any]:
    return {
        "by": each.by,
        "line": each.line(),
        "streams": each.streams,
        "features": each.layer.features,
        "matched": [name for name, source in given.items() if each.layer.matches(source)],
        "parameters": dict(each.layer.parameters),
    }


def _held(found: Sequence[Source], feature: str) -> dict[str, Any]:
    """Return the parameters of a feature, each with the place of its source in `found`."""
    return {
        key: {"value": each.value, "source": None if each.source is None else found.index(each.source)}
        for key, each in holding(found, feature).items()
        if each.matters
    }


def _mapping(mapping: Mapping, topic: str, file: ConfigFile | None) -> dict[str, Any]:
    tables = zip(file.mappings, file.mapping_tables, strict=True) if file is not None else ()
    line = next((table.line for known, table in tables if known.name == mapping.name), None)
    return {"name": mapping.name, "line": line, "topic": printable(topic)}
