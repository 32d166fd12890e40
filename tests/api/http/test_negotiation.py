"""Which media type an answer has (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import pytest
from fastapi import Request

from streamnorm.api.http.negotiation import JSON, NDJSON, accepted
from streamnorm.api.http.problems import HTTPProblem


def answered(accept: str | None) -> str:
    """Choose for a bulk call, whose default is NDJSON."""
    headers = [] if accept is None else [(b"accept", accept.encode())]
    return accepted(Request({"type": "http", "headers": headers}), NDJSON, JSON, NDJSON, to="a bulk")


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, NDJSON),
        ("", NDJSON),
        ("*/*", NDJSON),
        ("application/*;q=0.1", NDJSON),
        (JSON, JSON),
        (f"{NDJSON};q=0.5, {JSON}", JSON),
        (f"{JSON};q=0.2, {NDJSON};q=0.3", NDJSON),
        (f"{NDJSON};q=0, {JSON}", JSON),
        (f"text/html, {JSON.upper()};q=0.001", JSON),
    ],
)
def test_what_is_wanted_most_is_answered(accept: str | None, media: str) -> None:
    assert answered(accept) == media


@pytest.mark.parametrize("accept", [f"{NDJSON};q=0", "*/*;q=0.0", f"{JSON};q=0, text/html", "text/*"])
def test_what_is_not_wanted_is_refused(accept: str) -> None:
    with pytest.raises(HTTPProblem, match="is given as") as caught:
        answered(accept)
    assert caught.value.slug == "not-acceptable"
