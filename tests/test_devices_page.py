"""docs/devices.md tells of every preset and every key, and its examples are right."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import httpx
import pytest

from streamnorm.engine.limits import Limits
from streamnorm.mappings import Catalogue, Message, preset_names
from streamnorm.mappings.table import KEYS
from tests.support.commands import invoke
from tests.support.http_calls import running

PAGE = (Path(__file__).parents[1] / "docs" / "devices.md").read_text(encoding="utf-8")


def test_every_preset_has_its_paragraph() -> None:
    told = PAGE.partition("## Presets")[2].partition("## Your own mapping")[0]
    assert set(re.findall(r"\(`([a-z0-9-]+)`", told)) == set(preset_names())


def test_every_key_has_its_row() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)
    assert {key.strip("`") for row in rows for key in row.split(", ")} == {*KEYS, "preset"}


def test_the_mappings_of_the_page_are_valid_and_do_what_it_says() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    catalogue = Catalogue(tomllib.loads(block)["mappings"])
    body = b'{"data": {"ts": 1795338000000, "n": 4, "values": {"temp": "81,5 C", "burner": "running", "rssi": -60}}}'
    [(stream, reading, _)] = catalogue.find("boilers").readings(Message(body, "plant/north/b7/raw"), Limits())
    assert (stream, reading.names, reading.values) == ("north.b7", ("temp", "burner"), [81.5, 1.0])
    assert (reading.timestamp, reading.seq) == (1_795_338_000, 4)


def test_the_sample_of_the_page_is_read_as_it_says() -> None:
    [(command, answer)] = re.findall(r"^\$ streamnorm (check .*)\n(.*)$", PAGE, re.MULTILINE)
    assert invoke(shlex.split(command)).stdout == f"{answer}\n"


@pytest.mark.parametrize("preset", ["airgradient", "ttn"])
async def test_the_calls_of_the_page_are_answered_as_it_says(preset: str) -> None:
    [(command, answer)] = re.findall(rf"^\$ (curl .*ingest/{preset}.*)\n(.*)$", PAGE, re.MULTILINE)
    body = shlex.split(command)[-1]
    async with running() as api:
        response: httpx.Response = await api.post(f"/v1/ingest/{preset}", body)
        assert response.text == answer
