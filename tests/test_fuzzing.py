"""Requests made up from the OpenAPI document: no failure, no hang, and the document is right about every answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from streamnorm.app import create_app
from streamnorm.settings import Settings
from streamnorm.stores.local.memory import MemoryStore
from tests.support.processes import PATIENCE, Service

EXAMPLES = int(os.environ.get("STREAMNORM_FUZZ", "30"))  # of each call, right and wrong ones; more in a long run
DOCUMENT = schemathesis.openapi.from_dict(create_app(Settings(), MemoryStore()).openapi())
# An event stream does not end; it is followed in the tests of events.
OPERATIONS = {
    found.ok().label: found.ok()
    for found in DOCUMENT.exclude(path="/v1/events").get_all_operations()
    if isinstance(found, Ok)
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service."""
    with Service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.mark.parametrize("label", OPERATIONS)
def test_whatever_is_sent_is_answered_as_the_document_says(service: Service, label: str) -> None:
    operation = OPERATIONS[label]
    cases: st.SearchStrategy[Any] = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if operation.body or operation.path_parameters or operation.query:
        cases |= operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def answered(case: schemathesis.Case[Any]) -> None:
        # A schema cannot say that rows must be equally long, or that a stream must be there.
        case.call_and_validate(base_url=service.url, timeout=PATIENCE, excluded_checks=[positive_data_acceptance])

    answered()
