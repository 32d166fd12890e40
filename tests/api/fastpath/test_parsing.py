"""A typical reading is parsed once, wherever it is answered."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamnorm.api.fastpath import asgi, inline
from streamnorm.app import with_middleware
from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm.stores.local import group_commit
from tests.support.http_calls import JSON, running, settings_of
from tests.support.http_wire import Wire, whole

BODY = b'{"values": {"temp": 21.5}}'


@pytest.mark.parametrize(
    ("durability", "quick_commit", "answered_by"),
    [("everysec", 0.0, "inline"), ("always", math.inf, "inline"), ("always", 0.0, "asgi")],
)
async def test_a_reading_is_parsed_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    durability: str,
    quick_commit: float,
    answered_by: str,
) -> None:
    monkeypatch.setattr(group_commit, "QUICK_COMMIT", quick_commit)
    parsed: list[str] = []
    for module in (inline, asgi):
        parse, name = module.parse_simple_reading, module.__name__.rpartition(".")[2]

        def counted(*body: Any, parse: Any = parse, name: str = name) -> Any:
            parsed.append(name)
            return parse(*body)

        monkeypatch.setattr(module, "parse_simple_reading", counted)
    async with running(durability=durability) as api:
        settings = settings_of(insecure=True)
        stack = with_middleware(api.app, api.context, settings, SQLiteApiKeys(tmp_path))
        await api.observe("boiler-7", {"values": {"temp": 20}})
        wire = Wire(stack, settings, whole)
        async with httpx.AsyncClient(transport=wire, base_url="http://streamnorm") as client:
            answer = await client.post("/v1/streams/boiler-7/readings", content=BODY, headers={"content-type": JSON})
    assert answer.json()["count"] == 2
    assert parsed == [answered_by]
