"""The route that reads the file of rules anew."""

from __future__ import annotations

from fastapi import APIRouter, Response

from streamnorm.api.dependencies import Ctx
from streamnorm.api.http.responses import encoded
from streamnorm.api.openapi.document import describe_route
from streamnorm.api.schemas import ReloadedConfig

router = APIRouter(prefix="/v1/config", tags=["configuration"])


@router.post("/reload", **describe_route(None, ReloadedConfig, "invalid-configuration", "store-unavailable"))
async def reload(ctx: Ctx) -> Response:
    """Read the file of rules and mappings anew; it takes effect as a whole, or nothing changes."""
    return encoded((await ctx.reload())._asdict())
