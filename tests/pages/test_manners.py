"""On every screen, for everyone, offline, behind a proxy."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browser import card
from tests.support.processes import Service

#: every text in sight, with its colour and that of its ground
TEXTS = """() => [...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .map((e) => {
    const ground = (node) => {
      const colour = getComputedStyle(node).backgroundColor;
      const clear = colour.startsWith("rgba(") && colour.endsWith(", 0)");
      return clear && node.parentElement ? ground(node.parentElement) : colour;
    };
    return [e.textContent.trim().slice(0, 40), getComputedStyle(e).color, ground(e)];
  })"""
CONTROL = re.compile(r"\s*- (button|link|textbox|searchbox|combobox|checkbox|img)\b")
LEAST_CONTRAST = 4.5  # WCAG 2.2, level AA


@pytest.mark.parametrize("width", [360, 768, 1600])
def test_nothing_runs_over_the_side(page: Page, service: Service, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for place, shown in ((service.url, "#streams li"), (address, "article")):
        page.goto("about:blank")
        page.goto(place)
        expect(page.locator(shown).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == width


def luminance(colour: str) -> float:
    """Return a colour's relative luminance (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(page: Page, address: str, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    expect(card(page, "supply")).to_have_attribute("data-kind", "constant")
    page.get_by_text("Configuration").click()
    page.get_by_text("Try it").click()
    faint = []
    for text, colour, ground in page.evaluate(TEXTS):
        dark, light = sorted((luminance(colour), luminance(ground)))
        if (light + 0.05) / (dark + 0.05) < LEAST_CONTRAST:
            faint.append((text, colour, ground))
    assert faint == []


def test_every_control_and_picture_has_a_name(page: Page, address: str) -> None:
    page.goto(address)
    expect(card(page, "supply")).to_have_attribute("data-kind", "constant")
    page.get_by_text("Configuration").click()
    page.get_by_text("Try it").click()
    controls = [line for line in page.locator("body").aria_snapshot().splitlines() if CONTROL.match(line)]
    assert controls
    assert [line for line in controls if '"' not in line] == []


def test_the_description_of_the_calls_is_drawn_offline(page: Page, service: Service) -> None:
    page.goto(f"{service.url}/docs")
    expect(page.locator(".opblock-summary-path", has_text="/v1/events")).to_be_visible()


def test_a_call_can_be_tried_from_its_description(page: Page, service: Service) -> None:
    page.goto(f"{service.url}/docs")
    page.locator(".opblock-summary-path", has_text="/healthz").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_contain_text('"status": "ok"')


def test_the_pages_work_behind_a_path(page: Page, service: Service, stream: str) -> None:
    asked: list[str] = []

    def proxy(route: Route) -> None:
        asked.append(route.request.url)
        route.continue_(url=route.request.url.replace("/edge/norm/", "/", 1))

    page.route(f"{service.url}/**", proxy)
    page.goto(f"{service.url}/edge/norm/#{stream}")
    expect(card(page, "temperature").locator("[data-now=raw]")).not_to_be_empty()
    page.goto(f"{service.url}/edge/norm/docs")
    expect(page.locator(".opblock-summary-path", has_text="/v1/events")).to_be_visible()
    assert [url for url in asked if not url.startswith(f"{service.url}/edge/norm/")] == []
