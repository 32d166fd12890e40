"""The JSON schema of `streamnorm.toml`, for editors that complete and check while one types."""

from __future__ import annotations

from typing import Any

from streamnorm.engine.configuration.config import CONFIGURATIONS
from streamnorm.mappings import schema as mappings_schema

GLOBS = {
    "streams": "glob of the streams it speaks of",
    "features": "glob of the features it speaks of, as readings name them",
}


def json_schema() -> dict[str, Any]:
    """Return the schema: of rules every parameter of any method, of mappings every key."""
    parameters: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    methods = {"enum": [*CONFIGURATIONS], "description": "how statistics are kept"}
    for model in CONFIGURATIONS.values():
        made = model.model_json_schema()
        definitions |= made.get("$defs", {})
        for name, one in made["properties"].items():
            several = parameters.setdefault(name, [])
            kept = {key: value for key, value in one.items() if key not in {"title", "default"}}
            if kept not in several:
                several.append(kept)
    rule = {name: several[0] if len(several) == 1 else {"anyOf": several} for name, several in parameters.items()}
    rule["method"] = methods
    globs = {
        name: {"type": "string", "minLength": 1, "maxLength": 256, "default": "*", "description": text}
        for name, text in GLOBS.items()
    }
    tables = {
        "rules": {"type": "object", "properties": globs | rule, "additionalProperties": False},
        "mappings": mappings_schema.schema(),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "streamnorm.toml",
        "type": "object",
        "properties": {name: {"type": "array", "items": table} for name, table in tables.items()},
        "additionalProperties": False,
        "$defs": definitions,
    }
