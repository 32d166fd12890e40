"""What changes a stream: configuration, reset, a reading typed by hand; and its snapshot."""

from __future__ import annotations

import json
import random
from pathlib import Path

from playwright.sync_api import Page, expect

from streamnorm_client import Client
from tests.support.browser import Watched
from tests.support.processes import Service


def configuring(page: Page, address: str) -> None:
    """Open the configuration of a stream."""
    page.goto(address)
    page.get_by_text("Configuration").click()


def send(page: Page, address: str, reading: str) -> None:
    """Type a reading and send it."""
    page.goto(address)
    page.get_by_text("Try it").click()
    page.get_by_role("textbox", name="Reading").fill(reading)
    page.get_by_role("button", name="Send").click()


def test_a_configuration_is_shown_and_changed(page: Page, address: str, client: Client, stream: str) -> None:
    configuring(page, address)
    expect(page.locator("#config-chips")).to_contain_text("horizon 1000")
    page.get_by_label("Horizon").fill("50")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#config-chips")).to_contain_text("horizon 50")
    expect(page.locator("#config-message")).to_contain_text("Applied")
    assert client.stream(stream).info().config["horizon"] == 50


def test_features_are_configured_by_themselves(page: Page, address: str, client: Client, stream: str) -> None:
    configuring(page, address)
    page.get_by_label("Per feature").fill('{"temp*": {"horizon": 20')
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#config-message")).to_contain_text("This is not JSON")
    page.get_by_label("Per feature").fill('{"temp*": {"horizon": 20}}')
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#config-message")).to_contain_text("Applied")
    expect(page.locator("#config-chips")).to_contain_text('features {"temp*":{"horizon":20}}')
    assert client.stream(stream).info().config["features"] == {"temp*": {"horizon": 20.0}}
    page.reload()
    expect(page.get_by_label("Per feature")).to_have_value('{"temp*":{"horizon":20}}')


def test_another_method_can_be_chosen(page: Page, address: str, client: Client, stream: str) -> None:
    configuring(page, address)
    page.get_by_label("Method").select_option("online-2019")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#config-message")).to_contain_text("had to restart")
    assert client.stream(stream).info().config["method"] == "online-2019"


def test_a_wrong_configuration_is_told(watched: Watched, page: Page, address: str) -> None:
    watched.excused = ("422",)
    configuring(page, address)
    page.get_by_label("Horizon").fill("soon")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#config-message")).to_contain_text("/horizon")


def test_a_reset_asks_first(page: Page, address: str, client: Client, stream: str) -> None:
    configuring(page, address)
    page.get_by_role("button", name="Reset statistics").click()
    page.get_by_role("button", name="Cancel").click()
    assert client.stream(stream).info().count == 200
    page.get_by_role("button", name="Reset statistics").click()
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(page.locator("[data-tile=count]")).to_have_text("0")
    assert client.stream(stream).info().count == 0


def test_a_snapshot_is_downloaded(page: Page, address: str, stream: str) -> None:
    configuring(page, address)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download snapshot").click()
    assert download.value.suggested_filename == f"{stream}.json"
    assert json.loads(download.value.path().read_text())["count"] == 200


def test_a_reading_typed_by_hand_is_answered(page: Page, address: str, client: Client, stream: str) -> None:
    send(page, address, '{"temperature": 30}')
    expect(page.locator("#try-message")).to_contain_text("reading 201, ready")
    expect(page.locator("[data-tile=count]")).to_have_text("201")
    assert client.stream(stream).info().count == 201


def test_a_reading_can_be_tried_without_learning_from_it(page: Page, address: str, client: Client, stream: str) -> None:
    page.goto(address)
    page.get_by_text("Try it").click()
    page.get_by_label("Learn from it").uncheck()
    page.get_by_role("textbox", name="Reading").fill('{"temperature": 30}')
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#try-message")).to_contain_text("temperature")
    assert client.stream(stream).info().count == 200


def test_a_reading_typed_wrongly_is_told(page: Page, address: str) -> None:
    send(page, address, "{temperature: 30}")
    expect(page.locator("#try-message")).to_contain_text("This is not JSON")


def test_advice_is_given_with_its_reason_and_as_rules(page: Page, service: Service, client: Client) -> None:
    noise = random.Random(0)
    winds = [noise.gauss(0.0, 30.0) % 360 for _ in range(500)]
    client.bulk([{"stream": "vane", "values": {"wind": wind}} for wind in winds])
    page.goto(f"{service.url}/#vane")
    page.get_by_text("Advice").click()
    expect(page.locator("#advice-message li").first).to_contain_text("wind: it jumps between the ends of 0 to 360")
    expect(page.locator("#advice-message pre")).to_contain_text('transform = "circular"')


def test_the_rules_that_matched_are_told_with_what_says_each_parameter(
    page: Page, installed: Path, tmp_path: Path
) -> None:
    rules = tmp_path / "streamnorm.toml"
    rules.write_text('[[rules]]\nstreams = "hall*"\nfeatures = "door"\nhorizon = 500\n')
    service = Service(tmp_path, PYTHONPATH=str(installed), STREAMNORM_CONFIG=str(rules))
    with service, Client(service.url) as client:
        client.stream("hall").observe({"door": 1, "temp": 20, "hum": 40})
        (made,) = client.ingest("airgradient", {"serialno": "ecda", "atmp": 20})
        page.goto(f"{service.url}/#hall")
        page.get_by_text("Rules", exact=True).click()
        told = page.locator("#rules-message")
        expect(told).to_contain_text("rule, line 1 for streams hall*, features door (door): horizon 500")
        door = told.locator("li:has(> ul)").filter(has=page.locator("b", has_text="door"))
        expect(door).to_contain_text("horizon 500: rule, line 1")
        others = told.locator("li:has(> ul)").filter(has=page.locator("b", has_text="temp, hum"))
        expect(others).to_contain_text("horizon 1000: by the method itself")
        expect(told).to_contain_text("None: its readings came as they are.")
        page.set_viewport_size({"width": 320, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        page.goto(f"{service.url}/#{made.stream}")
        page.get_by_text("Rules", exact=True).click()
        expect(told).to_contain_text("airgradient, a preset")
