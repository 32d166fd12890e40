"""How many lines held a number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Tally:
    """Counts of lines, and of those among them that held a number."""

    lines: int = 0
    held: int = 0

    def add(self, *, held: bool) -> None:
        """Count a line."""
        self.lines += 1
        self.held += held
