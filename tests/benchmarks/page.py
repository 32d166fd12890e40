"""docs/benchmarks.md: of each part a table for each make of processor, with the day, versions and load it is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Part:
    """A part of the page: what introduces it, and what was measured, by make of processor."""

    introduction: str = ""
    measured: dict[str, str] = field(default_factory=dict)


@dataclass
class Page:
    """The page: its head, and its parts by title."""

    head: str
    parts: dict[str, Part] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a page that was written before."""
        head, *parts = text.split("\n## ")
        page = cls(head.strip())
        for part in parts:
            title, _, rest = part.partition("\n")
            introduction, *measured = f"\n{rest}".split("\n### ")
            makes = (each.partition("\n") for each in measured)
            page.parts[title] = Part(introduction.strip(), {make: body.strip() for make, _, body in makes})
        return page

    def put(self, title: str, introduction: str, make: str, measured: str) -> None:
        """Put in what was `measured` of the part with this `title` on a `make` of processor, in place of what was."""
        part = self.parts.setdefault(title, Part())
        part.introduction = introduction.strip()
        part.measured[make] = measured.strip()

    def write(self, titles: Sequence[str]) -> str:
        r"""Write the page, its parts in the order of `titles`.

        >>> page = Page.parse("# Figures\n\n## Old\n\nSaid.\n\n### A\n\n1\n\n## New\n")
        >>> page.put("Old", "Said anew.", "B", "2")
        >>> page.write(["New", "Old"])
        '# Figures\n\n## New\n\n## Old\n\nSaid anew.\n\n### A\n\n1\n\n### B\n\n2\n'
        """
        written = [self.head]
        for title in titles:
            if title in self.parts:
                part = self.parts[title]
                written += [f"## {title}", *filter(None, [part.introduction])]
                for make, measured in sorted(part.measured.items()):
                    written += [f"### {make}", measured]
        return "\n\n".join(written) + "\n"
