"""Logs: an event begins a line and nothing else does, whatever a client sent."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.logs import Json, Text
from tests.faults.wire import told
from tests.support.processes import Service

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: ")
ATTACK = "/x%0a2026-01-01%2000:00:00,000%20CRITICAL%20forged:%20%1b[2J%e2%80%ae%c2%9b"


def record(message: str, error: Exception | None = None) -> logging.LogRecord:
    """Build a record whose words come from a client."""
    info = None if error is None else (type(error), error, None)
    return logging.LogRecord("service", logging.ERROR, __file__, 1, "%s failed", (message,), info)


@given(st.text(alphabet=st.characters()))
def test_a_message_is_one_line_of_what_can_be_printed(text: str) -> None:
    line = Text().format(record(text))
    assert line.splitlines() == [line]
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", line)
    assert len(json.loads(Json().format(record(text)))["message"].splitlines()) <= 1


@given(st.text())
def test_no_line_of_a_traceback_begins_as_an_event_does(text: str) -> None:
    first, *rest = Text().format(record("POST /", ValueError(f"\n{text}"))).split("\n")
    assert first.endswith("POST / failed")
    assert rest
    assert all(line.startswith("    ") and line.splitlines() == [line] for line in rest)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_path_forges_no_line(tmp_path: Path, form: str) -> None:
    with Service(tmp_path, STREAMNORM_LOG_LEVEL="debug", STREAMNORM_LOG_FORMAT=form) as service:
        told(service, f"GET {ATTACK} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        httpx.get(f"{service.url}/v1/streams/a%0aFORGED%20line")
        httpx.post(f"{service.url}/v1/streams/a%0dFORGED/readings", json={"values": {"x": 1}})
        service.stop()
        lines = service.log.read_bytes().decode().split("\n")[1:]
    assert sum("forged" in line or "FORGED" in line for line in lines) >= 3
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", "".join(lines))
    begins = "{" if form == "json" else LINE
    assert all(re.match(begins, line) for line in lines if line)
