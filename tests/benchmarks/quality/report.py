"""Tables, and goals with what was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Goal(NamedTuple):
    """Something that `adaptive` is to reach."""

    what: str
    wanted: str
    found: float
    reached: bool


class Part(NamedTuple):
    """What one kind of measurement found."""

    name: str
    text: str
    goals: Sequence[Goal] = ()


def at_least(what: str, found: float, wanted: float) -> Goal:
    """Return a goal to be at or above."""
    return Goal(what, f"at least {wanted:g}", found, found >= wanted)


def at_most(what: str, found: float, wanted: float) -> Goal:
    """Return a goal to be at or below."""
    return Goal(what, f"at most {wanted:g}", found, found <= wanted)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def goals_table(goals: Iterable[Goal]) -> str:
    """Write what was to be reached, and whether it was."""
    rows = [(goal.what, goal.wanted, f"{goal.found:.3f}", "yes" if goal.reached else "**no**") for goal in goals]
    return table(("goal", "wanted", "found", "reached"), rows)
