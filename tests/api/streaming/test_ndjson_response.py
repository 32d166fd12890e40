"""NDJSON that comes in many small parts: a line that grows is not copied with every part."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamnorm.api.codecs.json.readings import ReadingParser
from streamnorm.api.streaming.ndjson_response import NDJSONStreamingResponse
from streamnorm.api.streaming.sessions import LineSession
from streamnorm.engine.limits import Limits
from tests.support.http_calls import Api


class Part(bytes):
    """A part of a body that notices being added to what came before it."""

    def __radd__(self, other: object) -> bytes:
        raise AssertionError("what came before was copied")


async def answers(api: Api, parts: list[bytes], longest: int = 10**6) -> bytes:
    """Answer a body that comes in these parts."""
    sent: list[Any] = []

    async def come() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    session = LineSession(api.app.state.context.service, ReadingParser(Limits(), "s"), longest, lambda *_: None)
    await NDJSONStreamingResponse(session, come(), longest, None)({}, None, send)
    return b"".join(sent)


async def test_a_line_that_comes_in_many_parts_is_joined_once(api: Api) -> None:
    parts: list[bytes] = [Part(bytes([letter])) for letter in b'{"values":[1]}\n{"values":[2]}']
    assert (await answers(api, parts)).count(b'"count"') == 2


@pytest.mark.parametrize("size", [1, 7, 47, 100])
async def test_lines_are_answered_alike_however_they_come(api: Api, size: int) -> None:
    body = b'{"values":[1]}\n\n{"values":[2]}\r\n{"values":[3]}\n{"values":["x"]}\n{"values":[4]}\n'
    said = await answers(api, [body[at : at + size] for at in range(0, len(body), size)])
    assert (said.count(b'"count"'), said.count(b"/3/values/0")) == (3, 2)


async def test_a_line_that_grows_too_long_ends_the_answer_before_its_end_has_come(api: Api) -> None:
    said = await answers(api, [b'{"values":[1]}\n', b"x" * 60, b"x" * 60, b"never read"], 100)
    assert (said.count(b'"count"'), b"line 2 is larger than 100 bytes" in said) == (1, True)
