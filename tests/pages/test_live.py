"""The chosen stream, live: what is drawn and written is what the service answered."""

from __future__ import annotations

import random
import re

import pytest
from playwright.sync_api import Page, expect

from streamnorm_client import Client
from tests.support.browser import Watched, card, eventually_painted, fill, link
from tests.support.processes import Service


def test_an_empty_service_shows_the_line_that_fills_it_and_then_the_stream(page: Page, own_service: Service) -> None:
    page.goto(own_service.url)
    curl = f"""curl {own_service.url}/v1/streams/boiler-7/readings --json '{{"values": {{"temp": 21.4, "door": 0}}}}'"""
    expect(page.locator("#curl")).to_have_text(curl)
    with Client(own_service.url) as client:
        client.stream("boiler-7").observe({"temp": 21.4, "door": 0})
    expect(page.get_by_role("heading", name="boiler-7")).to_be_visible()
    expect(card(page, "temp").locator("[data-now=raw]")).to_have_text("21.400")


def test_the_page_goes_live(page: Page, address: str, client: Client, stream: str) -> None:
    page.goto(address)
    expect(link(page)).to_have_text("Live")
    client.stream(stream).observe({"temperature": 123.0})
    expect(card(page, "temperature").locator("[data-now=raw]")).to_have_text("123")
    expect(page.locator("[data-tile=count]")).to_have_text("201")


def test_the_page_opens_with_the_recent_past_drawn_in_the_charts_colours(page: Page, address: str) -> None:
    page.goto(address)
    found = card(page, "temperature")
    for part in ("raw", "normalized"):
        eventually_painted(page, found.locator(f"[data-plot={part}] canvas"), f"--{part}")
        eventually_painted(page, found.locator(f"[data-histogram={part}]"), f"--{part}")
    eventually_painted(page, found.locator("[data-plot=raw] canvas"), "--mean")


def test_the_charts_take_the_colours_of_a_dark_page(page: Page, address: str) -> None:
    page.goto(address)
    raw = card(page, "temperature").locator("[data-plot=raw] canvas")
    eventually_painted(page, raw, "--raw")
    page.emulate_media(color_scheme="dark")
    eventually_painted(page, raw, "--raw")


def test_what_is_off_screen_is_not_drawn_until_it_comes_in_sight(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 600, "height": 600})
    page.goto(address)
    eventually_painted(page, card(page, "temperature").locator("[data-histogram=raw]"), "--raw")
    last = card(page, "motor")
    expect(last.locator("canvas")).to_have_count(2)  # the histograms' empty ones
    last.scroll_into_view_if_needed()
    eventually_painted(page, last.locator("[data-histogram=raw]"), "--raw")
    expect(last.locator("canvas")).to_have_count(4)


def test_the_numbers_are_the_apis(page: Page, address: str, client: Client, stream: str) -> None:
    page.goto(address)
    profile = client.stream(stream).profile()
    for name in ("temperature", "pressure", "vibration", "alarm"):
        shown = card(page, name)
        expect(shown.locator("[data-profile=count]")).to_have_text("200")
        for part in ("mean", "std", "weight", "min", "max"):
            text = shown.locator(f"[data-profile={part}]").inner_text()
            assert float(text) == pytest.approx(getattr(profile.features[name], part), rel=1e-4, abs=1e-7)
        expect(shown.locator("header .badge")).to_have_text(profile.features[name].kind)


def test_what_is_shown_of_a_reading_is_what_was_answered(page: Page, address: str, client: Client, stream: str) -> None:
    page.goto(address)
    expect(link(page)).to_have_text("Live")
    y = client.stream(stream).observe({"temperature": 25.5}).values["temperature"]
    expect(card(page, "temperature").locator("[data-now=normalized]")).to_have_text(f"{y:+.3f}".replace("-", "−"))


def test_stuck_constant_and_drifting_sensors_stand_out(page: Page, service: Service, client: Client) -> None:
    noise = random.Random(0)
    rows = [
        {
            "fine": noise.gauss(20, 1),
            "stuck": noise.gauss(20, 1) if n < 100 else 21.5,
            "constant": 24.0,
            "drifting": n / 5 + noise.gauss(0, 1),
        }
        for n in range(400)
    ]
    client.stream("broken").configure(horizon=200)
    client.bulk([{"stream": "broken", "values": row} for row in rows])
    page.goto(f"{service.url}/#broken")
    for kind in ("stuck", "constant", "drifting"):
        expect(card(page, kind)).to_have_attribute("data-kind", kind)
        expect(page.get_by_role("button", name=f"{kind}: {kind}")).to_be_visible()
    expect(page.get_by_role("button", name="fine")).to_have_count(0)
    expect(page.get_by_role("link", name=re.compile("^broken")).locator(".badge")).to_have_text("1 stuck")


def test_a_restart_of_the_service_goes_from_reconnecting_to_live(
    watched: Watched, page: Page, own_service: Service
) -> None:
    watched.excused = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
    with Client(own_service.url) as client:
        fill(client, "rig")
        page.goto(f"{own_service.url}/#rig")
        expect(link(page)).to_have_text("Live")
        own_service.stop()
        expect(link(page)).to_have_text("Reconnecting…")
        own_service.start()
        expect(link(page)).to_have_text("Live")
        client.stream("rig").observe({"temperature": 99.0})
    expect(card(page, "temperature").locator("[data-now=raw]")).to_have_text("99")
    expect(page.locator("[data-tile=count]")).to_have_text("201")
