"""Templates of topics: what they subscribe to, what they match, and which covers which."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from streamnorm.bridges.mqtt.topics import TopicTemplate, filled
from streamnorm.formats.topics import subscriptions

LEVELS = st.sampled_from(["a", "b", "+", "{feature}"])
ENDS = st.sampled_from(["a", "b", "+", "#", "{stream}", "{stream...}"])


def template_of(before: list[str], after: list[str], end: str) -> str:
    """Build a template that names its stream once."""
    return "/".join([*before, *after, end] if "stream" in end else [*before, "{stream}", *after, end])


TEMPLATES = st.builds(
    template_of, st.lists(st.sampled_from(["a", "b", "+"]), max_size=2), st.lists(LEVELS, max_size=1), ENDS
)
TOPICS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5).map("/".join)


@given(TEMPLATES, TOPICS)
def test_a_template_matches_what_its_filter_brings(template: str, topic: str) -> None:
    found = TopicTemplate(template)
    if found.matches(topic):
        assert topic_matches_sub(found.filter, topic)
    elif topic_matches_sub(found.filter, topic):  # the parent level of {stream...} has no stream
        assert template.endswith("{stream...}")


@given(TEMPLATES, TEMPLATES, TOPICS)
def test_a_filter_that_covers_another_brings_all_that_the_other_does(one: str, other: str, topic: str) -> None:
    first, second = TopicTemplate(one), TopicTemplate(other)
    if first.covers(second) and topic_matches_sub(second.filter, topic):
        assert topic_matches_sub(first.filter, topic)


@given(st.lists(TEMPLATES, min_size=1, max_size=4), TOPICS)
def test_what_is_subscribed_to_brings_all_that_is_wanted(templates: list[str], topic: str) -> None:
    each = [TopicTemplate(template) for template in templates]
    wanted = any(topic_matches_sub(one.filter, topic) for one in each)
    assert any(topic_matches_sub(one.filter, topic) for one in subscriptions(each)) is wanted


def test_a_shared_filter_covers_only_itself() -> None:
    shared, plain = TopicTemplate("$share/g/a/{stream}"), TopicTemplate("a/{stream}")
    assert [each.filter for each in subscriptions([shared, plain, shared])] == ["$share/g/a/+", "a/+"]
    assert shared.match("a/x") == plain.match("a/x")


def test_an_identifier_is_the_same_in_every_run() -> None:
    code = "from streamnorm.bridges.mqtt.topics import TopicTemplate as T; print(T('a/{stream}').identifier)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout  # noqa: S603
    assert int(told) == TopicTemplate("a/{stream}").identifier


@pytest.mark.parametrize(
    ("stream", "topic"),
    [("a~1b", "out/a/b"), ("a~0b", "out/a~b"), ("a", "out/a"), ("a+#", "out/a%2B%23"), ("a%2B", "out/a%252B")],
)
def test_levels_are_made_of_an_id_again(stream: str, topic: str) -> None:
    assert filled("out/{stream...}", stream) == topic


def test_topics_in_any_letters_are_streams_of_their_own() -> None:
    template = TopicTemplate("zigbee2mqtt/{stream...}")
    topics = ["客厅", "卧室", "客厅/灯", "客厅~1灯", "living room", "living_room", "x" * 300, "x" * 299 + "y"]
    matches = [template.match(f"zigbee2mqtt/{topic}") for topic in topics]
    ids = [match.stream for match in matches if match]
    assert ids[:6] == ["客厅", "卧室", "客厅~1灯", "客厅~01灯", "living room", "living_room"]
    assert len({*ids}) == len(topics)
