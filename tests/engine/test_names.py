"""Which texts may be names of streams and features."""

from __future__ import annotations

import pytest

from streamnorm.engine.names import is_stream_id, name_fault
from streamnorm_client._calls.requests import id_fault

GOOD = ["a", "boiler-7", "x" * 128, "🏠" * 128, "客厅 1", "Küche", "a=b,c", "50%", "?#&+", "\\", "~1", "ﬁ"]
BAD = {
    "nothing": "",
    "too long": "x" * 129,
    "a line feed": "a\n",
    "a line feed at the end": "boiler-7\n",
    "an escape": "\x1b[31m",
    "a zero": "a\0",
    "half a letter": "\ud800",
    "bytes that were not UTF-8": "a\ufffd",
    "text that runs backwards": "a\u202eb",
    "a space without width": "a\u200bb",
    "a space that does not break": "a\u00a0b",
    "a letter in two parts": "Ku\u0308che",
    "a letter that normalizes to another": "\u212b",
}


@pytest.mark.parametrize("name", GOOD)
def test_is_a_name(name: str) -> None:
    assert name_fault(name) is None
    assert is_stream_id(name)
    assert len(name.encode()) <= 512


@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_is_no_name(name: str) -> None:
    assert name_fault(name)
    assert not is_stream_id(name)


def test_a_slash_may_be_in_a_feature_and_not_in_a_stream() -> None:
    assert name_fault("3303/0/5700") is None
    assert not is_stream_id("a/b")


@pytest.mark.parametrize("name", [*GOOD, *BAD.values(), "a/b"])
def test_the_client_has_the_same_rule(name: str) -> None:
    assert bool(id_fault(name)) is not is_stream_id(name)
