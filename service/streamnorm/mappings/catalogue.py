"""Presets, which are files of this package, and the mappings of a service beside them."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable
from collections.abc import Mapping as AnyMapping
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

from streamnorm.errors import InvalidConfiguration, MappingNotFound
from streamnorm.mappings.mapping import Mapping
from streamnorm.mappings.table import build

FOLDER = "presets"


def preset_names() -> list[str]:
    """Return the names of all presets."""
    folder = resources.files(__package__) / FOLDER
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load_preset(name: str) -> dict[str, Any]:
    """Return the table of a preset.

    >>> load_preset("ttn")["root"]
    '/uplink_message/decoded_payload'

    Raises:
        InvalidConfiguration: there is none of this name.

    """
    if name not in preset_names():
        raise InvalidConfiguration.at("/preset", f"there is no preset {name!r:.80}{_nearest(name, preset_names())}")
    return _table({"name": name} | tomllib.loads(_text(name)))


def mapping_of(table: AnyMapping[str, Any]) -> Mapping:
    """Build a mapping of its table; keys that it has stand for those of its preset, and its states are added to those.

    >>> mapping_of({"preset": "ttn", "exclude": ["battery"]}).name
    'ttn'

    Raises:
        InvalidConfiguration: naming the mapping and every wrong key.

    """
    return build(_table(table))


class Catalogue:
    """The mappings of a service, in their order, and any preset by its name.

    >>> Catalogue([{"name": "roof", "preset": "tasmota"}]).find("roof").name
    'roof'

    Raises:
        InvalidConfiguration: a table is wrong, or two have one name; the pointer begins with the table's place.

    """

    def __init__(self, tables: Iterable[AnyMapping[str, Any]] = ()) -> None:
        self._mappings: dict[str, Mapping] = {}
        self._presets: dict[str, Mapping] = {}
        #: called after the mappings have changed
        self.listeners: list[Callable[[], object]] = []
        for place, table in enumerate(tables):
            try:
                made = mapping_of(table)
            except InvalidConfiguration as error:
                raise error.within(f"/{place}") from None
            if made.name in self._mappings:
                raise InvalidConfiguration.at(f"/{place}/name", f"mapping {made.name!r}: another one has this name")
            self._mappings[made.name] = made

    def __iter__(self) -> Any:
        return iter(self._mappings.values())

    def __len__(self) -> int:
        return len(self._mappings)

    def become(self, other: Catalogue) -> None:
        """Take the mappings of another catalogue in place of these; one of the same name still knows what it heard."""
        before = self._mappings
        self._mappings = {
            name: replace(each, aliases=before[name].aliases, heard=before[name].heard) if name in before else each
            for name, each in other._mappings.items()
        }
        for listener in self.listeners:
            listener()

    def heard(self, stream_id: str) -> list[tuple[Mapping, str]]:
        """Return the mappings that made readings of a stream lately, each with the topic of the last message."""
        known = [*self._mappings.values(), *self._presets.values()]
        return [(each, each.heard.topics[stream_id]) for each in known if stream_id in each.heard.topics]

    def find(self, name: str) -> Mapping:
        """Return the mapping of a name, else the preset of that name.

        Raises:
            MappingNotFound: there is neither.

        """
        found = self._mappings.get(name) or self._presets.get(name)
        if found is None:
            if name not in preset_names():
                near = _nearest(name, [*self._mappings, *preset_names()])
                raise MappingNotFound(f"there is no mapping {name!r:.80}{near}")
            found = self._presets[name] = mapping_of({"preset": name})
        return found


def _table(table: AnyMapping[str, Any]) -> dict[str, Any]:
    """Lay a table over its preset."""
    if "preset" not in table:
        return dict(table)
    if not isinstance(table["preset"], str):
        raise InvalidConfiguration.at("/preset", f"must be one of {', '.join(preset_names())}")
    base = load_preset(table["preset"])
    own = {key: value for key, value in table.items() if key != "preset"}
    if isinstance(own.get("states"), dict):
        own["states"] = {**base.get("states", {}), **own["states"]}
    return base | own


@cache
def _text(name: str) -> str:
    return (resources.files(__package__) / FOLDER / f"{name}.toml").read_text(encoding="utf-8")


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, 3, 0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known are {', '.join(names)}"
