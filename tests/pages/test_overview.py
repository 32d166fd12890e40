"""All streams at a glance, and the list by kind, health and order."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from streamnorm_client import Client
from tests.support.broker import Broker, publish
from tests.support.browser import Watched
from tests.support.processes import Service

STREAMS = 30


@pytest.fixture(scope="module")
def fleet(service_of_one: Service) -> Service:
    """Fill a service with streams: one has a stuck sensor, one a constant one, the others are fine."""
    rows = []
    for n in range(STREAMS):
        for k in range(700):
            noise = (k * 7919 % 101) / 101
            value = {3: noise if k < 300 else 21.5, 5: 24.0}.get(n, noise)
            rows.append({"stream": f"fleet-{n:02d}", "values": {"temp": value}})
    with Client(service_of_one.url) as client:
        for n in range(STREAMS):
            client.stream(f"fleet-{n:02d}").configure(horizon=200)
        client.bulk(rows)
        for _ in range(2):
            httpx.post(f"{service_of_one.url}/v1/streams/fleet-00/readings", content="{")
    return service_of_one


def names(page: Page) -> list[str]:
    """Return the names of the listed streams."""
    return page.locator("#streams .row-name").all_inner_texts()


def test_many_streams_are_shown_at_a_glance_first(page: Page, fleet: Service) -> None:
    page.goto(fleet.url)
    expect(page.get_by_role("heading", name="All streams")).to_be_visible()
    expect(page.locator("[data-tile=streams]")).to_have_text(str(STREAMS))
    expect(page.get_by_role("button", name=re.compile("^constant 1 in 1 stream"))).to_be_visible()
    expect(page.locator("#attention a")).to_have_text(["fleet-03", "fleet-05"])
    expect(page.locator("#map i")).to_have_count(STREAMS)
    page.locator("#attention").get_by_role("link", name="fleet-03").click()
    expect(page.get_by_role("heading", name="fleet-03")).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", name="All streams")).to_be_visible()


def test_what_was_refused_is_told_with_its_reason(page: Page, fleet: Service) -> None:
    page.goto(fleet.url)
    expect(page.locator("#refused summary").filter(has_text="malformed json")).to_have_text("malformed json2")


def test_refused_payloads_are_shown_as_text_and_stay_unfolded(page: Page, fleet: Service) -> None:
    payload = "{<img src=x onerror=alert(1)>"
    url = f"{fleet.url}/v1/streams/x/readings"
    httpx.post(url, content=payload)
    page.clock.install()
    page.goto(fleet.url)
    reason = page.locator("#refused > li").filter(has_text="malformed json")
    reason.locator("summary").click()
    expect(reason.locator("pre").first).to_have_text(payload)
    expect(reason.locator("img")).to_have_count(0)
    httpx.post(url, content="{again")
    page.clock.fast_forward(11_000)
    expect(reason.locator("pre").first).to_be_visible()
    expect(reason.locator("pre").first).to_have_text("{again")
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_refused_messages_of_mqtt_are_shown_with_their_topics(page: Page, installed: Path, tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker:
        settings = {"STREAMNORM_MQTT": broker.url, "STREAMNORM_MQTT_TOPICS": "plant/{stream}/raw"}
        with Service(tmp_path, PYTHONPATH=str(installed), **settings) as service:
            with Client(service.url) as client:
                client.bulk([{"stream": f"s-{n}", "values": {"temp": n}} for n in range(STREAMS)])
            publish(broker, "plant/press/raw", '{"temp": warm}')
            page.goto(service.url)
            reason = page.locator("#refused > li").filter(has_text="MQTT, plant/+/raw: invalid reading")
            reason.locator("summary").click()
            expect(reason).to_contain_text("plant/press/raw")
            expect(reason.locator("pre").first).to_have_text('{"temp": warm}')


@pytest.mark.parametrize("status", [401, 403])
def test_without_the_right_to_examples_the_counts_are_shown(
    page: Page, watched: Watched, fleet: Service, status: int
) -> None:
    watched.excused = (str(status),)
    page.route("**/v1/refusals", lambda route: route.fulfill(status=status, json={"type": "/problems/forbidden"}))
    page.goto(fleet.url)
    expect(page.locator("#refused > li").filter(has_text="malformed json")).to_have_text(
        re.compile(r"^malformed json\d$")
    )
    expect(page.locator("#refused details")).to_have_count(0)


def test_a_kind_of_the_overview_lists_its_streams(page: Page, fleet: Service) -> None:
    page.goto(fleet.url)
    page.get_by_role("button", name=re.compile("^stuck 1 in 1 stream")).click()
    expect(page.locator("#stream-count")).to_have_text(f"1 of {STREAMS}")
    assert names(page) == ["fleet-03"]
    page.reload()
    expect(page.locator("#stream-count")).to_have_text(f"1 of {STREAMS}")
    page.get_by_label("Show", exact=True).select_option("all streams")
    expect(page.locator("#stream-count")).to_have_text(str(STREAMS))


def test_the_list_is_sorted_by_readings_and_by_what_is_worst(page: Page, fleet: Service) -> None:
    with Client(fleet.url) as client:
        client.stream("fleet-17").observe({"temp": 0.5})
    page.goto(fleet.url)
    expect(page.locator("#stream-count")).to_have_text(str(STREAMS))
    page.get_by_label("Sort by").select_option("most readings first")
    expect(page.locator("#streams li").first).to_contain_text("fleet-17")
    page.get_by_label("Sort by").select_option("worst first")
    expect(page.locator("#streams li").first).to_contain_text("fleet-03")
    assert names(page)[:3] == ["fleet-03", "fleet-05", "fleet-00"]


def test_a_stream_that_fell_silent_is_listed_as_silent_and_stays_so_when_another_is_chosen(
    page: Page, fleet: Service
) -> None:
    page.clock.install(time=datetime.fromtimestamp(time.time() + 1200, UTC))
    page.goto(f"{fleet.url}/#fleet-01")
    expect(page.locator(".state")).to_have_text(re.compile(r"^silent for 2\d min$"))
    first = page.locator("#streams li").first
    expect(first.locator(".badge")).to_have_text("silent")
    page.goto(f"{fleet.url}/#fleet-02")
    expect(page.get_by_role("heading", name="fleet-02")).to_be_visible()
    expect(page.locator("#streams [aria-current=page]")).to_contain_text("fleet-02")
    page.clock.run_for(2000)
    expect(first.locator(".row-last")).to_have_text(re.compile(r"^2\d min ago"))
    page.get_by_label("Show", exact=True).select_option("silent for 10 min")
    expect(page.locator("#stream-count")).to_have_text(str(STREAMS))
