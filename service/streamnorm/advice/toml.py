"""Writes advice as rules for `streamnorm.toml`, with the reasons as comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamnorm.advice.judge import Advice

#: what globs take for patterns
_PATTERN = re.compile(r"[*?\[]")


def to_toml(stream: str, advice: Iterable[Advice]) -> str:
    """Write the advice on a stream: a rule each, or a comment where no rule helps.

    >>> from streamnorm.advice import Advice
    >>> print(to_toml("shed", [Advice("wind", "it is an angle", {"transform": "circular", "period": 360})]))
    # shed, wind: it is an angle
    [[rules]]
    streams = "shed"
    features = "wind"
    transform = "circular"
    period = 360
    <BLANKLINE>
    """
    return "\n".join(_rule(stream, each) for each in advice)


def _rule(stream: str, advice: Advice) -> str:
    lines = [f"# {stream}{', ' if advice.feature else ''}{advice.feature}: {advice.reason}"]
    if advice.rule:
        lines += ["[[rules]]", f"streams = {_text(_glob(stream))}", f"features = {_text(_glob(advice.feature))}"]
        lines += [f"{name} = {_value(value)}" for name, value in advice.rule.items()]
    return "\n".join(lines) + "\n"


def _glob(name: str) -> str:
    """Return the glob that matches a name and nothing else."""
    return _PATTERN.sub(lambda match: f"[{match[0]}]", name)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # TOML's basic strings have JSON's escapes


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value) if isinstance(value, str) else repr(value)
