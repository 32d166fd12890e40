"""Damaged requests: none is answered by a failure of the service, none hangs, and a refusal changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.fuzz.campaign import CORPUS, Campaign
from tests.fuzz.exchange import exchange
from tests.fuzz.seeds import seeds
from tests.support.processes import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service."""
    with Service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="module")
def campaign(service: Service) -> Iterator[Campaign]:
    """Begin a series of requests."""
    with contextlib.closing(Campaign(service, seed=12)) as begun:
        yield begun


def test_the_requests_that_others_are_made_of_are_good(service: Service, campaign: Campaign) -> None:
    assert campaign.seen["requests"] == 0
    for one in seeds(campaign.snapshots):
        campaign.restore()
        found = exchange(service.port, one.to_bytes())
        gone = one.head[0].startswith((b"DELETE", b"POST /v1/streams/fuzz-b/merge"))
        assert [answer.status < 400 or gone for answer in found.answers] == [True], (one.head, found.answers)


@pytest.mark.parametrize("name", sorted(file.name for file in CORPUS.glob("*.http")))
def test_a_request_that_once_broke_the_service_does_no_more(campaign: Campaign, name: str) -> None:
    assert not campaign.check((CORPUS / name).read_bytes())


def test_damaged_requests_are_answered_and_refusals_change_nothing(service: Service, campaign: Campaign) -> None:
    assert list(campaign.run(300)) == []
    assert service.alive()
    assert "Traceback" not in service.log.read_text()
