"""The OpenAPI document describes every call, body and error, with examples that are right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from streamnorm.api.openapi.examples import PROBLEMS
from tests.support.http_calls import JSON, NDJSON, PROBLEM, Api, document, valid

CALLS = {
    f"{method.upper()} {path}": call for path, calls in document()["paths"].items() for method, call in calls.items()
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


class Example(NamedTuple):
    """An example, and what it is one of."""

    media: str
    schema: dict[str, Any]
    value: Any


def examples(content: dict[str, Any]) -> Iterator[Example]:
    """Yield the examples of a body or an answer; the bytes of an array have none in JSON."""
    for media, described in content.items():
        schema = described.get("schema", {})
        if schema.get("format") == "binary":
            continue
        values = [example["value"] for example in described.get("examples", {}).values()]
        for value in values or [described["example"]]:
            yield Example(media, schema, value)


def example_of(call: dict[str, Any]) -> tuple[Any, Any]:
    """Return a call's first example of a body, and of an answer."""
    sent, *_ = examples(call["requestBody"]["content"])
    answer, *_ = examples(call["responses"]["200"]["content"])
    return sent.value, answer.value


def answers(call: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the answers that have a body."""
    for status, answer in call["responses"].items():
        if int(status) != 204:
            yield int(status), answer["content"]


def test_the_document_is_valid() -> None:
    from openapi_spec_validator import validate  # noqa: PLC0415 - builds the grammars of IRIs, for seconds

    validate(document())


def test_every_call_of_the_first_version_is_described() -> None:
    one = "/v1/streams/{stream_id}"
    assert set(CALLS) >= {
        f"POST {one}/readings",
        f"POST {one}/bulk",
        "POST /v1/bulk",
        f"POST {one}/denormalize",
        "GET /v1/streams",
        f"GET {one}",
        f"PUT {one}",
        f"DELETE {one}",
        f"GET {one}/snapshot",
        f"PUT {one}/snapshot",
        f"POST {one}/merge",
        f"POST {one}/reset",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }


@every_call
def test_generated_functions_are_named_as_the_calls_are(call: dict[str, Any]) -> None:
    assert call["operationId"].replace("_", "").isalpha()


def test_a_generated_package_has_another_name_than_ours() -> None:
    assert document()["info"]["title"] == "streamnorm HTTP API"


@every_call
def test_at_most_one_body_is_described_as_json(call: dict[str, Any]) -> None:
    content = call.get("requestBody", {}).get("content", {})
    assert sum("json" in media and "ndjson" not in media and "schema" in content[media] for media in content) <= 1


def test_members_that_may_be_absent_have_no_default() -> None:
    for schema in document()["components"]["schemas"].values():
        assert all(member.get("default", ...) is not None for member in schema.get("properties", {}).values())


@every_call
def test_a_call_says_what_it_does(call: dict[str, Any]) -> None:
    assert call["summary"].endswith(".")
    assert "\n" not in call["summary"]
    assert all(parameter["description"] for parameter in call.get("parameters", ()))


@every_call
def test_every_answer_has_an_example_of_its_form(call: dict[str, Any]) -> None:
    for _, content in answers(call):
        for example in examples(content):
            valid(example.schema, example.value)


@every_call
def test_every_body_has_an_example_of_its_form(call: dict[str, Any]) -> None:
    for example in examples(call.get("requestBody", {}).get("content", {})):
        valid(example.schema, example.value)


@every_call
def test_every_example_of_a_problem_has_the_status_it_is_listed_under(call: dict[str, Any]) -> None:
    for status, content in answers(call):
        if status >= 400:
            assert [example.value["status"] for example in examples(content)] == [status] * len(
                content[PROBLEM]["examples"]
            )


@every_call
def test_a_call_with_a_body_says_what_can_be_wrong_with_it(call: dict[str, Any]) -> None:
    statuses = {400, 413, 415, 422} if "requestBody" in call else set()
    assert statuses <= {status for status, _ in answers(call)}


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if "requestBody" in call])
async def test_every_example_of_a_body_is_taken(api: Api, name: str) -> None:
    method, _, path = name.partition(" ")
    for example in examples(CALLS[name]["requestBody"]["content"]):
        stream = example.media.rpartition("/")[2].replace("+", "-")
        await api.observe(stream, {"values": {"temp": 21}}, {"values": {"temp": 22}})
        body = example.value if example.media == NDJSON else json.dumps(example.value)
        headers = {"content-type": example.media}
        response = await api.post(
            path.format(stream_id=stream, mapping="airgradient"), body, method=method, headers=headers
        )
        assert response.is_success, response.text


async def test_examples_of_bodies_are_answered_as_the_examples_of_answers_say(api: Api) -> None:
    one = "/v1/streams/{stream_id}"
    for path in (f"{one}/readings", f"{one}/bulk", f"{one}/denormalize"):  # each goes on from the one before
        sent, expected = example_of(CALLS[f"POST {path}"])
        answer = (await api.post(path.format(stream_id="boiler-7"), sent)).json()
        if path.endswith("denormalize"):  # whose example is rounded
            answer["values"] = {name: round(value, 1) for name, value in answer["values"].items()}
        assert answer == expected


async def test_the_example_of_readings_is_answered_as_its_example_says(api: Api) -> None:
    sent, expected = example_of(CALLS["POST /v1/bulk"])
    answer = await api.post("/v1/bulk", sent)
    assert answer.json() == expected


REFUSED: dict[str, tuple[str, str, object]] = {
    "stale-sequence": ("POST", "/readings", {"values": {"temp": 21.4}, "seq": 16}),
    "invalid-reading": ("POST", "/readings", {"values": {"temp": "warm"}}),
    "invalid-request": ("POST", "/readings?learn=maybe", {"values": {"temp": 21.4}}),
    "invalid-configuration": ("PUT", "", {"horizon": 0}),
    "cannot-invert": ("POST", "/denormalize", {"values": {"humidity": 1.5}}),
}


@pytest.mark.parametrize("slug", REFUSED)
async def test_what_the_example_of_a_problem_tells_of_is_refused_so(api: Api, slug: str) -> None:
    sent, _ = example_of(CALLS["POST /v1/streams/{stream_id}/readings"])
    await api.observe("boiler-7", sent)
    method, path, body = REFUSED[slug]
    response = await api.post(f"/v1/streams/boiler-7{path}", body, method=method)
    assert (response.status_code, response.json()) == (PROBLEMS[slug]["status"], PROBLEMS[slug])


@pytest.mark.parametrize("body", [{}, {"warmup": 5}, {"time_constant": 60.0}, {"method": "cumulative"}])
def test_a_configuration_needs_to_name_nothing(body: dict[str, Any]) -> None:
    schema = CALLS["PUT /v1/streams/{stream_id}"]["requestBody"]["content"][JSON]["schema"]
    valid(schema, body)


async def test_the_document_is_served(api: Api) -> None:
    assert (await api.get("/openapi.json")).json()["openapi"].startswith("3.1")
