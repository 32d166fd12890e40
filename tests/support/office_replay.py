"""An office room, replayed one reading a POST through a real service.

Run it as `python -m tests.support.office_replay [RECORDING.csv]`; without a recording the room is made up.
Half-way the service is stopped and started again. What comes back is shown per sensor, in windows: the raw mean and
standard deviation, and those of the normalized readings.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm_client import Client
from tests.support.office import office_room
from tests.support.processes import Service

WINDOWS = 4
STREAM = "office-room"

Array = npt.NDArray[np.float64]


class Recording(NamedTuple):
    """What the sensors read: a row a reading, a column a sensor."""

    names: list[str]
    rows: Array


def recording(file: Path | None = None, days: int = 14) -> Recording:
    """Return a recording from a file (CSV, the times in its first column), or a made-up one of some days."""
    if file is None:
        columns = office_room(days)
        return Recording(list(columns), np.stack(list(columns.values()), axis=1))
    with file.open() as lines:
        names = lines.readline().rstrip("\n").split(",")[1:]
        rows = np.loadtxt(lines, delimiter=",", usecols=range(1, len(names) + 1), ndmin=2)
    return Recording(names, rows)


def replayed(room: Recording, folder: Path) -> Array:
    """Send every reading to a service of its own, which is stopped and started half-way; returns the answers."""
    answers = []
    with Service(folder) as service, Client(service.url) as client:
        stream = client.stream(STREAM)
        for n, row in enumerate(room.rows.tolist()):
            if n == len(room.rows) // 2:
                service.restart()
            values = stream.observe(dict(zip(room.names, row, strict=True))).values
            answers.append([values[name] for name in room.names])
    return np.array(answers)


def uninterrupted(room: Recording) -> Array:
    """Return the answers of the engine itself, in this process and at one go."""
    stream, limits = Stream(plan(configuration({}, {}))), Limits()
    given = [stream.observe(parse_reading(row, limits), 0.0, limits).values for row in room.rows.tolist()]
    return np.array(given)


def bounds(count: int, horizon: float = 1000.0) -> Array:
    """Return the bound √(W − 1) of each |y|, W being the weight of the readings so far."""
    weight = np.cumsum((1.0 - 1.0 / horizon) ** np.arange(count))
    bound: Array = np.sqrt(weight - 1.0)
    return bound


def table(room: Recording, normalized: Array) -> str:
    """Show raw and normalized readings beside each other, in windows."""
    lines = [f"{'sensor':16}{'readings':>15}{'raw mean':>13}{'raw std':>13}{'normalized mean':>18}{'std':>8}"]
    edges = np.linspace(0, len(room.rows), WINDOWS + 1).astype(int)
    for column, name in enumerate(room.names):
        for start, end in itertools.pairwise(edges):
            x, y = room.rows[start:end, column], normalized[start:end, column]
            where = f"{start + 1} … {end}"
            lines.append(f"{name:16}{where:>15}{x.mean():13.6g}{x.std():13.4g}{y.mean():18.3f}{y.std():8.3f}")
            name = ""  # noqa: PLW2901 - said once
    return "\n".join(lines)


def main() -> None:
    """Replay the recording and show what came back."""
    room = recording(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        normalized = replayed(room, Path(folder))
    seconds = time.perf_counter() - start
    same = normalized.tobytes() == uninterrupted(room).tobytes()
    sys.stdout.write(
        f"{table(room, normalized)}\n\n{len(room.rows)} readings, one a POST, the service restarted half-way: "
        f"{len(room.rows) / seconds:.0f} a second.\n"
        f"The answers are {'' if same else 'NOT '}those of the engine without a restart, bit for bit.\n"
    )


if __name__ == "__main__":
    main()
