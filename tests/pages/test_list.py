"""The list of streams."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from streamnorm_client import Client
from tests.support.browser import card
from tests.support.processes import Service


def test_streams_are_searched(page: Page, service: Service, client: Client) -> None:
    client.bulk([{"stream": f"line.{n:02d}", "values": {"temp": float(n)}} for n in range(30)])
    page.goto(service.url)
    rows = page.locator("#streams li")
    expect(rows.first).to_be_visible()
    page.keyboard.press("/")
    page.get_by_role("searchbox", name="Search streams").press_sequentially("e.07")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("temp 7")
    page.get_by_role("searchbox").fill("nothing")
    expect(rows).to_have_count(0)
    expect(page.locator("#streams-note")).to_contain_text("nothing")


def test_the_list_is_walked_with_the_keyboard(page: Page, service: Service, client: Client) -> None:
    client.bulk([{"stream": f"walk.{name}", "values": {"temp": 1.0}} for name in "abc"])
    page.goto(f"{service.url}/#walk.a")
    page.get_by_role("link", name=re.compile("^walk.a")).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="walk.c")).to_be_visible()
    expect(page.locator("[aria-current=page]")).to_contain_text("walk.c")


def test_a_new_stream_enters_the_list_by_itself(page: Page, address: str, client: Client) -> None:
    page.goto(f"{address}?q=born")
    expect(page.locator("#streams-note")).to_contain_text("born")
    client.stream("born-late").observe({"temp": 3.5})
    expect(page.get_by_role("link", name=re.compile("^born-late"))).to_contain_text("temp 3.5")


def test_a_deleted_stream_leaves_the_list(page: Page, service: Service, client: Client) -> None:
    client.stream("doomed").observe({"temp": 3.5})
    page.goto(f"{service.url}/#?q=doomed")
    expect(page.get_by_role("link", name=re.compile("^doomed"))).to_be_visible()
    client.stream("doomed").delete()
    page.reload()
    expect(page.locator("#streams-note")).to_contain_text("doomed")
    expect(page.get_by_role("link", name=re.compile("^doomed"))).to_have_count(0)


def test_two_thousand_streams_are_listed_and_only_those_in_sight_are_drawn(page: Page, own_service: Service) -> None:
    with Client(own_service.url) as client:
        client.bulk([{"stream": f"s{n:04d}", "values": {"temp": float(n)}} for n in range(2003)])
    page.goto(own_service.url)
    rows = page.locator("#streams li")
    expect(page.locator("#stream-count")).to_have_text("2,003")
    expect(rows.first).to_contain_text("temp 0")
    assert rows.count() < 40
    rows.first.get_by_role("link").press("End")
    expect(rows.last).to_contain_text("temp 2002")
    expect(rows.last).to_have_attribute("aria-posinset", "2003")
    expect(rows.last).to_have_attribute("aria-setsize", "2003")
    assert rows.count() < 40


def test_on_a_phone_the_list_leads_to_the_stream_and_back(page: Page, service: Service, stream: str) -> None:
    page.set_viewport_size({"width": 360, "height": 780})
    page.goto(service.url)
    page.get_by_role("link", name=re.compile(f"^{stream}\\b")).click()
    expect(card(page, "temperature")).to_be_visible()
    page.get_by_role("link", name="← Streams").click()
    expect(page.get_by_role("searchbox")).to_be_visible()
