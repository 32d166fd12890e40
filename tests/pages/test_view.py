"""What of a stream's readings is shown: zoom, pause, range, comparison, values under the pointer, CSV, and links."""

from __future__ import annotations

import csv
import re
import time

import pytest
from playwright.sync_api import Page, expect

from streamnorm_client import Client
from tests.support.browser import card, eventually_painted, link
from tests.support.processes import Service

#: the ends of what is drawn, as the page's address names them
WINDOW = re.compile(r"from=([\d.]+)&to=([\d.]+)")


@pytest.fixture
def timed(client: Client, service: Service) -> str:
    """Fill a stream with a reading a second of two features, and an outage of two hours; return its address."""
    now = time.time()
    times = [now - 7200 - 400 + n for n in range(200)] + [now - 200 + n for n in range(200)]
    name = f"timed-{now:.3f}"
    rows = [{"temp": float(n), "level": 1000.0 - n} for n in range(400)]
    client.bulk([{"stream": name, "values": row, "timestamp": at} for row, at in zip(rows, times, strict=True)])
    return f"{service.url}/#{name}"


def window(page: Page) -> tuple[float, float]:
    """Wait until the address names what is drawn, and return its ends."""
    expect(page).to_have_url(WINDOW)
    found = WINDOW.search(page.url)
    assert found
    return float(found[1]), float(found[2])


def opened(page: Page, address: str) -> None:
    """Open a stream, and wait until its trace is drawn."""
    page.goto(address)
    eventually_painted(page, card(page, "temp").locator("[data-plot=raw] canvas"), "--raw")


def test_an_outage_breaks_the_line_and_is_told(page: Page, timed: str) -> None:
    opened(page, timed)
    eventually_painted(page, card(page, "temp").locator("[data-plot=raw] canvas"), "--sunken")
    over = card(page, "temp").locator("[data-plot=raw] .u-over")
    over.drag_to(over, source_position={"x": 2, "y": 40}, target_position={"x": 60, "y": 40})
    since, until = window(page)
    assert until - since < 200  # the first of the two stretches, in full width


def test_the_values_of_a_reading_are_told_under_the_pointer_and_with_the_keys(page: Page, timed: str) -> None:
    opened(page, timed)
    found = card(page, "temp")
    trace = page.get_by_role("slider", name="Trace of the raw values of temp")
    trace.focus()
    trace.press("Home")
    expect(trace).to_have_attribute("aria-valuetext", re.compile(r"\d\d:\d\d:\d\d: 0, normalized \+0\.000"))
    trace.press("ArrowRight")
    expect(found.locator("[data-hint=raw]")).to_have_text(re.compile(r"\d\d:\d\d:\d\d · 1\b"))
    expect(card(page, "level").locator("[data-hint=raw]")).to_have_text(re.compile(r"\d\d:\d\d:\d\d · 999\b"))
    found.locator("[data-plot=normalized] .u-over").hover()
    expect(found.locator("[data-hint=normalized]")).to_have_text(re.compile(r"^[+−]\d\.\d{3}$"))
    page.mouse.move(0, 0)
    expect(found.locator("[data-hint=raw]")).to_have_text("with mean ± std")


def test_a_paused_view_stands_still_and_goes_on_with_what_came_meanwhile(
    page: Page, timed: str, client: Client
) -> None:
    opened(page, timed)
    expect(link(page)).to_have_text("Live")
    page.get_by_role("button", name="Pause").click()
    before = window(page)
    stream = client.stream(timed.rpartition("#")[2])
    stream.observe({"temp": 7000.0})
    expect(page.locator("#view-note")).to_have_text("Paused; 1 new")
    expect(page.locator("[data-tile=count]")).to_have_text("401")
    expect(card(page, "temp").locator("[data-now=raw]")).to_have_text("399")
    assert window(page) == before
    page.get_by_role("button", name="Back to live").click()
    expect(card(page, "temp").locator("[data-now=raw]")).to_have_text("7000")
    expect(page).not_to_have_url(WINDOW)


def test_the_view_is_zoomed_and_moved_with_the_buttons(page: Page, timed: str) -> None:
    opened(page, timed)
    page.get_by_role("button", name="Zoom in").click()
    first = window(page)
    page.get_by_role("button", name="Zoom in").click()
    expect(page).not_to_have_url(re.compile(re.escape(f"from={first[0]:.3f}")))
    second = window(page)
    assert first[0] < second[0] < second[1] < first[1]
    page.get_by_role("button", name="Earlier").click()
    expect(page).not_to_have_url(re.compile(re.escape(f"from={second[0]:.3f}")))
    assert window(page)[0] < second[0]


def test_a_time_range_shows_only_the_last_minute(page: Page, timed: str) -> None:
    opened(page, timed)
    page.get_by_label("Time range").select_option("last minute")
    histogram = card(page, "temp").locator("[data-histogram=raw]")
    expect(histogram).to_have_attribute("aria-label", re.compile(r"of 6[01] readings$"))
    expect(page).to_have_url(re.compile("range=60"))


def test_two_features_are_shown_over_each_other(page: Page, timed: str) -> None:
    opened(page, timed)
    page.get_by_label("Compare", exact=True).select_option("temp")
    page.get_by_label("with", exact=True).select_option("level")
    both = page.get_by_role("region", name="Comparison")
    for part in ("raw", "normalized"):
        for colour in ("--raw", "--other"):
            eventually_painted(page, both.locator(f"[data-plot={part}] canvas"), colour)
    expect(page).to_have_url(re.compile("compare=temp%2Clevel"))
    page.get_by_label("with", exact=True).select_option("–")
    expect(both).to_be_hidden()


def test_a_link_shows_the_same_view(page: Page, timed: str) -> None:
    opened(page, timed)
    page.get_by_label("Compare", exact=True).select_option("temp")
    page.get_by_label("with", exact=True).select_option("level")
    page.get_by_label("Sort by").select_option("most readings first")
    page.get_by_role("button", name="Zoom in").click()
    seen = window(page)
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_role("button", name="Back to live")).to_be_visible()
    expect(other.get_by_role("region", name="Comparison")).to_be_visible()
    expect(other.get_by_label("Sort by")).to_have_value("count")
    assert window(other) == seen


def test_the_readings_in_sight_are_saved_as_csv(page: Page, timed: str, client: Client) -> None:
    opened(page, timed)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    name = timed.rpartition("#")[2]
    assert download.value.suggested_filename == f"{name}.csv"
    with download.value.path().open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["time", "count", "temp", "temp.normalized", "level", "level.normalized"]
    assert [float(row["temp"]) for row in rows] == [float(n) for n in range(400)]
    last = client.stream(name).normalize({"temp": 399.0, "level": 601.0}).values
    assert float(rows[-1]["temp.normalized"]) == pytest.approx(last["temp"], abs=0.05)


def test_large_numbers_with_small_changes_keep_their_digits(page: Page, service: Service, client: Client) -> None:
    client.bulk([{"stream": "precise", "values": {"frequency": 1e9 + 2 * (-1) ** n}} for n in range(100)])
    page.goto(f"{service.url}/#precise")
    found = card(page, "frequency")
    expect(found.locator("[data-now=raw]")).to_have_text("999999998.00")
    expect(found.locator("[data-profile=max]")).to_have_text("1000000002.00")
    expect(found.locator("[data-centre=raw]")).to_have_text("1000000000.00 ± 2")


def test_a_long_name_can_be_read_in_full(page: Page, service: Service, client: Client) -> None:
    stream, feature = "hall-7." * 14 + "press", "temperature-of-the-second-bearing-of-the-main-drive-on-the-left-" * 2
    client.stream(stream).observe({feature: 1.0})
    page.goto(f"{service.url}/#{stream}")
    heading = page.get_by_role("heading", name=feature)
    expect(heading).to_be_visible()
    assert heading.evaluate("(h) => h.scrollWidth <= h.clientWidth")
    expect(page.locator("[aria-current=page]")).to_have_attribute("title", stream)


def test_a_single_feature_has_the_width_for_itself(page: Page, service: Service, client: Client) -> None:
    client.stream("single").observe({"temp": 1.0})
    page.goto(f"{service.url}/#single")
    expect(card(page, "temp")).to_be_visible()
    wide = "(e) => e.getBoundingClientRect().width / e.parentElement.getBoundingClientRect().width"
    assert card(page, "temp").evaluate(wide) == pytest.approx(1)


def test_traces_fill_their_places_after_a_resize_and_after_printing(page: Page, timed: str) -> None:
    opened(page, timed)
    filled = """() => [...document.querySelectorAll("[data-plot]")].every((plot) =>
      Math.abs(plot.clientWidth - plot.querySelector(".uplot").clientWidth) < 2)"""
    for width in (700, 1280):
        page.set_viewport_size({"width": width, "height": 2000})
        page.wait_for_function(filled)
    page.emulate_media(media="print")
    page.wait_for_function(filled)
    page.emulate_media(media="screen")
    page.wait_for_function(filled)
