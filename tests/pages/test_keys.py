"""The pages where keys are on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm_client import Client
from tests.support.browser import Watched, card, fill, link
from tests.support.processes import Service


class Locked:
    """A service that asks for keys, and some of those."""

    def __init__(self, service: Service) -> None:
        self.url = service.url
        keys = SQLiteApiKeys(Path(service.folder, "data"))
        self.admin = keys.create("admin", ["admin"])
        self.reader = keys.create("reader", ["read"])
        self.device = keys.create("device", ["observe"])
        self.north = keys.create("north", ["read"], "north.")
        with Client(service.url, key=self.admin) as client:
            fill(client, "north.rig")
            fill(client, "south.rig")


@pytest.fixture(scope="module")
def locked(service_of_one: Service) -> Locked:
    """Lock a service of this file's own."""
    return Locked(service_of_one)


@pytest.fixture
def page(watched: Watched) -> Page:
    """Return a page whose console may say what a refusal is."""
    watched.excused += ("401", "403")
    return watched.page


def enter(page: Page, key: str) -> None:
    """Type a key."""
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Continue").click()


def test_the_page_asks_for_the_key_and_opens_with_it(page: Page, locked: Locked) -> None:
    page.goto(locked.url)
    expect(link(page)).to_have_text("Key needed")
    enter(page, locked.reader)
    expect(link(page)).to_have_text("Live")
    expect(card(page, "temperature").locator("[data-now=raw]")).not_to_be_empty()


def test_a_wrong_key_is_told(page: Page, locked: Locked) -> None:
    page.goto(locked.url)
    enter(page, "sn_wrong")
    expect(page.get_by_role("alert")).to_have_text("This key is not accepted.")
    enter(page, locked.reader)
    expect(link(page)).to_have_text("Live")


def test_a_key_that_may_not_read_is_told(page: Page, locked: Locked) -> None:
    page.goto(locked.url)
    enter(page, locked.device)
    expect(page.get_by_role("alert")).to_contain_text("This key may not read")


def test_the_key_outlives_a_reload_and_no_tab(page: Page, locked: Locked) -> None:
    page.goto(locked.url)
    enter(page, locked.reader)
    expect(link(page)).to_have_text("Live")
    page.reload()
    expect(link(page)).to_have_text("Live")
    assert page.evaluate("localStorage.length") == 0
    other = page.context.new_page()
    other.goto(locked.url)
    expect(link(other)).to_have_text("Key needed")


def test_a_reading_key_may_not_change_a_stream_and_an_admin_key_may(page: Page, locked: Locked) -> None:
    page.goto(f"{locked.url}/#south.rig")
    enter(page, locked.reader)
    page.get_by_text("Configuration").click()
    page.get_by_label("Horizon").fill("77")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#config-message")).to_contain_text("lacks the scope")
    page.get_by_role("button", name="Key", exact=True).click()
    enter(page, locked.admin)
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#config-chips")).to_contain_text("horizon 77")


def test_a_key_for_some_streams_shows_only_those(page: Page, locked: Locked) -> None:
    page.goto(locked.url)
    enter(page, locked.north)
    expect(link(page)).to_have_text("Live")
    expect(page.get_by_role("link", name=re.compile("^north.rig"))).to_be_visible()
    page.wait_for_timeout(1500)  # a look at all streams has come
    expect(page.locator("#streams li")).to_have_count(1)


def test_a_key_can_be_forgotten(page: Page, locked: Locked) -> None:
    page.goto(locked.url)
    enter(page, locked.reader)
    expect(link(page)).to_have_text("Live")
    page.get_by_role("button", name="Key", exact=True).click()
    page.get_by_role("button", name="Forget the key").click()
    expect(link(page)).to_have_text("Key needed")
