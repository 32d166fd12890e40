"""Media types: which one a body has, and which one its answer is to have (RFC 9110, sections 8.3 and 12.5.1)."""

from __future__ import annotations

import re

from fastapi import Request

from streamnorm.api.http.problems import HTTPProblem

JSON = "application/json"
NDJSON = "application/x-ndjson"
QUALITY = re.compile(r";\s*q=([01](?:\.\d{0,3})?)\s*(?:;|$)")


def media_type(request: Request, *offered: str) -> str:
    """Return which of the media types a call takes the body has; none said is the first.

    Raises:
        Refused: it is none of them.

    """
    given = content_type(request, offered[0])
    if given not in offered:
        raise HTTPProblem(
            "unsupported-media-type", f"the body is {given or 'untyped'}; this call takes {' or '.join(offered)}"
        )
    return given


def content_type(request: Request, default: str = "") -> str:
    """Return the media type that the body is said to have, without its parameters."""
    return request.headers.get("content-type", default).partition(";")[0].strip().lower()


def accepted(request: Request, default: str, *offered: str, to: str) -> str:
    """Choose the media type of the answer: of those asked for the most, the first one; anything is the default.

    `to` is what is answered.

    Raises:
        Refused: none of them is asked for.

    """
    header = request.headers.get("accept", "*/*").lower()
    asked = [(_quality(part), part.partition(";")[0].strip()) for part in header.split(",")]
    for quality, media in sorted(asked, key=lambda one: -one[0]):
        if quality and (media in offered or media in {"*/*", "application/*", ""}):
            return media if media in offered else default
    raise HTTPProblem("not-acceptable", f"the answer to {to} is given as {' or '.join(offered)}, not as {header}")


def _quality(part: str) -> float:
    """Return the weight of one part of an Accept header (RFC 9110, section 12.4.2)."""
    found = QUALITY.search(part)
    return float(found[1]) if found else 1.0
