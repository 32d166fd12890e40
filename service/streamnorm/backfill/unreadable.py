"""What a recording can be refused for."""

from __future__ import annotations


class Unreadable(ValueError):
    """A recording, or an option that says how to read it, cannot be understood; the message names the way out."""


class BadCell(Unreadable):
    """A cell that cannot be understood ends the work, because `--on-bad-row stop` asks for that."""
