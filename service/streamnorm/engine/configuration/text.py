"""Configurations that somebody typed."""

from __future__ import annotations

import json
from typing import Any

from streamnorm.errors import InvalidConfiguration


def parse_configuration(text: str) -> dict[str, Any]:
    """Read a configuration that somebody typed, still to be checked.

    Raises:
        InvalidConfiguration: it is no JSON object.

    """
    why = ""
    try:
        data = json.loads(text)
    except ValueError as error:
        data, why = None, f": {error}"
    if not isinstance(data, dict):
        raise InvalidConfiguration.at("", f"the configuration {text} is no JSON object{why}")
    return data
