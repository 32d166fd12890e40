"""What all engines are given, what a real service answers to it, and what is equal where not a bit differs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from typer.testing import CliRunner

from streamnorm.cli import cli
from streamnorm.stores.codec import decode
from streamnorm.stores.local.sqlite import SQLiteStore
from streamnorm_client import Client
from tests.clusters.flink_cluster import PYTHON
from tests.support.office import office_room
from tests.support.processes import FreshService, Service

#: sensors of a made-up office, each of which sends every so many minutes
SENSORS = 4
#: readings; a service has had half of them before an engine takes over
READINGS = 800
BEGIN = 1_795_338_000.0
RULES = """
[[rules]]
warmup = 20

[[rules]]
streams = "room-[01]"
horizon = 300

[[rules]]
streams = "room-1"
features = "co*"
time_constant = "6h"
clamp = 2.5
"""
Rows = list[dict[str, Any]]
#: by stream and number
Answers = dict[tuple[str, int], Any]


class InterpretedService(FreshService):
    """A service without Numba, as the operators are here, which compiles no kernels for a minute first."""

    python = str(PYTHON)


@dataclass(frozen=True)
class Office:
    """Readings, and what a service that has a file of rules answered to them."""

    rows: Rows
    #: the file
    rules: Path
    answers: Answers
    #: the streams half-way, as `streamnorm migrate` writes them
    half: Path
    #: of the streams in the end
    statistics: dict[str, bytes]

    @classmethod
    def served(cls, folder: Path) -> Self:
        """Send readings to a service, half of them, and the other half after its streams were copied."""
        rows, rules = readings(READINGS), folder / "streamnorm.toml"
        rules.write_text(RULES)
        service = InterpretedService(folder, STREAMNORM_CONFIG=str(rules))
        answers: Answers = {}
        for some in (rows[: READINGS // 2], rows[READINGS // 2 :]):
            with service:
                answers |= answered(service, some)
                service.stop()
            if not (folder / "half").exists():
                migrate(f"sqlite://{folder}/data", f"blobs://{folder}/half")
        return cls(rows, rules, answers, folder / "half", statistics(folder / "data"))

    @property
    def rest(self) -> Rows:
        """The readings of the second half."""
        return self.rows[READINGS // 2 :]

    def answers_to(self, rows: Rows) -> Answers:
        """Return the answers to some readings."""
        return {(row["sensor"], row["seq"]): self.answers[row["sensor"], row["seq"]] for row in rows}


def readings(minutes: int) -> Rows:
    """Return an office's readings, in the order of their times, of several sensors in turn; some lack a value."""
    columns = office_room(1 + minutes // 1440)
    table = np.stack([*columns.values()], axis=1)[:minutes].tolist()
    rows = []
    for minute, values in enumerate(table):
        whole = dict(zip(columns, values, strict=True))
        if minute % 7 == 3:
            whole["co2"] = float("nan")
        number, sensor = divmod(minute, SENSORS)
        rows.append({"sensor": f"room-{sensor}", "seq": number, "time": BEGIN + 60.0 * minute, "values": whole})
    return rows


def answered(service: Service, rows: Rows) -> Answers:
    """Send readings to a service, one after the other; returns the answers."""
    answers = {}
    with Client(service.url) as client:
        for row in rows:
            answer = client.stream(row["sensor"]).observe(row["values"], timestamp=row["time"], seq=row["seq"])
            answers[row["sensor"], row["seq"]] = (answer.values, answer.count, answer.ready)
    return answers


def written(folder: Path) -> Rows:
    """Return the lines that a job has written and committed."""
    files = (file for file in folder.rglob("part-*") if not file.name.endswith((".crc", ".inprogress")))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def keyed(rows: Iterable[dict[str, Any]]) -> Answers:
    """Return rows as a service's answers; each is there once."""
    answers: Answers = {}
    for row in rows:
        assert row["error"] is None, row
        assert (row["sensor"], row["seq"]) not in answers, f"twice: {row}"
        answers[row["sensor"], row["seq"]] = (row["values"], row["count"], row["ready"])
    return answers


def migrate(source: str, target: str) -> None:
    """Run `streamnorm migrate`."""
    done = CliRunner().invoke(cli, ["migrate", "--from", source, "--to", target])
    assert done.exit_code == 0, done.output


def statistics(folder: Path) -> dict[str, bytes]:
    """Return the bits of the features of every stream in a folder; the times of arrival before them differ."""
    store = SQLiteStore(folder, synchronous="normal")
    try:
        ids = store.page("", "", 100)
        assert len(ids) == SENSORS
        streams = {stream_id: decode(stream_id, store.load(stream_id) or b"") for stream_id in ids}
    finally:
        store.close()
    return {stream_id: stream.state[min(stream.layout.starts) :].tobytes() for stream_id, stream in streams.items()}
