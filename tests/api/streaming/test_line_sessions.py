"""Lines of many streams that are answered one by one, whichever way their readings are observed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streamnorm.api.codecs.json.readings import ReadingParser
from streamnorm.api.streaming.sessions import TOGETHER, LineSession
from streamnorm.ingest import IngestService
from tests.support.http_calls import Api
from tests.support.turns import turns_during


def session_of(api: Api, *, learn: bool = True) -> LineSession:
    service: IngestService = api.app.state.context.service
    return LineSession(service, ReadingParser(service.limits), 10**6, lambda *_: None, learn=learn)


def lines(prefix: str, streams: int, rows: int, *, seq: bool = False) -> list[bytes]:
    """Return readings of some streams in turn, with an empty line amid them."""
    made = []
    for n in range(rows):
        values = {"temp": 20.0 + n % 7, "door": None if n % 5 == 0 else n % 2}
        numbered = {"seq": n} if seq else {}
        made.append(orjson.dumps({"stream": f"{prefix}-{n % streams}", "values": values, **numbered}))
    return [*made[: rows // 2], b"", *made[rows // 2 :]]


async def in_steps(session: LineSession, given: list[bytes], size: int) -> list[Any]:
    """Answer lines, so many at a time."""
    found: list[Any] = []
    for start in range(0, len(given), size):
        reply = await session.answer(given[start : start + size])
        found += reply.answers
        if not reply.well:
            break
    return found


def unnamed(answers: list[Any]) -> list[Any]:
    """Return answers without the names of their streams, which differ by test."""
    return [orjson.loads(orjson.dumps(answer | {"stream": answer["stream"][-2:]})) for answer in answers]


@pytest.mark.parametrize("seq", [False, True])
@pytest.mark.parametrize("streams", [1, 3, 60, 700])
async def test_lines_are_answered_alike_however_many_come_at_once(api: Api, streams: int, *, seq: bool) -> None:
    rows = max(400, 4 * streams)
    found = []
    for prefix, size in (("a", 1), ("b", 64), ("c", rows + 1)):
        new = await in_steps(session_of(api), lines(prefix, streams, rows, seq=seq), size)
        known = await in_steps(session_of(api), lines(prefix, streams, rows), size)
        assert (len(new), len(known)) == (rows, rows)
        found.append(unnamed(new + known))
    assert found[1] == found[0]
    assert found[2] == found[0]


async def test_the_lines_before_a_fault_are_applied_and_its_answer_names_it(api: Api) -> None:
    await in_steps(session_of(api), lines("d", 20, 200), 1000)
    wrong = lines("d", 20, 200)
    wrong[150] = b'{"stream":"d-0","values":{"temp":"warm","door":1}}'
    found = await in_steps(session_of(api), wrong, 1000)
    assert (len(found), found[-1]["errors"][0]["pointer"]) == (150, "/149/values/temp")
    stale = lines("d", 20, 200, seq=True)
    await in_steps(session_of(api), stale, 1000)
    found = await in_steps(session_of(api), stale[181:], 1000)
    assert [answer.get("replayed") for answer in found] == [True] * 20
    found = await in_steps(session_of(api), stale[100:], 1000)
    assert (len(found), found[0]["title"], found[0]["status"]) == (1, "The sequence number was applied before", 409)


async def test_readings_of_many_streams_that_only_are_normalized_change_nothing(api: Api) -> None:
    await in_steps(session_of(api), lines("e", 20, 200), 1000)
    found = await in_steps(session_of(api, learn=False), lines("e", 20, 200), 1000)
    assert {answer["count"] for answer in found} == {10}


async def test_others_have_their_turn_among_readings_of_very_many_streams(api: Api) -> None:
    given = lines("f", 3 * TOGETHER, 3 * TOGETHER)
    await in_steps(session_of(api), given, len(given))
    assert await turns_during(session_of(api).answer(given)) >= 2
