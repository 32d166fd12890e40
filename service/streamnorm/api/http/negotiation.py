"""Media types of request bodies and content negotiation of responses (RFC 9110, sections 8.3 and 12.5.1)."""

from __future__ import annotations

import re

from fastapi import Request

from streamnorm.api.http.problems import HTTPProblem

JSON = "application/json"
NDJSON = "application/x-ndjson"
QUALITY = re.compile(r";\s*q=([01](?:\.\d{0,3})?)\s*(?:;|$)")


def media_type(request: Request, *offered: str) -> str:
    """Return the media type of the body, by default the first of those `offered`.

    Raises:
        HTTPProblem: the media type is not supported.

    """
    declared = content_type(request, offered[0])
    if declared not in offered:
        raise HTTPProblem(
            "unsupported-media-type", f"the body is {declared or 'untyped'}; this call takes {' or '.join(offered)}"
        )
    return declared


def content_type(request: Request, default: str = "") -> str:
    """Return the declared media type of the body, without its parameters."""
    return essence(request.headers.get("content-type", default))


def essence(media: str) -> str:
    """Return a media type in lower case, without its parameters.

    >>> essence("application/JSON; charset=utf-8")
    'application/json'
    """
    return media.partition(";")[0].strip().lower()


def accepted(request: Request, default: str, *offered: str, to: str) -> str:
    """Choose the media type of the response from those `offered`, by the weights of the Accept header.

    `default` answers a wildcard, or a `request` without the header; `to` names what is answered in the error.

    Raises:
        HTTPProblem: no offered media type is acceptable.

    """
    header = request.headers.get("accept", "*/*").lower()
    ranges = [(_quality(part), part.partition(";")[0].strip()) for part in header.split(",")]
    for quality, media in sorted(ranges, key=lambda item: -item[0]):
        if quality and (media in offered or media in {"*/*", "application/*", ""}):
            return media if media in offered else default
    raise HTTPProblem("not-acceptable", f"the answer to {to} is given as {' or '.join(offered)}, not as {header}")


def _quality(part: str) -> float:
    """Return the weight of one part of an Accept header (RFC 9110, section 12.4.2)."""
    match = QUALITY.search(part)
    return float(match[1]) if match else 1.0
