"""Measure everything, beside peers, and write `docs/benchmarks.md`: `make bench`; ARGS names some of the modules."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from tests.benchmarks.page import Page
from tests.benchmarks.report import Row, conditions, processor, table

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks.md"
#: module -> its heading
PARTS = {
    "single": "One reading a POST",
    "durability": "Durability",
    "streams": "Streaming",
    "blocks": "Blocks",
    "peaks": "Memory of a block",
    "arithmetic": "The arithmetic alone",
    "curves": "As the work grows",
    "loads": "As the load grows",
    "small": "Small",
    "files": "Recorded files",
    "client": "The Python client",
    "gpu": "GPU",
}
HEAD = """# Benchmarks

Written by `make bench`, which makes an environment of its own for the peers. Rates of servers are for a second of the
server's processor time: on a machine with nothing else to do that is a second, for the server's core is busy all the
time. Ours and a peer are measured in turns, at least five; the ratio is the median of the turns', in brackets the least
and the greatest, which a figure without a peer has, too. Each make of processor has a table of its own, with the day,
the versions and the load. How well each method normalizes is another question: `python -m tests.benchmarks.quality`.
Benchmarks that take longer print tables of their own: `residents` (a million streams), `replicas`, `pages`, `soak`.
"""


def main() -> None:
    """Measure, print, and put into the page what was measured, beside what other makes of processors have there."""
    named = sys.argv[1:] or list(PARTS)
    for name in named:
        sys.stdout.write(f"{PARTS[name]} …\n")
        sys.stdout.flush()
        module = importlib.import_module(f"tests.benchmarks.{name}")
        before = conditions()
        rows: list[Row] = module.measure()
        sys.stdout.write(table(rows) + "\n")
        page = Page.parse(DOCS.read_text())
        page.head = HEAD.strip()
        page.put(PARTS[name], getattr(module, "INTRODUCTION", ""), processor(), f"{before}\n{table(rows)}")
        DOCS.write_text(page.write(list(PARTS.values())))
    sys.stdout.write(f"written to {DOCS}\n")


if __name__ == "__main__":
    main()
