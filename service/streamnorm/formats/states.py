"""Values of texts, as options say them."""

from __future__ import annotations

from collections.abc import Iterable


def parse_states(given: Iterable[str]) -> dict[str, float]:
    """Read what values texts have.

    >>> parse_states(["ON=1,OFF=0"])
    {'ON': 1.0, 'OFF': 0.0}

    Raises:
        ValueError: one has none.

    """
    found = {}
    for each in ",".join(given).split(","):
        text, equals, value = each.rpartition("=")
        if not each:
            continue
        try:
            found[text] = float(value) if equals else float("?")
        except ValueError:
            message = f"--states: {each!r} is no text with its value, such as ON=1"
            raise ValueError(message) from None
    return found
