"""The pages: the dashboard and the API documentation; everything they load comes from this service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

import streamnorm

if TYPE_CHECKING:
    from starlette.types import Scope

FOLDER = Path(streamnorm.__file__).with_name("pages")
#: Browsers revalidate on each load, and get 304 until the service is updated; the middleware adds the other headers.
HEADERS = {"Cache-Control": "no-cache"}


class Files(StaticFiles):
    """The static files of the pages, with the pages' headers."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def install(app: FastAPI) -> None:
    """Serve the pages."""

    async def dashboard() -> Response:
        return FileResponse(FOLDER / "index.html", headers=HEADERS)

    async def docs() -> Response:
        return FileResponse(FOLDER / "docs.html", headers=HEADERS)

    app.add_api_route("/", dashboard, methods=["GET", "HEAD"], include_in_schema=False)

    async def docs_below() -> Response:
        return RedirectResponse("../docs", headers=HEADERS)

    app.add_api_route("/docs", docs, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/docs/", docs_below, methods=["GET", "HEAD"], include_in_schema=False)
    app.mount("/pages", Files(directory=FOLDER), name="pages")
