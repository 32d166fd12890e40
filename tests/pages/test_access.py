"""For everyone: axe-core finds nothing wrong, with the keyboard alone, at twice the size, and in Firefox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import card
from tests.support.firefox import Firefox
from tests.support.processes import Service

AXE = Path(__file__).parents[2] / "web" / "vendor" / "axe.min.js"
#: what axe-core finds wrong, and where
VIOLATIONS = """axe.run().then(({ violations }) => violations.map(({ id, nodes }) =>
  [id, nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`).slice(0, 3)]))"""


@pytest.fixture(scope="module")
def axe(installed: Path) -> str:
    """Return axe-core, which was fetched beside what the wheel brings."""
    assert installed
    return AXE.read_text()


@pytest.fixture
def violations(page: Page, axe: str) -> Callable[[], Any]:
    """Return what asks axe-core about the page."""

    def ask() -> Any:
        page.evaluate(axe)
        return page.evaluate(VIOLATIONS)

    return ask


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_a_stream(
    page: Page, address: str, violations: Callable[[], Any], scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}?compare=temperature,pressure")
    expect(card(page, "supply")).to_have_attribute("data-kind", "constant")
    expect(page.get_by_role("region", name="Comparison")).to_be_visible()
    page.get_by_text("Configuration").click()
    page.get_by_text("Try it").click()
    page.get_by_text("Advice").click()
    expect(page.locator("#advice-message")).not_to_have_text("…")
    page.get_by_text("Rules", exact=True).click()
    expect(page.locator("#rules-message h2")).to_have_count(3)
    assert violations() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_the_overview(
    page: Page, service: Service, stream: str, violations: Callable[[], Any], scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    httpx.post(f"{service.url}/v1/streams/{stream}/readings", content="{")
    page.goto(f"{service.url}/#?q={stream}")
    expect(page.get_by_role("link", name=stream).first).to_be_visible()
    page.locator("#refused summary").first.click()
    expect(page.locator("#refused pre").first).to_be_visible()
    assert violations() == []


def test_axe_finds_nothing_wrong_with_an_empty_service(
    page: Page, own_service: Service, violations: Callable[[], Any]
) -> None:
    page.goto(own_service.url)
    expect(page.get_by_role("heading", name="No readings yet")).to_be_visible()
    assert violations() == []


def test_twice_the_size_and_320_pixels_need_no_second_scroll_bar(page: Page, service: Service, address: str) -> None:
    # A window of 640 pixels at 200 % is 320 pixels wide to the page.
    page.set_viewport_size({"width": 320, "height": 640})
    for place, shown in ((f"{service.url}/#?", "#kinds li"), (address, "article")):
        page.goto("about:blank")
        page.goto(place)
        expect(page.locator(shown).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_the_skip_link_leads_past_the_list(page: Page, address: str) -> None:
    page.goto(address)
    expect(card(page, "temperature")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the stream")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    expect(card(page, "temperature")).to_be_visible()


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """Start Firefox."""
    with Firefox(tmp_path_factory.mktemp("firefox")) as started:
        yield started


def test_firefox_draws_a_stream_and_zooms(firefox: Firefox, address: str) -> None:
    firefox.open(address)
    firefox.until("document.getElementById('link-text').textContent === 'Live'")
    firefox.until("document.querySelectorAll('article canvas').length >= 8")
    firefox.until("document.querySelector('article').dataset.kind !== undefined")
    firefox.press("[data-plot=raw]", "\ue012")  # the left arrow
    firefox.until("document.querySelector('[data-hint=raw]').textContent.startsWith('reading 199 ·')")
    firefox.evaluate("document.getElementById('zoom-in').click()")
    firefox.until("location.hash.includes('from=')")
    assert firefox.wrong == []


def test_firefox_shows_the_overview_and_nothing_runs_over_the_side(
    firefox: Firefox, service: Service, stream: str
) -> None:
    for width in (320, 1280):
        firefox.open(f"{service.url}/#?q={stream}", width=width)
        firefox.until("document.querySelectorAll('#kinds li').length > 2")
        firefox.until("document.querySelectorAll('#streams li').length >= 1")
        assert firefox.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert firefox.wrong == []
