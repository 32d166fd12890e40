"""The dashboard in a real browser, served by the installed wheel."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from streamnorm.demo import rig
from streamnorm_client import Client
from tests.pages.watched import Watched
from tests.processes import PATIENCE, Service

#: the pixels of a canvas that have exactly a colour of the page's
PIXELS = """(canvas, name) => {
  const probe = document.createElement("i");
  probe.style.color = getComputedStyle(document.documentElement).getPropertyValue(name);
  document.body.append(probe);
  const wanted = getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number);
  probe.remove();
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4)
    if (data[at + 3] > 200 && wanted.every((part, c) => Math.abs(data[at + c] - part) < 12)) found += 1;
  return found;
}"""


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    """Talk to the service."""
    with Client(service.url) as opened:
        yield opened


def fill(client: Client, stream: str = "rig", readings: int = 100) -> None:
    """Send readings of the simulated rig, which has sensors of every kind."""
    for reading in islice(rig.readings(0), readings):
        client.stream(stream).observe(reading)


def link(page: Page) -> Locator:
    """Find what tells of the line to the service."""
    return page.get_by_role("status").filter(has_text=re.compile("Live|Reconnecting|Connecting|Key needed"))


def card(page: Page, feature: str) -> Locator:
    """Find a feature's card."""
    return page.locator("article", has=page.get_by_role("heading", name=feature, exact=True))


def painted(place: Locator, colour: str) -> int:
    """Count the pixels of a colour."""
    found: int = place.evaluate(PIXELS, colour)
    return found


def eventually_painted(page: Page, place: Locator, colour: str) -> None:
    """Wait until something is drawn in a colour."""
    deadline = time.monotonic() + PATIENCE
    while painted(place, colour) < 30 and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert painted(place, colour) >= 30


def test_an_empty_service_shows_the_line_that_fills_it_and_then_the_stream(
    page: Page, service: Service, client: Client
) -> None:
    page.goto(service.url)
    curl = page.locator("#curl")
    expect(curl).to_have_text(
        f"""curl {service.url}/v1/streams/boiler-7/readings --json '{{"values": {{"temp": 21.4, "door": 0}}}}'"""
    )
    client.stream("boiler-7").observe({"temp": 21.4, "door": 0})
    expect(page.get_by_role("heading", name="boiler-7")).to_be_visible()
    expect(card(page, "temp").locator("[data-now=raw]")).to_have_text("21.400")


def test_the_page_goes_live(page: Page, service: Service, client: Client) -> None:
    fill(client)
    page.goto(service.url)
    expect(link(page)).to_have_text("Live")
    client.stream("rig").observe({"temperature": 123.0})
    expect(card(page, "temperature").locator("[data-now=raw]")).to_have_text("123")
    expect(page.locator("[data-tile=count]")).to_have_text("101")


def test_the_page_opens_with_the_recent_past_drawn_in_the_charts_colours(
    page: Page, service: Service, client: Client
) -> None:
    fill(client)
    page.goto(f"{service.url}/#rig")
    found = card(page, "temperature")
    for part in ("raw", "normalized"):
        eventually_painted(page, found.locator(f"[data-plot={part}] canvas"), f"--{part}")
        eventually_painted(page, found.locator(f"[data-histogram={part}]"), f"--{part}")
    eventually_painted(page, found.locator("[data-plot=raw] canvas"), "--mean")


def test_what_is_off_screen_is_not_drawn_until_it_comes_in_sight(page: Page, service: Service, client: Client) -> None:
    fill(client)
    page.set_viewport_size({"width": 600, "height": 600})
    page.goto(f"{service.url}/#rig")
    eventually_painted(page, card(page, "temperature").locator("[data-histogram=raw]"), "--raw")
    last = card(page, "motor")
    expect(last.locator("canvas")).to_have_count(2)  # the histograms' empty ones
    last.scroll_into_view_if_needed()
    eventually_painted(page, last.locator("[data-histogram=raw]"), "--raw")
    expect(last.locator("canvas")).to_have_count(4)


def test_the_numbers_are_the_apis(page: Page, service: Service, client: Client) -> None:
    fill(client, readings=200)
    page.goto(f"{service.url}/#rig")
    profile = client.stream("rig").profile()
    for name in ("temperature", "pressure", "vibration", "alarm"):
        shown = card(page, name)
        expect(shown.locator("[data-profile=count]")).to_have_text("200")
        for part in ("mean", "std", "weight", "min", "max"):
            text = shown.locator(f"[data-profile={part}]").inner_text()
            assert float(text) == pytest.approx(getattr(profile.features[name], part), rel=1e-4, abs=1e-7)
        expect(shown.locator("header .badge")).to_have_text(profile.features[name].kind)


def test_what_is_shown_of_the_last_reading_is_what_was_answered(page: Page, service: Service, client: Client) -> None:
    fill(client)
    page.goto(f"{service.url}/#rig")
    expect(link(page)).to_have_text("Live")
    answer = client.stream("rig").observe({"temperature": 25.5})
    y = answer.values["temperature"]
    found = card(page, "temperature").locator("[data-now=normalized]")
    expect(found).to_have_text(f"{'−' if y < 0 else '+'}{abs(y):.3f}")


def test_sensors_that_are_broken_stand_out(page: Page, service: Service, client: Client) -> None:
    fill(client, readings=200)
    page.goto(f"{service.url}/#rig")
    expect(card(page, "supply")).to_have_attribute("data-kind", "constant")
    expect(page.get_by_role("button", name="supply: constant")).to_be_visible()
    expect(page.locator("#streams .badge")).to_contain_text("constant")


def test_streams_are_searched(page: Page, service: Service, client: Client) -> None:
    for n in range(30):
        client.stream(f"line.{n:02d}").observe({"temp": float(n)})
    page.goto(service.url)
    expect(page.locator("#streams li")).to_have_count(30)
    page.keyboard.press("/")
    page.get_by_role("searchbox", name="Search streams").press_sequentially("e.07")
    expect(page.locator("#streams li")).to_have_count(1)
    expect(page.locator("#streams li")).to_contain_text("temp 7")
    page.get_by_role("searchbox").fill("nothing")
    expect(page.locator("#streams-note")).to_contain_text("nothing")


def test_the_list_is_walked_with_the_keyboard(page: Page, service: Service, client: Client) -> None:
    for name in ("a", "b", "c"):
        client.stream(name).observe({"temp": 1.0})
    page.goto(f"{service.url}/#a")
    page.get_by_role("link", name=re.compile("^a ")).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="c", exact=True)).to_be_visible()
    expect(page.locator("[aria-current=page]")).to_contain_text("c")


def test_five_hundred_streams_are_listed_and_only_those_in_sight_are_written(
    page: Page, service: Service, client: Client
) -> None:
    client.bulk([{"stream": f"s{n:03d}", "values": {"temp": float(n)}} for n in range(500)])
    page.goto(service.url)
    expect(page.locator("#streams li")).to_have_count(500)
    expect(page.locator("#streams li").first).to_contain_text("temp 0")
    expect(page.locator("#streams li").last.locator(".row-last")).to_have_text("")
    page.locator("#streams li").last.scroll_into_view_if_needed()
    expect(page.locator("#streams li").last).to_contain_text("temp 499")


def test_a_restart_of_the_service_goes_from_reconnecting_to_live(
    watched: Watched, page: Page, service: Service, client: Client
) -> None:
    watched.excused = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
    fill(client)
    page.goto(f"{service.url}/#rig")
    expect(link(page)).to_have_text("Live")
    service.stop()
    expect(link(page)).to_have_text("Reconnecting…")
    service.start()
    expect(link(page)).to_have_text("Live")
    client.stream("rig").observe({"temperature": 99.0})
    expect(card(page, "temperature").locator("[data-now=raw]")).to_have_text("99")
    expect(page.locator("[data-tile=count]")).to_have_text("101")


def test_a_configuration_is_shown_and_changed(page: Page, service: Service, client: Client) -> None:
    fill(client)
    page.goto(f"{service.url}/#rig")
    expect(page.locator("#config-chips")).to_contain_text("horizon 1000")
    page.get_by_text("Configuration").click()
    page.get_by_label("Horizon").fill("50")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#config-chips")).to_contain_text("horizon 50")
    expect(page.locator("#config-message")).to_contain_text("Applied")
    assert client.stream("rig").info().config["horizon"] == 50


def test_another_method_can_be_chosen(page: Page, service: Service, client: Client) -> None:
    fill(client)
    page.goto(f"{service.url}/#rig")
    page.get_by_text("Configuration").click()
    page.get_by_label("Method").select_option("online-2019")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#config-message")).to_contain_text("had to restart")
    assert client.stream("rig").info().config["method"] == "online-2019"


def test_a_wrong_configuration_is_told(watched: Watched, page: Page, service: Service, client: Client) -> None:
    watched.excused = ("422",)
    fill(client)
    page.goto(f"{service.url}/#rig")
    page.get_by_text("Configuration").click()
    page.get_by_label("Horizon").fill("soon")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#config-message")).to_contain_text("/horizon")


def test_a_reset_asks_first(page: Page, service: Service, client: Client) -> None:
    fill(client)
    page.goto(f"{service.url}/#rig")
    page.get_by_text("Configuration").click()
    page.get_by_role("button", name="Reset statistics").click()
    page.get_by_role("button", name="Cancel").click()
    assert client.stream("rig").info().count == 100
    page.get_by_role("button", name="Reset statistics").click()
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(page.locator("[data-tile=count]")).to_have_text("0")
    assert client.stream("rig").info().count == 0


def test_a_snapshot_is_downloaded(page: Page, service: Service, client: Client) -> None:
    fill(client)
    page.goto(f"{service.url}/#rig")
    page.get_by_text("Configuration").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download snapshot").click()
    assert download.value.suggested_filename == "rig.json"
    assert json.loads(download.value.path().read_text())["count"] == 100


def test_a_reading_typed_by_hand_is_answered(page: Page, service: Service, client: Client) -> None:
    fill(client)
    page.goto(f"{service.url}/#rig")
    page.get_by_text("Try it").click()
    page.get_by_role("textbox", name="Reading").fill('{"temperature": 30}')
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#try-message")).to_contain_text("reading 101, ready")
    assert client.stream("rig").info().count == 101


def test_a_reading_typed_wrongly_is_told(page: Page, service: Service, client: Client) -> None:
    fill(client)
    page.goto(f"{service.url}/#rig")
    page.get_by_text("Try it").click()
    page.get_by_role("textbox", name="Reading").fill("{temperature: 30}")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#try-message")).to_contain_text("This is not JSON")


@pytest.mark.parametrize("width", [360, 768, 1600])
def test_nothing_runs_over_the_side(page: Page, service: Service, client: Client, width: int) -> None:
    fill(client)
    page.set_viewport_size({"width": width, "height": 800})
    for place in ("", "#rig"):
        page.goto("about:blank")
        page.goto(f"{service.url}/{place}")
        expect(page.locator("#streams li, article").first).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_on_a_phone_the_list_leads_to_the_stream_and_back(page: Page, service: Service, client: Client) -> None:
    fill(client)
    page.set_viewport_size({"width": 360, "height": 780})
    page.goto(service.url)
    page.get_by_role("link", name=re.compile("^rig")).click()
    expect(card(page, "temperature")).to_be_visible()
    page.get_by_role("link", name="← Streams").click()
    expect(page.get_by_role("searchbox")).to_be_visible()


def luminance(colour: str) -> float:
    """Give a colour's relative luminance (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


TEXTS = """() => [...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .map((e) => {
    const ground = (node) => {
      const colour = getComputedStyle(node).backgroundColor;
      return colour.startsWith("rgba(") && colour.endsWith(", 0)") && node.parentElement ? ground(node.parentElement) : colour;
    };
    return [e.textContent.trim().slice(0, 40), getComputedStyle(e).color, ground(e)];
  })"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    page: Page, service: Service, client: Client, scheme: Any
) -> None:
    fill(client, readings=200)
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{service.url}/#rig")
    expect(card(page, "supply")).to_have_attribute("data-kind", "constant")
    page.get_by_text("Configuration").click()
    page.get_by_text("Try it").click()
    faint = []
    for text, colour, ground in page.evaluate(TEXTS):
        light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
        if (light + 0.05) / (dark + 0.05) < 4.5:
            faint.append((text, colour, ground))
    assert faint == []


def test_every_control_has_a_name(page: Page, service: Service, client: Client) -> None:
    fill(client)
    page.goto(f"{service.url}/#rig")
    page.get_by_text("Configuration").click()
    page.get_by_text("Try it").click()
    tree = page.locator("body").aria_snapshot()
    controls = [line.strip() for line in tree.splitlines() if re.match(r"\s*- (button|link|textbox|searchbox|combobox|checkbox|img)\b", line)]
    assert controls
    assert [line for line in controls if '"' not in line] == []


def test_the_description_of_the_calls_is_drawn_offline(page: Page, service: Service) -> None:
    page.goto(f"{service.url}/docs")
    expect(page.get_by_text("/v1/streams/{stream_id}/readings")).to_be_visible()


def test_a_call_can_be_tried_from_its_description(page: Page, service: Service) -> None:
    page.goto(f"{service.url}/docs")
    page.locator(".opblock-summary-path", has_text="/healthz").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_contain_text('"status": "ok"')


def test_the_pages_work_behind_a_path(browser: Browser, context: BrowserContext, service: Service, client: Client) -> None:
    fill(client)
    page = context.new_page()
    asked: list[str] = []

    def behind(route: Any) -> None:
        asked.append(route.request.url)
        path = route.request.url.removeprefix(f"{service.url}/edge/norm")
        route.continue_(url=f"{service.url}{path}") if path != route.request.url else route.abort()

    page.route(f"{service.url}/**", behind)
    page.goto(f"{service.url}/edge/norm/#rig")
    expect(card(page, "temperature").locator("[data-now=raw]")).not_to_be_empty()
    assert [url for url in asked if not url.startswith(f"{service.url}/edge/norm/")] == []
