"""The rules of a streamnorm.toml in an operator: stream by stream what a service does that has the same file."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from streamnorm import config_file
from streamnorm.config_reload import ConfigReloader
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.reading import Answer, parse_reading
from streamnorm.engine.streams.rulebook import Rulebook
from streamnorm.engines import Table, observe_blob, observe_table, rulebook_of
from streamnorm.engines.arrow import observe_batch
from streamnorm.engines.blobs import LIMITS
from streamnorm.engines.frames import observe_frame
from streamnorm.engines.options import Options
from streamnorm.engines.rows import Fields, observe_rows
from streamnorm.errors import InvalidConfigFile, InvalidConfiguration, InvalidReading
from streamnorm.ingest import IngestService
from streamnorm.mappings import Catalogue
from streamnorm.stores.codec import decode
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.write_behind import WriteBehindStreams
from tests.support.engine import NOW, bits, varied, ybits

TEXT = """
[[rules]]
warmup = 5

[[rules]]
streams = "roof-*"
horizon = 30

[[rules]]
features = "b"
horizon = 7
clamp = 1.5

[[rules]]
streams = "roof-[2-9]"
features = "a"
time_constant = "10m"

[[rules]]
streams = "broken"
method = "batch"
features = "b"
transform = "circular"

[[rules]]
streams = "broken"
features = "b"
method = "streaming"
"""
STREAMS = ("roof-1", "roof-2", "Roof-2", "cellar")
VALUES = varied(30)
TIMES = NOW - 60.0 * np.arange(30, dtype=np.float64)[::-1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a file of rules."""
    path = tmp_path / "streamnorm.toml"
    path.write_text(TEXT)
    return path


def readings(first: int, last: int) -> list[Any]:
    """Return readings of two features."""
    rows = zip(VALUES[first:last].tolist(), TIMES[first:last].tolist(), strict=True)
    return [parse_reading({"a": a, "b": b}, LIMITS, timestamp=t) for (a, b), t in rows]


def served(stream_id: str, blob: bytes | None, file: Path) -> tuple[list[object], object]:
    """Send readings to a service that has the file, and may have the stream; returns its answers, and the stream."""

    async def send() -> tuple[list[object], object]:
        store = MemoryStore()
        if blob is not None:
            store.save({stream_id: blob})
        streams = WriteBehindStreams(store, plan(configuration({}, {})), durability="no")
        ConfigReloader(file, streams, Catalogue([]))
        service = IngestService(streams, limits=LIMITS, clock=lambda: NOW)
        answers: list[object] = [ybits(await service.observe(stream_id, reading)) for reading in readings(15, 30)]
        left = streams.peek(stream_id)
        assert left is not None
        return answers, bits(left)

    return asyncio.run(send())


@pytest.mark.parametrize("stream_id", STREAMS)
@pytest.mark.parametrize("before", [False, True], ids=["new", "of before the rules"])
def test_rules_hold_as_in_a_service_with_the_same_file(stream_id: str, file: Path, *, before: bool) -> None:
    old = observe_blob(None, readings(0, 15), {"warmup": 3}, NOW)[0] if before else None
    blob, answers = observe_blob(old, readings(15, 30), file, NOW, stream_id=stream_id)
    assert blob is not None
    found = [ybits(answer) for answer in answers if isinstance(answer, Answer)]
    assert (found, bits(decode(stream_id, blob))) == served(stream_id, old, file)


@pytest.mark.parametrize("stream_id", ["roof-1", "roof-2"])
def test_tables_rows_frames_and_batches_have_the_rules_of_their_stream(stream_id: str, file: Path) -> None:
    rules, fields = rulebook_of(file), Fields(("a", "b"), "at")
    expected, _ = observe_blob(None, readings(15, 30), rules, NOW, stream_id=stream_id)
    columns = {"a": VALUES[15:, 0], "b": VALUES[15:, 1], "at": TIMES[15:]}
    batch = pa.RecordBatch.from_pydict(columns)
    for found in (
        observe_table(None, Table(("a", "b"), VALUES[15:], TIMES[15:]), rules, NOW, stream_id=stream_id)[0],
        observe_rows(None, batch.to_pylist(), fields, rules, NOW, stream_id=stream_id)[0],
        observe_frame(None, pd.DataFrame(columns), fields, rules, NOW, stream_id=stream_id)[0],
        observe_frame(None, batch.to_pandas().astype(object), fields, rules, NOW, stream_id=stream_id)[0],
        observe_batch(None, batch, fields, rules, NOW, stream_id=stream_id)[0],
    ):
        assert found == expected
    assert observe_blob(None, readings(15, 30), rules, NOW, stream_id="other")[0] != expected


def test_rules_that_do_not_go_together_for_a_stream_refuse_its_readings_and_no_others(file: Path) -> None:
    blob, answers = observe_blob(None, readings(0, 3), file, NOW, stream_id="broken")
    assert [type(answer) for answer in answers] == [InvalidConfiguration] * 3
    blob, answer = observe_table(None, Table(("a", "b"), VALUES[:3]), file, NOW, stream_id="broken")
    assert blob is None
    assert [type(answer.errors[row]) for row in range(3)] == [InvalidConfiguration] * 3
    assert np.isnan(answer.values).all()


def test_a_rule_that_makes_two_values_of_a_column_refuses_the_streams_that_it_matches(tmp_path: Path) -> None:
    path = tmp_path / "streamnorm.toml"
    path.write_text('[[rules]]\nstreams = "mast"\nfeatures = "wind"\ntransform = "circular"\n')
    rules = rulebook_of(path)
    row = [{"wind": 10.0}]
    refused, passed = (observe_rows(None, row, Fields(("wind",)), rules, NOW, stream_id=each) for each in ("mast", "a"))
    assert "circular makes two values of 'wind'" in refused[1][0]["error"]
    assert (refused[0], passed[1][0]["error"]) == (None, None)


def test_every_kind_of_rules_is_the_same_rulebook_also_where_it_is_unpickled(file: Path) -> None:
    read = config_file.read(file)
    for given in (str(file), file, read, read.rules, rulebook_of(file)):
        book = pickle.loads(pickle.dumps(rulebook_of(given)))  # noqa: S301 - our own
        assert isinstance(book, Rulebook)
        assert [book.plan(each) for each in STREAMS] == [rulebook_of(file).plan(each) for each in STREAMS]
    default = pickle.loads(pickle.dumps(rulebook_of({"horizon": 20})))  # noqa: S301 - our own
    assert default.new("any").plan is rulebook_of({"horizon": 20}).default_plan


def test_options_are_checked_where_a_job_is_submitted(tmp_path: Path) -> None:
    with pytest.raises(InvalidReading, match="there is no field 'id'; the rows have a, b"):
        Options(key_by="id", values=["a"]).check(["a", "b"])
    with pytest.raises(InvalidReading, match="there is no field 'c'"):
        Options(key_by="a", values=["c"]).check(["a", "b"])
    with pytest.raises(InvalidConfiguration, match="horizon"):
        Options(key_by="a", values=["b"], rules={"horizon": 0})
    with pytest.raises(InvalidConfigFile, match="cannot be read"):
        Options(key_by="a", values=["b"], rules=tmp_path / "no.toml")
    with pytest.raises(InvalidConfiguration, match="two values of 'b'"):
        Options(key_by="a", values=["b"], rules={"features": {"b": {"transform": "circular"}}}).check(["a", "b"])
    Options(key_by="a", values="b", rules={"transform": "circular"}).check(["a", "b"])
