"""The schema for editors knows every key, and takes what a mapping takes."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from streamnorm.config_file.schema import json_schema as of_file
from streamnorm.mappings import preset_names
from streamnorm.mappings.schema import schema
from streamnorm.mappings.table import KEYS

VALIDATOR = Draft202012Validator(schema())


def test_it_has_every_key() -> None:
    assert set(schema()["properties"]) == {*KEYS, "preset"}
    assert of_file()["properties"]["mappings"]["items"] == schema()


@pytest.mark.parametrize("name", preset_names())
def test_it_takes_every_preset(name: str) -> None:
    folder = resources.files("streamnorm.mappings") / "presets"
    table = {"name": name} | tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
    assert [error.message for error in VALIDATOR.iter_errors(table)] == []


@pytest.mark.parametrize("table", [{}, {"name": "m", "rot": "/x"}, {"name": "m", "root": "x"}, {"preset": "zigbe"}])
def test_it_refuses_what_a_mapping_refuses(table: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(table)
