"""The tables of mappings: what is wrong is told by the mapping's name, the key, and what would help."""

from __future__ import annotations

from typing import Any

import pytest

from streamnorm.errors import InvalidConfiguration, MappingNotFound
from streamnorm.mappings import Catalogue, mapping_of, preset_names


@pytest.mark.parametrize(
    ("table", "pointer", "detail"),
    [
        ({"name": "m", "exlude": []}, "/exlude", "mapping 'm': is unknown; did you mean exclude?"),
        ({"name": "m", "topics": ["a/{x}/{x}"]}, "/topics", "names a level twice"),
        ({"name": "m", "topics": ["a/{x...}/b"]}, "/topics", "cannot have {name...} or # before its last level"),
        ({"name": "m", "topics": 7}, "/topics", "must be a list of texts"),
        ({"name": "m", "root": "data"}, "/root", "'data' is no JSON pointer: it must begin with /"),
        ({"name": "m", "stream": "{a"}, "/stream", "has a brace without its other one"),
        ({"name": "m", "time_zone": "Mars"}, "/time_zone", "no time zone; it must be such as Europe/Berlin"),
        ({"name": "m", "strings": "no"}, "/strings", "must be drop or number, not 'no'"),
        ({"name": "m", "states": {"ON": "yes"}}, "/states", "the state 'ON' must be a number or \"missing\""),
        ({"name": "m", "states": {"ON": float("inf")}}, "/states", "the state 'ON' is not within ±1e+75"),
        ({"name": "m", "pairs": {"name": "/n"}}, "/pairs", 'must be a table such as { name = "/name"'),
        ({"name": "a b"}, "/name", "must be 1 to 64 letters"),
        ({"root": "/x"}, "/name", "a mapping must have a name, or a preset"),
        ({"preset": "zigbe2mqtt"}, "/preset", "there is no preset 'zigbe2mqtt'; did you mean zigbee2mqtt"),
        ({"preset": 7}, "/preset", "must be one of airgradient, "),
    ],
)
def test_an_error_names_the_key_and_what_would_help(table: dict[str, Any], pointer: str, detail: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        mapping_of(table)
    [fault] = caught.value.faults
    assert fault.pointer == pointer
    assert detail in fault.detail


def test_all_wrong_keys_are_told_at_once() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        mapping_of({"name": "m", "root": "x", "format": "xml"})
    assert [fault.pointer for fault in caught.value.faults] == ["/root", "/format"]


def test_own_keys_stand_for_those_of_the_preset_and_states_are_added() -> None:
    mapping = mapping_of({"name": "house", "preset": "zigbee2mqtt", "states": {"vibrating": 1}, "exclude": []})
    assert mapping.name == "house"
    assert mapping.selection.states.items() >= {"vibrating": 1.0, "ON": 1.0}.items()
    assert mapping.selection.exclude == ()


def test_a_catalogue_knows_its_mappings_and_all_presets() -> None:
    catalogue = Catalogue([{"name": "house", "preset": "zigbee2mqtt"}, {"preset": "ttn", "exclude": ["battery"]}])
    assert [each.name for each in catalogue] == ["house", "ttn"]
    assert catalogue.find("ttn").selection.exclude == ("battery",)
    assert all(catalogue.find(name).name == name for name in preset_names())
    with pytest.raises(MappingNotFound, match=r"no mapping 'hause'; did you mean house\?"):
        catalogue.find("hause")


def test_names_must_differ_and_errors_name_the_place() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        Catalogue([{"name": "a"}, {"name": "a"}])
    assert [fault.pointer for fault in caught.value.faults] == ["/1/name"]
    with pytest.raises(InvalidConfiguration) as caught:
        Catalogue([{"name": "a"}, {"name": "b", "root": "x"}])
    assert [fault.pointer for fault in caught.value.faults] == ["/1/root"]
