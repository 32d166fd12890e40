"""The JSON schema of a mapping's table, for editors."""

from __future__ import annotations

from typing import Any, Final

from streamnorm.mappings.bodies.documents import FORMATS
from streamnorm.mappings.catalogue import preset_names
from streamnorm.mappings.numbers import MISSING
from streamnorm.mappings.table import STRINGS

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_POINTER: Final = {"type": "string", "pattern": "^(/.*)?$"}
_POINTERS: Final = {"anyOf": [_POINTER, {"type": "array", "items": _POINTER}]}
_STATE: Final = {"anyOf": [{"type": "number"}, {"type": "boolean"}, {"const": MISSING}]}

#: each key: what it says, and its form
_KEYS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "name": ("the name in addresses and errors", {"type": "string", "minLength": 1, "maxLength": 64}),
    "topics": ("MQTT filters whose messages are this mapping's; {name} is a level, {name...} the rest", _TEXTS),
    "ignore_topics": ("globs of topics that hold no reading", _TEXTS),
    "format": ("form of the body", {"enum": list(FORMATS)}),
    "each": ("pointer to what becomes a reading each", _POINTERS),
    "root": ("pointer to what holds the values", _POINTERS),
    "stream": ("template of the stream's id: {level}, {/json/pointer}, {a|/b|}", _TEXT),
    "feature": ("template before the features' names; the name of a bare value", _TEXT),
    "time": ("pointer to the time: ISO 8601, or an epoch of any unit", _POINTERS),
    "time_zone": ("zone of times without one, such as Europe/Berlin", _TEXT),
    "seq": ("pointer to a number that only rises", _POINTERS),
    "pairs": (
        "the root's elements are pairs of a name and a value",
        {
            "type": "object",
            "properties": dict.fromkeys(("name", "value", "time"), _POINTERS),
            "required": ["name", "value"],
            "additionalProperties": False,
        },
    ),
    "include": ("globs of the features", _TEXTS),
    "exclude": ("globs of what is no feature", _TEXTS),
    "strings": ('whether texts such as "21,4 °C" are numbers', {"enum": list(STRINGS)}),
    "states": ("values of words", {"type": "object", "additionalProperties": _STATE}),
    "unwrap": ("members that stand for their object", _TEXTS),
    "channels": ("globs of arrays that stay whole", _TEXTS),
    "hint": ("what errors add", _TEXT),
}


def schema() -> dict[str, Any]:
    """Return the schema of a mapping's table."""
    keys = {key: {**form, "description": told} for key, (told, form) in _KEYS.items()}
    keys["preset"] = {"enum": preset_names(), "description": "the preset that it begins with"}
    either = [{"required": ["name"]}, {"required": ["preset"]}]
    return {"type": "object", "properties": keys, "anyOf": either, "additionalProperties": False}
