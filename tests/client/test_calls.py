"""Calls about the whole service, messages of devices, and suggestions: against the service in memory."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streamnorm_client import (
    Advice,
    Client,
    FeatureAdvice,
    Health,
    InvalidConfiguration,
    InvalidReading,
    MappingNotFound,
    MatchedMapping,
    ReloadedConfig,
    StreamNotFound,
)
from streamnorm_client.testing import InMemoryService
from tests.support.processes import Service

MESSAGE = {"serialno": "ecda3b1eaaaf", "rco2": 447, "atmp": 25.9}
#: a wind vane that turns slowly, again and again
DEGREES = [{"wind": (n * 7) % 360} for n in range(600)]


def test_a_devices_own_message_is_observed(streamnorm_service: InMemoryService) -> None:
    with streamnorm_service.client() as client:
        (answer,) = client.ingest("airgradient", MESSAGE)
        assert answer.count == 1
        assert client.stream(answer.stream).info().features == list(answer.values)


def test_a_message_of_bytes_is_sent_as_it_is(streamnorm_service: InMemoryService) -> None:
    form = "PASSKEY=a&stationtype=b&dateutc=2026-11-22+09%3A00%3A00&tempf=68.0"
    with streamnorm_service.client() as client:
        (answer,) = client.ingest(
            "ecowitt", form, content_type="application/x-www-form-urlencoded", names={"station": "roof"}
        )
    assert answer.stream.endswith("roof")


def test_a_message_that_is_only_normalized_leaves_no_stream(streamnorm_service: InMemoryService) -> None:
    with streamnorm_service.client() as client:
        with pytest.raises(StreamNotFound):
            client.ingest("airgradient", MESSAGE, learn=False)
        assert list(client.streams()) == []


def test_an_unknown_mapping_has_its_own_error(streamnorm_service: InMemoryService) -> None:
    with streamnorm_service.client() as client, pytest.raises(MappingNotFound, match="nobody"):
        client.ingest("nobody", MESSAGE)


def test_suggestions_have_reasons_and_rules(streamnorm_service: InMemoryService) -> None:
    with streamnorm_service.client() as client:
        vane = client.stream("vane")
        vane.bulk(DEGREES)
        advice = vane.advice()
        assert [each.feature for each in advice.advice] == ["wind"]
        (found,) = advice.advice
        assert isinstance(found, FeatureAdvice)
        assert found.rule["transform"] == "circular"
        assert found.reason in advice.toml
        vane.configure(features={found.feature: found.rule})  # the rule is what configure takes
        vane.bulk(DEGREES)
        assert {each.transform for each in vane.profile().features.values()} == {"circular"}


def test_streams_are_listed_with_their_kinds_on_request(streamnorm_service: InMemoryService) -> None:
    with streamnorm_service.client() as client:
        client.stream("hall").bulk([{"door": n % 2} for n in range(50)])
        assert [info.kinds for info in client.streams(kinds=True)] == [{"two-level": 1}]
        assert [info.kinds for info in client.streams()] == [None]


def test_many_readings_can_be_normalized_only(streamnorm_service: InMemoryService) -> None:
    with streamnorm_service.client() as client:
        client.bulk([{"stream": "hall", "values": [x]} for x in (1.0, 3.0)])
        (answer,) = client.bulk([{"stream": "hall", "values": [2.0]}], learn=False)
        assert (answer.values, client.stream("hall").info().count) == ([pytest.approx(0.0, abs=1e-3)], 2)


def test_the_configuration_is_reloaded(tmp_path: Path) -> None:
    rules = tmp_path / "streamnorm.toml"
    rules.write_text("")
    with Service(tmp_path, STREAMNORM_CONFIG=str(rules)) as service, Client(service.url) as client:
        assert client.reload_config() == ReloadedConfig(rules=0, mappings=0, streams=0)
        rules.write_text('[[rules]]\nstreams = "*"\nhorizon = 500\n')
        assert client.reload_config().rules == 1
        rules.write_text("[[rules]]\nhorizon = -1\n")
        with pytest.raises(InvalidConfiguration) as caught:
            client.reload_config()
        assert caught.value.errors[0].pointer == "/rules/0/horizon"


def test_without_a_configuration_file_nothing_is_reloaded(streamnorm_service: InMemoryService) -> None:
    with streamnorm_service.client() as client, pytest.raises(InvalidConfiguration, match="STREAMNORM_CONFIG"):
        client.reload_config()


def test_the_rules_of_a_stream_say_where_its_parameters_come_from(tmp_path: Path) -> None:
    rules = tmp_path / "streamnorm.toml"
    rules.write_text('[[rules]]\nstreams = "hall*"\nfeatures = "door"\nhorizon = 500\n')
    with Service(tmp_path, STREAMNORM_CONFIG=str(rules)) as service, Client(service.url) as client:
        client.stream("hall").observe({"door": 1, "temp": 20})
        found = client.stream("hall").rules()
    assert (found.stream, found.file, found.mappings) == ("hall", "streamnorm.toml", [])
    held = {name: parameters["horizon"] for name, parameters in found.features.items()}
    assert (held["door"].value, held["temp"].source) == (500, None)
    assert found.sources[held["door"].source or 0].by == "rule"
    (rule,) = (each for each in found.sources if each.by == "rule")
    assert (rule.line, rule.streams, rule.features, rule.matched) == (1, "hall*", "door", ["door"])
    assert rule.parameters == {"horizon": 500}


def test_the_mappings_of_a_stream_are_told(streamnorm_service: InMemoryService) -> None:
    with streamnorm_service.client() as client:
        (answer,) = client.ingest("airgradient", MESSAGE)
        (found,) = client.stream(answer.stream).rules().mappings
    assert found == MatchedMapping("airgradient", None, "")


def test_refusals_are_listed_with_examples(streamnorm_service: InMemoryService) -> None:
    with streamnorm_service.client() as client:
        assert client.refusals() == []
        with pytest.raises(InvalidReading):
            client.ingest("airgradient", {"serialno": "a", "atmp": "warm"})
        (refusal,) = client.refusals()
    assert (refusal.source, refusal.reason, refusal.count) == ("http", "invalid-reading", 1)
    assert "warm" in refusal.examples[0].payload


def test_a_clock_that_is_ahead_is_in_the_answers(streamnorm_service: InMemoryService) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    with streamnorm_service.client() as client:
        stream = client.stream("fast")
        assert stream.observe([1.0], timestamp=later).clock_ahead == pytest.approx(7200, abs=60)
        assert stream.profile().clock_ahead == pytest.approx(7200, abs=60)
        rows = stream.bulk([[1.0], [2.0]], timestamps=[later + timedelta(hours=1), later + timedelta(hours=2)])
        assert rows.clock_ahead == pytest.approx(4 * 3600, abs=60)
        assert stream.observe([1.0]).clock_ahead == 0.0


def test_the_asynchronous_client_answers_the_same(streamnorm_service: InMemoryService) -> None:
    async def main() -> list[Any]:
        async with streamnorm_service.async_client() as client:
            (answer,) = await client.ingest("airgradient", MESSAGE)
            return [
                await client.ready(),
                await client.stream(answer.stream).advice(),
                await client.stream(answer.stream).rules(),
                await client.refusals(),
                [info.kinds async for info in client.streams(kinds=True)],
            ]

    ready, advice, rules, refusals, kinds = asyncio.run(main())
    assert (type(ready), ready.status, type(advice)) == (Health, "ok", Advice)
    assert ([each.name for each in rules.mappings], refusals) == (["airgradient"], [])
    assert kinds == [{"warming": 2}]
