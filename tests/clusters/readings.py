"""What all engines are given, what a real service answers to it, and what is equal where not a bit differs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from streamnorm.cli import cli
from streamnorm.stores.codec import decode
from streamnorm.stores.local.sqlite import SQLiteStore
from streamnorm_client import Client
from tests.support.office import office_room
from tests.support.processes import Service

#: sensors of a made-up office, each of which sends every so many minutes
SENSORS = 4
BEGIN = 1_795_338_000.0
Rows = list[dict[str, Any]]


def office(minutes: int = 2400) -> Rows:
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


def served(service: Service, rows: Rows) -> dict[tuple[str, int], Any]:
    """Send readings to a service, one after the other, and stop it; returns the answers by stream and number."""
    answers = {}
    with Client(service.url) as client:
        for row in rows:
            answer = client.stream(row["sensor"]).observe(row["values"], timestamp=row["time"], seq=row["seq"])
            answers[row["sensor"], row["seq"]] = (answer.values, answer.count, answer.ready)
    service.stop()
    return answers


def written(folder: Path) -> Rows:
    """Return the lines that a job has written and committed."""
    files = (file for file in folder.rglob("part-*") if not file.name.endswith((".crc", ".inprogress")))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def keyed(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, int], Any]:
    """Return rows as `served` does; each is there once."""
    answers = {}
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
    return {stream_id: stream.state[stream.layout.starts[0] :].tobytes() for stream_id, stream in streams.items()}
