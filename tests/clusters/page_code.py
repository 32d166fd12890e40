"""The code of docs/scaling.md, for jobs that run it, and readings that they give it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GIVEN: list[dict[str, Any]] = [
    {"sensor": "boiler", "seq": n, "time": 1_795_338_000.0 + n, "values": {"temp": 20.0 + n % 3, "door": float(n % 2)}}
    for n in range(12)
]
#: as `GIVEN`, a feature in each field
WIDE = [{"sensor": row["sensor"], "seq": row["seq"], "time": row["time"], **row["values"]} for row in GIVEN]


class Namespace(dict[str, Any]):
    """The names of the page's code; every `done` is kept."""

    def __init__(self, **names: Any) -> None:
        super().__init__(names)
        self.done: list[Any] = []

    def __setitem__(self, name: str, value: Any) -> None:
        """Set a name."""
        if name == "done":
            self.done.append(value)
        super().__setitem__(name, value)


def page(title: str) -> list[str]:
    """Return the code of a section of the page."""
    text = (ROOT / "docs/scaling.md").read_text()
    (section,) = re.findall(rf"^### {title}$(.*?)^##", text, re.DOTALL | re.MULTILINE)
    return re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
