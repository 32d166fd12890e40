"""The client offers what the service does: its calls and parameters, its problem types, the members of its answers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httpx
import numpy as np
import pytest

import streamnorm_client
from streamnorm.api import schemas
from streamnorm.api.http import problems
from streamnorm.engine.streams.feature_profile import FeatureProfile
from streamnorm_client import Client, StreamnormError
from streamnorm_client._problems import PROBLEMS
from tests.support.http_calls import document

#: Calls that the client leaves out on purpose.
LEFT_OUT = {"metrics"}  # for Prometheus; `client.request("GET", "/metrics").body` has them
#: Parameters that it leaves out on purpose: a live connection answers while readings are still sent.
PARAMETERS_LEFT_OUT = {("observe_bulk", "streaming"), ("observe_many", "streaming")}
#: What only a device's mapping knows; the document leaves it to the mapping.
FREE = {"topic"}
ROWS = np.zeros((2, 1))
READINGS = [{"stream": "boiler", "values": [1.0]}]
#: Every method that sends a request, with all of its options.
CALLS: dict[str, Callable[[Client], Any]] = {
    "Client.bulk": lambda client: client.bulk(READINGS, learn=False),
    "Client.events": lambda client: next(client.events("boiler", prefix="b", history=True, latest=True)),
    "Client.health": lambda client: client.health(),
    "Client.ingest": lambda client: client.ingest("airgradient", {}, topic="a/b", learn=False),
    "Client.pages": lambda client: next(client.pages("b", after="a", size=2, kinds=True)),
    "Client.ready": lambda client: client.ready(),
    "Client.refusals": lambda client: client.refusals(),
    "Client.reload_config": lambda client: client.reload_config(),
    "Client.streams": lambda client: next(client.streams("b", kinds=True)),
    "Stream.advice": lambda client: client.stream("boiler").advice(),
    "Stream.bulk": lambda client: client.stream("boiler").bulk(ROWS, features=["temp"], seq=1),
    "Stream.configure": lambda client: client.stream("boiler").configure(horizon=9),
    "Stream.delete": lambda client: client.stream("boiler").delete(),
    "Stream.denormalize": lambda client: client.stream("boiler").denormalize([0.0]),
    "Stream.info": lambda client: client.stream("boiler").info(),
    "Stream.merge": lambda client: client.stream("boiler").merge({}),
    "Stream.normalize": lambda client: client.stream("boiler").normalize([1.0], stats=True),
    "Stream.observe": lambda client: client.stream("boiler").observe([1.0], numbered=False),
    "Stream.profile": lambda client: client.stream("boiler").profile(),
    "Stream.reset": lambda client: client.stream("boiler").reset(),
    "Stream.restore": lambda client: client.stream("boiler").restore({}),
    "Stream.rules": lambda client: client.stream("boiler").rules(),
    "Stream.snapshot": lambda client: client.stream("boiler").snapshot(),
    "learn=False": lambda client: client.stream("boiler").bulk(ROWS, learn=False),
}


def sent(call: Callable[[Client], Any]) -> list[httpx.Request]:
    """Return the requests of a call; they are answered with an error."""
    requests: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(HTTPStatus.NOT_FOUND, json={"type": "/problems/not-found"})

    with Client(transport=httpx.MockTransport(refuse)) as client, contextlib.suppress(StreamnormError):
        call(client)
    return requests


def operation(request: httpx.Request) -> tuple[str, set[str]]:
    """Return the operation that the OpenAPI document has for a request, and the names of its query parameters."""
    for path, methods in document()["paths"].items():
        described = methods.get(request.method.lower())
        if described and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.url.path):
            known = {each["name"] for each in described.get("parameters", ()) if each["in"] == "query"}
            return described["operationId"], known
    raise AssertionError(f"{request.method} {request.url.path} is not in the document")


def test_every_call_of_the_service_is_offered_with_all_its_parameters() -> None:
    offered: dict[str, set[str]] = {}
    known: dict[str, set[str]] = {}
    for request in (request for call in CALLS.values() for request in sent(call)):
        name, parameters = operation(request)
        assert set(request.url.params) - FREE <= parameters, name
        known[name] = parameters
        offered.setdefault(name, set()).update(request.url.params)
    operations = {each["operationId"] for methods in document()["paths"].values() for each in methods.values()}
    assert operations - offered.keys() == LEFT_OUT
    missing = {(name, each) for name, parameters in known.items() for each in parameters - offered[name]}
    assert missing == PARAMETERS_LEFT_OUT


def test_every_method_that_sends_a_request_is_in_the_list() -> None:
    silent = {"Client.close", "Client.flush", "Client.record_responses", "Client.stream", "Client.waiting", "Stream.id"}
    silent |= {"Client.request", "Stream.live", "Stream.put", "Stream.after_fork"}  # other ways for the same calls
    methods = {
        f"{cls.__name__}.{name}"
        for cls in (Client, streamnorm_client.Stream)
        for name in vars(cls)
        if not name.startswith("_")
    }
    assert methods - silent == {name for name in CALLS if "." in name}


def test_every_problem_type_of_the_service_has_a_class() -> None:
    of_routing = {problems.of_status(status).slug for status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)}
    kinds = (*problems.KINDS.values(), *problems.TABLE.values(), problems.INTERNAL)
    assert {kind.slug for kind in kinds} | of_routing == PROBLEMS.keys()


@pytest.mark.parametrize(
    ("ours", "service"),
    [
        (streamnorm_client.Normalized, schemas.ReadingAnswer),
        (streamnorm_client.Block, schemas.BlockAnswerBody),
        (streamnorm_client.Denormalized, schemas.ValuesAnswer),
        (streamnorm_client.StreamInfo, schemas.ListedStream),
        (streamnorm_client.Configured, schemas.ConfiguredStream),
        (streamnorm_client.Profile, schemas.StreamProfile),
        (streamnorm_client.Advice, schemas.StreamAdvice),
        (streamnorm_client.FeatureAdvice, schemas.FeatureAdvice),
        (streamnorm_client.StreamRules, schemas.StreamRules),
        (streamnorm_client.RuleSource, schemas.RuleSource),
        (streamnorm_client.EffectiveParameter, schemas.EffectiveParameter),
        (streamnorm_client.MatchedMapping, schemas.MatchedMapping),
        (streamnorm_client.Refusal, schemas.Refusal),
        (streamnorm_client.RefusedExample, schemas.RefusedExample),
        (streamnorm_client.FeatureProfile, FeatureProfile),
        (streamnorm_client.Page, schemas.StreamPage),
        (streamnorm_client.ReloadedConfig, schemas.ReloadedConfig),
    ],
    ids=lambda each: each.__name__,
)
def test_an_answer_has_every_member_that_the_service_sends(ours: Any, service: Any) -> None:
    names = set(ours.__dataclass_fields__)
    if ours is streamnorm_client.Configured:  # kinds are counted in the list only
        names -= {"kinds"}
    names -= {"recomputed"}  # the client's own
    members = getattr(service, "model_fields", None) or service.__annotations__
    assert set(members) == names
