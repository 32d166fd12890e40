"""What pydantic finds wrong is told in the house's words, with the value as it was sent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamnorm.engine.validation import abbreviate, to_faults
from streamnorm.errors import Fault


class Inner(BaseModel):
    """What is nested."""

    model_config = ConfigDict(extra="forbid")

    least: float = Field(0.0, gt=1)


class Outer(BaseModel):
    """A few of everything."""

    model_config = ConfigDict(extra="forbid")

    a: int
    kind: Literal["x", "y", "z"] = "x"
    flag: bool = False
    name: Annotated[str, Field(pattern="^[a-z]+$")] = "a"
    some: list[int] = Field([1], min_length=1)
    inner: dict[str, Inner] = {}


WRONG: dict[str, tuple[dict[str, Any], Fault]] = {
    "missing": ({}, Fault("/a", "is missing")),
    "unknown": ({"a": 1, "b": 2}, Fault("/b", "is unknown")),
    "no number": ({"a": "one"}, Fault("/a", "must be a valid integer, not 'one'")),
    "a fraction": ({"a": 1.5}, Fault("/a", "must be a valid integer, not 1.5")),
    "no choice": ({"a": 1, "kind": "w"}, Fault("/kind", "must be 'x', 'y' or 'z', not 'w'")),
    "no flag": ({"a": 1, "flag": "maybe"}, Fault("/flag", "must be a valid boolean, not 'maybe'")),
    "no match": ({"a": 1, "name": "A"}, Fault("/name", "must match pattern '^[a-z]+$', not 'A'")),
    "nothing in it": ({"a": 1, "some": []}, Fault("/some", "must have at least 1 item, not 0")),
    "no object": ({"a": 1, "inner": {"b/c": []}}, Fault("/inner/b~1c", "must be an object, not an array")),
    "too little": ({"a": 1, "inner": {"b": {"least": 1}}}, Fault("/inner/b/least", "must be greater than 1, not 1")),
}


@pytest.mark.parametrize(("data", "fault"), WRONG.values(), ids=WRONG)
def test_a_fault_says_where_and_what_and_what_was_sent(data: dict[str, Any], fault: Fault) -> None:
    with pytest.raises(ValidationError) as refused:
        Outer.model_validate(data)
    assert to_faults(refused.value.errors()) == [fault]
    assert to_faults(refused.value.errors(), "/row") == [Fault(f"/row{fault.pointer}", fault.detail)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1e80, "1e+80"),
        ("warm", "'warm'"),
        ("w" * 100, "'" + "w" * 39 + "…"),
        (2**160 - 1, str(2**160 - 1)[:40] + "…"),
        (2**160, "a whole number of 161 bits"),
        (10**5000, "a whole number of 16610 bits"),
        ([[1] * 10**6], "an array"),
        ({"a": 1}, "an object"),
    ],
    ids=[
        "null",
        "a flag",
        "a number",
        "text",
        "long text",
        "a long number",
        "a longer one",
        "a very long one",
        "an array",
        "an object",
    ],
)
def test_a_value_is_shown_shortly(value: object, text: str) -> None:
    assert abbreviate(value) == text
