"""How well each method normalizes, where it matters: `python -m tests.benchmarks.quality [--data FOLDER] [--write]`.

Measures every method, river's scalers and what is usually written by hand; see the modules beside this one for what is
measured, and on what. `--write` puts the tables into docs/methods.md, where their marks are.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import platform
import re
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.quality.data import load
from tests.benchmarks.quality.report import Goal, Part, goals_table

PAGE = Path(__file__).parents[3] / "docs" / "methods.md"
PARTS = ("fluctuation", "baseline", "wild", "downstream", "prediction", "networks")
LIBRARIES = ("numpy", "pandas", "river", "scikit-learn")


def marks(name: str) -> tuple[str, str]:
    """Return what stands before and behind a part in the page."""
    return f"<!-- {name}: written by python -m tests.benchmarks.quality -->", "<!-- end -->"


def with_part(page: str, part: Part) -> str:
    """Put a part into the page, where its marks are."""
    start, end = marks(part.name)
    return re.sub(f"{start}.*?{end}", lambda _: f"{start}\n{part.text.strip()}\n{end}", page, flags=re.DOTALL)


def conditions(where: str) -> str:
    """Tell the day, the data and the versions."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return f"Measured on {datetime.now(UTC):%Y-%m-%d} on {where}; Python {platform.python_version()}, {versions}."


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quality", description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--data", type=Path, help="folder of recordings; without, sensors of their kinds are made up")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/methods.md")
    asked = parser.parse_args()
    data = load(asked.data)
    goals: list[Goal] = []
    found = [Part("conditions", conditions(data.where))]
    for name in asked.parts:
        began = time.monotonic()
        part: Part = importlib.import_module(f"tests.benchmarks.quality.{name}").measure(data)
        print(f"\n## {name} ({time.monotonic() - began:.0f} s)\n\n{part.text}", flush=True)
        goals += part.goals
        found.append(part)
    found.append(Part("goals", goals_table(goals)))
    print(f"\n{found[0].text}\n\n{found[-1].text}")
    if asked.write:
        page = PAGE.read_text()
        for part in found:
            page = with_part(page, part)
        PAGE.write_text(page)


if __name__ == "__main__":
    main()
