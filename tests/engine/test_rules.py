"""Rules laid over each other, and the plans that streams have by them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnorm.engine.configuration import rules as rules_module
from streamnorm.engine.configuration.config import configuration, to_json
from streamnorm.engine.configuration.plan import Plan, of_layers, plan
from streamnorm.engine.configuration.rules import Layer, Rule, RuleIndex, Rules, parse_rule
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams import rulebook as rulebook_module
from streamnorm.engine.streams.rulebook import Rulebook
from streamnorm.errors import InvalidConfiguration


def book(*rules: dict[str, Any], **defaults: Any) -> Rulebook:
    return Rulebook(plan(configuration({}, defaults)), Rules(tuple(map(parse_rule, rules))))


def treated(plan: Plan, feature: str) -> dict[str, Any]:
    return to_json(plan.of(feature).plan.config)


def test_what_is_said_twice_holds_as_it_was_said_last() -> None:
    rules = book({"features": "door*", "horizon": 20}, {"warmup": 3, "horizon": 30}, {"features": "*_2", "warmup": 4})
    found = rules.plan("any")
    assert [treated(found, name)["horizon"] for name in ("door_1", "temp")] == [30.0, 30.0]
    assert [treated(found, name)["warmup"] for name in ("door_2", "door_1")] == [4, 3]


def test_a_configuration_shows_what_holds_of_each_feature_and_nothing_else() -> None:
    rules = book(
        {"features": "door*", "horizon": 20},
        {"features": "motor", "horizon": 40, "clamp": 3.0},
        {"time_constant": "1h"},
        {"features": "lamp", "warmup": 4},
        {"features": "lamp", "warmup": 5, "horizon": 9},
    )
    assert rules.plan("any").to_json()["features"] == {
        "motor": {"clamp": 3.0},
        "lamp": {"warmup": 5, "horizon": 9.0},
    }


def test_a_horizon_and_a_time_constant_replace_each_other() -> None:
    found = book({"horizon": 20}, {"features": "slow", "time_constant": "1h"}, {"streams": "b", "horizon": 9})
    assert treated(found.plan("a"), "slow")["time_constant"] == 3600.0
    assert treated(found.plan("a"), "slow")["horizon"] is None
    assert treated(found.plan("b"), "slow")["horizon"] == 9.0
    assert treated(found.plan("b"), "slow")["time_constant"] is None


def test_a_parameter_that_a_method_does_not_have_is_left_out() -> None:
    found = book({"window": 64}, {"time_constant": "1h"}, {"features": "x", "method": "batch"}).plan("a")
    assert (treated(found, "x")["window"], treated(found, "x")["method"]) == (64, "batch")
    assert "window" not in treated(found, "y")
    assert treated(found, "y")["time_constant"] == 3600.0


def test_globs_heed_case_and_speak_of_whole_names() -> None:
    found = book({"streams": "Roof-?", "warmup": 3})
    warmups = [found.plan(stream).warmup for stream in ("Roof-1", "roof-1", "Roof-12", "my-Roof-1")]
    assert warmups == [3, 32, 32, 32]


globs = st.text("ab*?[!]", min_size=1, max_size=5)


@given(st.lists(globs, max_size=12), st.lists(st.text("ab[]!*?", min_size=1, max_size=5), min_size=1, max_size=6))
def test_the_rules_found_for_a_stream_are_those_that_match_in_their_order(streams: list[str], ids: list[str]) -> None:
    rules = [parse_rule({"streams": glob, "warmup": 1}) for glob in streams]
    index = RuleIndex(rules)
    for stream_id in ids:
        assert index.find(stream_id) == tuple(n for n, rule in enumerate(rules) if rule.matches(stream_id))


def test_of_many_rules_only_those_are_compared_that_begin_as_the_stream_does(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def matches(rule: Rule, stream_id: str) -> bool:
        compared.append(rule.streams)
        return fnmatchcase(stream_id, rule.streams)

    monkeypatch.setattr(rules_module.Rule, "matches", matches)
    streams = [f"site-{n}-*" for n in range(100)]
    index = RuleIndex(
        [parse_rule({"streams": glob, "warmup": 1}) for glob in (*streams, "*", "s?te-7*", "site-7-roof-9")]
    )
    assert index.find("site-7-roof") == (7, 100, 101)
    assert set(compared) == {"site-7-*", "*", "s?te-7*"}


def test_streams_of_which_the_same_rules_speak_share_a_plan_that_is_worked_out_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Sequence[Layer]] = []

    def counted(layers: Sequence[Layer], own: Sequence[Layer] | None) -> Plan:
        made.append(layers)
        return of_layers(layers, own)

    monkeypatch.setattr(rulebook_module, "of_layers", counted)
    rulebook = Rulebook(plan(configuration({}, {})), Rules((parse_rule({"streams": "roof-*", "warmup": 5}),)))
    one, other, third = (rulebook.new(name).plan for name in ("roof-1", "roof-2", "cellar"))
    assert one is other
    assert (one.warmup, len(made)) == (5, 1)
    assert third is rulebook.default_plan


def test_what_is_set_for_a_stream_lies_above_all_rules() -> None:
    rules = book({"warmup": 3}, {"features": "door*", "horizon": 9})
    found = rules.configured("a", {"horizon": 70, "features": {"door_2": {"horizon": 80}}})
    assert [treated(found, name)["horizon"] for name in ("temp", "door_1", "door_2")] == [70.0, 70.0, 80.0]
    assert found.warmup == 3


def test_without_rules_a_stream_keeps_the_plan_it_has() -> None:
    rulebook = Rulebook(plan(configuration({"horizon": 5}, {})))
    stream = Rulebook(plan(configuration({"horizon": 9}, {}))).new("a")
    assert rulebook.applied("a", stream) == (stream, None)


def test_a_stream_of_before_has_as_its_own_what_differs_from_the_defaults() -> None:
    stream = Rulebook(plan(configuration({"horizon": 9, "clamp": 4.0}, {}))).new("a")
    found, reason = book({"horizon": 7, "warmup": 3}).applied("a", stream)
    assert (found.plan.config.horizon, found.plan.config.clamp, found.plan.warmup, reason) == (9.0, 4.0, 3, None)


def test_a_rule_that_is_taken_back_leaves_nothing_behind() -> None:
    stream = book({"horizon": 7, "clamp": 2.0}).new("a")
    found, _ = book().applied("a", stream)
    assert found.plan is book().default_plan


def test_rules_that_do_not_go_together_leave_a_stream_as_it_was_and_are_told() -> None:
    stream = book().new("a")
    stream.observe(parse_reading({"wind": 1.0}, Limits()), 1.7e9, Limits())
    wrong = book({"method": "streaming"}, {"features": "wind", "transform": "circular"})
    found, reason = wrong.applied("a", stream)
    assert found is stream
    assert reason is not None
    assert reason.startswith("stays as it was: circular does not go with the method streaming")


@pytest.mark.parametrize(
    ("rule", "pointer"),
    [
        ({"horizon": 0}, "/horizon"),
        ({"features": "", "horizon": 5}, "/features"),
        ({"streams": 5, "horizon": 5}, "/streams"),
        ({"nothing": 5}, "/nothing"),
        ({"features": "x"}, ""),
        ({"method": "online", "window": 5}, "/window"),
        ({"method": "onlin"}, "/method"),
        ({"time_constant": "5 weeks"}, "/time_constant"),
        ({"transform": "circular", "method": "streaming"}, ""),
    ],
)
def test_what_is_wrong_with_a_rule_is_named(rule: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        parse_rule(rule)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]
