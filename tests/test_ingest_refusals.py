"""Refusals are counted one by one, and logged once a minute a reason."""

from __future__ import annotations

import logging

import pytest

from streamnorm.ingest.refusals import Refusals


def test_a_reason_is_logged_once_a_minute_with_an_example_and_a_count(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    refusals = Refusals(logging.getLogger("test"), "refused", lambda: now[0])
    for second in range(90):
        now[0] = second
        refusals.add("too large", f"message {second}", label="a/+")
        if second == 10:
            refusals.add("no number", "word " * 200, label="b/+")
    assert [record.getMessage() for record in caplog.records] == [
        "refused: 1 too large (1 since the start), such as message 0",
        f"refused: 1 no number (1 since the start), such as {('word ' * 200)[:300]}…",
        "refused: 60 too large (61 since the start), such as message 60",
    ]
    assert dict(refusals.counts) == {("a/+", "too large"): 90, ("b/+", "no number"): 1}


def test_the_last_examples_of_a_reason_are_kept_with_the_beginning_of_their_payloads() -> None:
    refusals = Refusals()
    for number in range(5):
        refusals.add("no number", f"message {number}", label="a/+", payload=b"%d" % number * 1000)
    kept = refusals.examples["a/+", "no number"]
    assert [(each.detail, each.payload) for each in kept] == [(f"message {n}", b"%d" % n * 300) for n in (2, 3, 4)]
