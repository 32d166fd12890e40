"""What was learned is remembered by its bytes: nothing counts twice, and a kill at any moment changes no bit."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from streamnorm import Normalizer
from streamnorm.backfill.options import order_of
from streamnorm.backfill.reading import sources
from streamnorm.backfill.reading.readings import Part
from streamnorm.backfill.sinks.local import local
from streamnorm.backfill.sinks.remote import remote
from streamnorm.backfill.sinks.sink import Sink
from streamnorm.backfill.work.conduct import Conductor, Order
from streamnorm.backfill.work.journal import OtherBackfill
from streamnorm.backfill.work.run import Done
from streamnorm.engine.reading import Array
from tests.backfill.recorded import OPTIONS, ROWS, Ran, column, run, written
from tests.support.processes import Service

HEAD = "time,device,x,y\n"
LINES = [
    f"2026-01-01 00:{n // 60:02}:{n % 60:02},{'ab'[n % 3 == 1]},{x},{y}\n"
    for n, (x, y) in enumerate(np.tile(ROWS, (4, 1)).tolist())
]
TEXT = HEAD + "".join(LINES)


class Stopped(Exception):
    """The power went off."""


class Deaf:
    """Hears nothing."""

    def found(self, looked: object) -> None: ...  # noqa: D102
    def note(self, text: str) -> None: ...  # noqa: D102
    def progress(self, rows: int, part: float) -> None: ...  # noqa: D102


class Breaking:
    """A sink that stops after so many blocks, before or after the block is applied."""

    remote = False

    def __init__(self, sink: Sink, blocks: int, *, applied: bool) -> None:
        self._sink, self._left, self._applied = sink, blocks, applied

    def last_seq(self, stream: str) -> int:  # noqa: D102
        return self._sink.last_seq(stream)

    def observe(self, part: Part, first_seq: int) -> tuple[Array, int]:  # noqa: D102
        self._left -= 1
        if self._left == 0 and not self._applied:
            raise Stopped
        answer = self._sink.observe(part, first_seq)
        if self._left == 0:
            raise Stopped
        return answer

    def commit(self) -> None:  # noqa: D102
        self._sink.commit()

    def kinds(self, stream: str) -> dict[str, str]:  # noqa: D102
        return self._sink.kinds(stream)


def order(folder: Path, **options: object) -> Order:
    return order_of({**OPTIONS, "data_dir": folder / "data", "stream_column": "device", **options})


def put(file: Path, asked: Order, broken: tuple[int, bool] | None = None, url: str = "") -> Done | None:
    """Put a recording through, in chunks of a few rows; `broken`: after so many blocks, applied or not."""
    from contextlib import contextmanager  # noqa: PLC0415

    @contextmanager
    def opened() -> Iterator[Sink]:
        with remote(url, {}) if url else local(asked.folder, {}) as sink:
            yield Breaking(sink, broken[0], applied=broken[1]) if broken else sink

    with Conductor(asked, opened, Deaf()) as conductor:
        return conductor.done(file, file.with_name("out.csv"))


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CHUNK", 1_500)
    monkeypatch.setattr(sources, "REMOTE_CHUNK", 1_500)


def expected() -> list[list[float]]:
    """Normalize the rows one by one."""
    normalizers = {device: Normalizer() for device in "ab"}
    rows = [line.strip().split(",") for line in LINES]
    return [normalizers[device].observe([float(x), float(y)]).values for _, device, x, y in rows]


def values(file: Path) -> list[list[float]]:
    out = file.with_name("out.csv").read_bytes()
    return [list(row) for row in zip(column(out, "x").tolist(), column(out, "y").tolist(), strict=True)]


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("blocks", [1, 2, 5, 12])
def test_one_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path, blocks: int, *, applied: bool) -> None:
    file = written(tmp_path, TEXT)
    with pytest.raises(Stopped):
        put(file, order(tmp_path), (blocks, applied))
    assert not file.with_name("out.csv").exists()
    done = put(file, order(tmp_path))
    assert done is not None
    assert (done.rows, done.resumed_at > 0) == (240, blocks > 2)
    assert values(file) == expected()
    with local(tmp_path / "data", {}) as sink:
        assert (sink.last_seq("a"), sink.last_seq("b")) == (160, 80)


@pytest.mark.parametrize("when", ["begun", "observed", "written", "placed"])
def test_a_kill_between_any_two_steps_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    from streamnorm.backfill.work import run as work  # noqa: PLC0415
    from streamnorm.backfill.work.journal import Journal  # noqa: PLC0415

    file = written(tmp_path, TEXT)
    saves, save, write = [0], Journal.save, work._Task._write  # noqa: SLF001

    def saved(journal: Journal) -> None:
        saves[0] += 1
        if {"begun": saves[0] == 3, "written": saves[0] == 4, "placed": journal.finished}.get(when):
            raise Stopped
        save(journal)
        if when == "begun" and saves[0] == 5:
            raise Stopped

    def wrote(*args: object) -> None:
        if when == "observed" and saves[0] == 3:
            raise Stopped
        write(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "save", saved)
        patch.setattr(work._Task, "_write", wrote)  # noqa: SLF001
        with pytest.raises(Stopped):
            put(file, order(tmp_path))
    put(file, order(tmp_path))
    assert values(file) == expected()
    with local(tmp_path / "data", {}) as sink:
        assert (sink.last_seq("a"), sink.last_seq("b")) == (160, 80)


def test_half_a_row_that_was_written_is_cut_off(tmp_path: Path) -> None:
    file = written(tmp_path, TEXT)
    with pytest.raises(Stopped):
        put(file, order(tmp_path), (5, True))
    with file.with_name("out.csv.part").open("a") as part:
        part.write("2026-01-01 00:0")
    put(file, order(tmp_path))
    assert values(file) == expected()


def test_a_service_gives_what_the_data_folder_gives(tmp_path: Path) -> None:
    file = written(tmp_path, TEXT)
    with Service(tmp_path) as service:
        asked = order(tmp_path, url=service.url)
        with pytest.raises(Stopped):
            put(file, asked, (4, True), service.url)
        put(file, asked, url=service.url)
        assert put(file, asked, url=service.url) is None
    assert values(file) == expected()


def again(folder: Path, *options: str) -> Ran:
    return run(folder, "in.csv", "--stream-column", "device", *options)


def seqs(folder: Path) -> tuple[int, int]:
    with local(folder / "data", {}) as sink:
        return sink.last_seq("a"), sink.last_seq("b")


def test_the_same_bytes_again_do_nothing_whatever_their_name_and_packing(tmp_path: Path) -> None:
    first = again(tmp_path, "--columns", "x,y") if written(tmp_path, TEXT) else None
    second = again(tmp_path)
    written(tmp_path, gzip.compress(TEXT.encode()), "other.csv.gz")
    third = run(tmp_path, "other.csv.gz", "--stream-column", "device", out="o2.csv")
    assert first is not None
    assert [first.status, second.status, third.status] == [0, 0, 0]
    assert ["nothing to do" in each.told for each in (first, second, third)] == [False, True, True]
    assert (second.out, seqs(tmp_path)) == (first.out, (160, 80))


def test_again_learns_it_once_more(tmp_path: Path) -> None:
    written(tmp_path, TEXT)
    again(tmp_path)
    again(tmp_path, "--again")
    assert seqs(tmp_path) == (320, 160)


def test_a_file_that_grew_is_gone_on_with(tmp_path: Path) -> None:
    for count in (50, 51, 200, 240):
        written(tmp_path, HEAD + "".join(LINES[:count]))
        ran = again(tmp_path)
        assert (ran.status, "has grown" in ran.told) == (0, count > 50)
    assert values(tmp_path / "in.csv") == expected()
    assert seqs(tmp_path) == (160, 80)


def test_a_file_that_grew_after_a_stop_is_gone_on_with(tmp_path: Path) -> None:
    file = written(tmp_path, HEAD + "".join(LINES[:100]))
    for applied in (False, True):
        with pytest.raises(Stopped):
            put(file, order(tmp_path), (3, applied))
    written(tmp_path, TEXT)
    put(file, order(tmp_path))
    assert (values(file), seqs(tmp_path)) == (expected(), (160, 80))


def test_only_new_rows_are_written_where_the_result_is_another(tmp_path: Path) -> None:
    written(tmp_path, HEAD + "".join(LINES[:100]))
    again(tmp_path)
    written(tmp_path, TEXT)
    ran = run(tmp_path, "in.csv", "--stream-column", "device", out="new.csv")
    assert ran.out.count(b"\n") == 141


def test_a_corrected_cell_makes_no_row_count_twice(tmp_path: Path) -> None:
    broken = LINES.copy()
    broken[150] = broken[150].rsplit(",", 1)[0] + ",ERR\n"
    written(tmp_path, HEAD + "".join(broken))
    assert again(tmp_path).status == 3
    written(tmp_path, TEXT)
    ran = again(tmp_path)
    assert (ran.status, "it changed since" in ran.told, "--again" in ran.told) == (1, True, True)
    assert seqs(tmp_path) == (160, 80)


def test_a_cell_that_stopped_the_work_and_was_corrected_lets_it_go_on(tmp_path: Path) -> None:
    broken = LINES.copy()
    broken[150] = broken[150].rsplit(",", 1)[0] + ",ERR\n"
    file = written(tmp_path, HEAD + "".join(broken))
    ran = again(tmp_path, "--on-bad-row", "stop")
    assert (ran.status, "in.csv: line 152, column 'y': 'ERR'" in ran.told, ran.out) == (3, True, b"")
    written(tmp_path, TEXT)
    assert again(tmp_path, "--on-bad-row", "stop").status == 0
    assert (values(file), seqs(tmp_path)) == (expected(), (160, 80))


def test_an_export_that_overlaps_one_before_is_told(tmp_path: Path) -> None:
    written(tmp_path, HEAD + "".join(LINES[:150]))
    again(tmp_path)
    written(tmp_path, HEAD + "".join(LINES[50:]))
    assert again(tmp_path).status == 1


def test_another_recording_of_the_same_name_is_learned(tmp_path: Path) -> None:
    written(tmp_path, TEXT)
    again(tmp_path)
    written(tmp_path, TEXT.replace("2026-01-01", "2026-01-02"))
    assert (again(tmp_path).status, seqs(tmp_path)) == (0, (320, 160))


def test_streams_that_lost_readings_meanwhile_are_told(tmp_path: Path) -> None:
    file = written(tmp_path, TEXT)
    with pytest.raises(Stopped):
        put(file, order(tmp_path), (5, False))
    for database in (tmp_path / "data").glob("streamnorm.db*"):
        database.unlink()
    with pytest.raises(OtherBackfill, match="has lost"):
        put(file, order(tmp_path))


def test_other_options_do_not_go_on_with_a_work(tmp_path: Path) -> None:
    file = written(tmp_path, TEXT)
    with pytest.raises(Stopped):
        put(file, order(tmp_path), (5, False))
    with pytest.raises(OtherBackfill, match="another columns"):
        put(file, order(tmp_path, columns=["x"]))


def test_a_damaged_journal_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "backfills"
    folder.mkdir(parents=True)
    for n, text in enumerate(("{", "[]", json.dumps({"version": 2}), json.dumps({"version": 99}))):
        (folder / f"{n}.json").write_text(text)
    written(tmp_path, TEXT)
    assert again(tmp_path).status == 0


def test_nothing_is_written_beside_a_recording(tmp_path: Path) -> None:
    (tmp_path / "card").mkdir()
    written(tmp_path / "card", TEXT)
    run(tmp_path, "card/in.csv", "--stream-column", "device")
    assert [path.name for path in (tmp_path / "card").iterdir()] == ["in.csv"]


def test_short_lines_tell_a_corrected_recording_too(tmp_path: Path) -> None:
    lines = [f"{1000 + n},{20 + n % 7 / 10}" for n in range(300)]
    broken = [*lines[:150], "1150,ERR", *lines[151:]]
    assert run(tmp_path, written(tmp_path, "\n".join(["time,temp", *broken, ""]))).status == 3
    ran = run(tmp_path, written(tmp_path, "\n".join(["time,temp", *lines, ""])))
    assert (ran.status, "it changed since" in ran.told) == (1, True)
