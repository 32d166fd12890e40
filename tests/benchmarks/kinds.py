"""Which kind of sensor each of a labelled collection is told to be; writes the table of `docs/methods.md`.

Run `python -m tests.benchmarks.kinds [FOLDER]`, the folder holding recordings.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import get_args

from streamnorm.engine.blocks.block import Block, observe_block
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.streams.feature_profile import Kind, profile
from streamnorm.engine.streams.stream import Stream
from tests.support.labelled_sensors import Sensor, collection

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
BEGIN, END = "<!-- kinds: written by python -m tests.benchmarks.kinds -->\n", "<!-- end of kinds -->"
#: of random numbers that the bounds of the kinds were not chosen with
SEEDS = (101, 102)


def told(sensor: Sensor) -> Kind:
    """Return the kind that a sensor is told to be after its last reading."""
    stream = Stream(plan(configuration({}, {})))
    observe_block(stream, Block(("x",), sensor.values.reshape(-1, 1)), 0.0, Limits())
    return profile(stream)["x"].kind


def confusion(recordings: Path | None) -> Counter[tuple[Kind, Kind]]:
    """Count (what a sensor is, what it is told to be)."""
    found: Counter[tuple[Kind, Kind]] = Counter()
    for number, seed in enumerate(SEEDS):
        for sensor in collection(None if number else recordings, seed):
            found[sensor.kind, told(sensor)] += 1
    return found


def table(found: Counter[tuple[Kind, Kind]]) -> str:
    """Write the matrix, and how many are right."""
    kinds = [kind for kind in get_args(Kind) if kind != "warming"]
    lines = ["| is \\ told | " + " | ".join(kinds) + " |", "| --- |" + " --- |" * len(kinds)]
    lines += [f"| {kind} | " + " | ".join(str(found[kind, other] or "") for other in kinds) + " |" for kind in kinds]
    right, total = sum(found[kind, kind] for kind in kinds), found.total()
    return "\n".join(lines) + f"\n\n{right} of {total} are right, {100 * right / total:.1f} %.\n"


def main() -> None:
    """Write the page."""
    recordings = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + table(confusion(recordings)) + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
