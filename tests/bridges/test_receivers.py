"""What becomes of points by what a receiver answers: taken, sent again, split, or dropped and told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streamnorm.bridges import influx_forwarder
from streamnorm.bridges.influx_forwarder import InfluxForwarder
from streamnorm.bridges.receiver import receiver as receiver_of
from streamnorm.engine.reading import Answer, Reading
from tests.bridges.receiver import Receiver, Reply, receiving


class Listeners:
    """What a forwarder asks of the service."""

    def __init__(self) -> None:
        self.listeners: list[Any] = []


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    with receiving() as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write at once, and again at once."""
    monkeypatch.setattr(influx_forwarder, "LINGER", 0.01)
    monkeypatch.setattr(influx_forwarder, "LONGEST_PAUSE", 0.02)


def forwarder_to(url: str, folder: Path, **options: Any) -> InfluxForwarder:
    """Build a forwarder that hears of nothing yet."""
    service: Any = Listeners()
    return InfluxForwarder(service, receiver_of(url, "", "", ""), folder, **options)


def observe(forwarder: InfluxForwarder, *times: int, stream: str = "s") -> None:
    """Let it hear of readings."""
    for time in times:
        reading = Reading(("temp",), [21.5], timestamp=float(time))
        forwarder.on_batch(stream, [(reading, Answer([0.5], 1, ready=True))], 0.0)


@asynccontextmanager
async def running(forwarder: InfluxForwarder) -> AsyncIterator[None]:
    """Run a forwarder."""
    forwarder.attach()
    task = asyncio.create_task(forwarder.run())
    try:
        yield
    finally:
        await forwarder.stop()
        await task


async def until(true: Callable[[], object]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what is waited for happens in another thread or process
            await asyncio.sleep(0.005)


def times(receiver: Receiver) -> list[int | None]:
    """Return the seconds of the points that have arrived."""
    return [None if point.time is None else point.time // 10**9 for point in receiver.points]


def dropped(forwarder: InfluxForwarder) -> dict[str, float]:
    """Return what was dropped, by reason."""
    (family,) = (each for each in forwarder.metrics() if each.name == "streamnorm_forward_dropped")
    return {each.labels["reason"]: each.value for each in family.samples if each.value}


@pytest.mark.parametrize("status", [401, 403, 404, 405, 408, 429, 500, 502, 503, 504, 300, 304])
async def test_points_wait_while_the_receiver_cannot_take_them(tmp_path: Path, receiver: Receiver, status: int) -> None:
    receiver.status = status
    forwarder = forwarder_to(receiver.url, tmp_path)
    async with running(forwarder):
        observe(forwarder, 1)
        await until(lambda: len(receiver.requests) > 2)
        observe(forwarder, 2)
        assert (forwarder.state().up, str(status) in forwarder.state().detail) == (False, True)
        receiver.status = 204
        await until(lambda: len(receiver.points) == 2)
        await until(lambda: forwarder.state().up)
    assert times(receiver) == [1, 2]
    assert dropped(forwarder) == {}


async def test_a_page_to_log_in_is_not_taken_for_a_receiver(tmp_path: Path, receiver: Receiver) -> None:
    page = Reply(200, "<html>Log in</html>", {"Content-Type": "text/html"})
    receiver.judge = lambda _path, _lines: page
    forwarder = forwarder_to(receiver.url, tmp_path)
    async with running(forwarder):
        observe(forwarder, 1)
        await until(lambda: receiver.requests and not forwarder.state().up)
        receiver.judge = lambda _path, _lines: None
        await until(lambda: times(receiver) == [1])


async def test_a_receiver_is_asked_again_when_it_wants_to_be(tmp_path: Path, receiver: Receiver) -> None:
    wait = Reply(429, "", {"Retry-After": "3600"})
    receiver.judge = lambda _path, _lines: wait
    forwarder = forwarder_to(receiver.url, tmp_path)
    async with running(forwarder):
        observe(forwarder, 1)
        await until(lambda: not forwarder.state().up)
        await asyncio.sleep(0.1)  # ten pauses of its own
        assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_at_the_same_host_is_followed(tmp_path: Path, receiver: Receiver, status: int) -> None:
    moved = Reply(status, "", {"Location": "/influx/api/v2/write"})
    receiver.judge = lambda path, _lines: moved if path.startswith("/api") else None
    forwarder = forwarder_to(receiver.url, tmp_path)
    async with running(forwarder):
        observe(forwarder, 1)
        await until(lambda: times(receiver) == [1])
    assert receiver.requests[-1][0] == "/influx/api/v2/write?org=o&bucket=b"


@pytest.mark.parametrize(
    "location", ["/login", "http://elsewhere.example/api/v2/write", "", "ftp://127.0.0.1/api/v2/write", "//["]
)
async def test_a_redirect_elsewhere_is_told_and_the_points_wait(
    tmp_path: Path, receiver: Receiver, location: str
) -> None:
    moved = Reply(307, "", {"Location": location})
    receiver.judge = lambda _path, _lines: moved
    forwarder = forwarder_to(receiver.url, tmp_path)
    async with running(forwarder):
        observe(forwarder, 1)
        await until(lambda: "redirects" in forwarder.state().detail)
        assert {path for path, _ in receiver.requests} == {"/api/v2/write?org=o&bucket=b"}
        receiver.judge = lambda _path, _lines: None
        await until(lambda: times(receiver) == [1])


async def test_redirects_in_a_circle_come_to_an_end(tmp_path: Path, receiver: Receiver) -> None:
    circle = Reply(301, "", {"Location": receiver.url})
    receiver.judge = lambda _path, _lines: circle
    forwarder = forwarder_to(receiver.url, tmp_path)
    async with running(forwarder):
        observe(forwarder, 1)
        await until(lambda: "more than 3 times" in forwarder.state().detail)


async def test_what_is_too_large_is_sent_in_halves(tmp_path: Path, receiver: Receiver) -> None:
    receiver.judge = lambda _path, lines: Reply(413) if len(lines) > 3 else None
    forwarder = forwarder_to(receiver.url, tmp_path)
    observe(forwarder, *range(20))
    async with running(forwarder):
        await until(lambda: len(receiver.points) == 20)
    assert times(receiver) == list(range(20))
    assert dropped(forwarder) == {}


async def test_a_point_that_is_too_large_alone_is_dropped_and_told(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.judge = lambda _path, lines: Reply(413, "much") if " 2000000000" in "".join(lines) else None
    forwarder = forwarder_to(receiver.url, tmp_path)
    observe(forwarder, 1, 2, 3)
    async with running(forwarder):
        await until(lambda: len(receiver.points) == 2)
    assert times(receiver) == [1, 3]
    assert dropped(forwarder) == {"too large": 1}
    assert "413 much" in caplog.text


@pytest.mark.parametrize("status", [400, 422])
async def test_of_many_points_only_the_wrong_one_is_dropped_and_it_is_named(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    receiver.judge = lambda _path, lines: Reply(status, "bad") if any("wrong" in each for each in lines) else None
    forwarder = forwarder_to(receiver.url, tmp_path)
    observe(forwarder, *range(50))
    observe(forwarder, 50, stream="wrong")
    observe(forwarder, *range(51, 100))
    async with running(forwarder):
        await until(lambda: len(receiver.points) == 99)
    assert times(receiver) == [*range(50), *range(51, 100)]
    assert dropped(forwarder) == {"refused": 1}
    assert f"streamnorm,stream=wrong temp=0.5 50000000000': {status} bad" in caplog.text


async def test_what_a_receiver_has_taken_in_part_is_not_sent_to_it_again(tmp_path: Path, receiver: Receiver) -> None:
    partial = Reply(400, "partial write: field type conflict dropped=2")
    receiver.judge = lambda _path, _lines: partial
    forwarder = forwarder_to(receiver.url, tmp_path)
    observe(forwarder, *range(10))
    async with running(forwarder):
        await until(lambda: dropped(forwarder))
    assert (len(receiver.requests), dropped(forwarder)) == (1, {"refused": 2})


async def test_where_everything_is_wrong_the_search_for_the_wrong_ones_ends(tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 400
    forwarder = forwarder_to(receiver.url, tmp_path)
    observe(forwarder, *range(2000))
    async with running(forwarder):
        await until(lambda: dropped(forwarder).get("refused") == 2000)
    assert len(receiver.requests) < 3 * influx_forwarder.MAX_PROBES


async def test_the_oldest_go_where_there_is_no_room_even_while_a_write_is_away(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    forwarder = forwarder_to(receiver.url, tmp_path, max_bytes=400)  # some ten lines
    loop = asyncio.get_running_loop()

    def fill(_path: str, _lines: list[str]) -> Reply:
        asyncio.run_coroutine_threadsafe(later(), loop).result(10)
        return Reply(503)

    async def later() -> None:
        observe(forwarder, *range(100, 150))

    receiver.judge = fill
    observe(forwarder, *range(4))
    async with running(forwarder):
        await until(lambda: not forwarder.state().up)
        receiver.judge = lambda _path, _lines: None
        await until(lambda: receiver.points)
    found = times(receiver)
    assert found == list(range(150 - len(found), 150))
    assert dropped(forwarder)["full"] + len(found) == 4 + 50 * (len(receiver.requests) - 1)
    assert "full" in caplog.text


async def test_no_point_is_lost_by_a_stop_in_the_middle_of_a_write(tmp_path: Path, receiver: Receiver) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    release = asyncio.Event()

    def hang(_path: str, _lines: list[str]) -> Reply:
        loop.call_soon_threadsafe(asked.set)
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(30)
        return Reply(503)

    receiver.judge = hang
    forwarder = forwarder_to(receiver.url, tmp_path)
    async with running(forwarder):
        observe(forwarder, 1, 2)
        await asked.wait()
    release.set()
    receiver.judge = lambda _path, _lines: None
    async with running(forwarder_to(receiver.url, tmp_path)):
        await until(lambda: times(receiver)[-2:] == [1, 2])
    assert not (tmp_path / "forward.lp").exists()


async def test_a_disk_that_is_full_at_the_stop_is_told_and_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "forward.lp.new").mkdir()  # nothing can be written there
    forwarder = forwarder_to("http://127.0.0.1:9/write", tmp_path)
    async with running(forwarder):
        observe(forwarder, 1)
        await until(lambda: not forwarder.state().up)
    assert [each.levelno for each in caplog.records if "lost" in each.message] == [logging.CRITICAL]


@pytest.mark.parametrize(
    "answer", [b"", b"no HTTP\r\n\r\n", b"HTTP/1.1 204 No Content\r\nA: \xff\r\n", b"\0" * 100_000]
)
async def test_what_is_no_http_is_an_attempt_that_failed(tmp_path: Path, receiver: Receiver, answer: bytes) -> None:
    receiver.raw = answer
    forwarder = forwarder_to(receiver.url, tmp_path)
    async with running(forwarder):
        observe(forwarder, 1)
        await until(lambda: not forwarder.state().up)
    assert (tmp_path / "forward.lp").exists()


@pytest.mark.parametrize(
    ("url", "options", "shown"),
    [
        ("http://user:p%40ss@{}", ("", "", ""), "Basic dXNlcjpwQHNz"),
        ("http://{}", ("", "user", "p@ss"), "Basic dXNlcjpwQHNz"),
        ("http://{}", ("secret", "", ""), "Token secret"),
        ("http://{}", ("", "", ""), None),
    ],
)
async def test_credentials_are_shown_as_they_are_set(
    tmp_path: Path, receiver: Receiver, url: str, options: tuple[str, str, str], shown: str | None
) -> None:
    service: Any = Listeners()
    target = url.format(f"{receiver.base.removeprefix('http://')}/write?org=Müller&b=a b")
    forwarder = InfluxForwarder(service, receiver_of(target, *options), tmp_path)
    observe(forwarder, 1)
    async with running(forwarder):
        await until(lambda: receiver.points)
    assert receiver.requests == [("/write?org=M%C3%BCller&b=a%20b", shown)]
    assert "p@ss" not in forwarder.state().detail


async def test_names_that_line_protocol_cannot_hold_become_points_all_the_same(
    tmp_path: Path, receiver: Receiver
) -> None:
    forwarder = forwarder_to(receiver.url, tmp_path)
    names = ("a\nb", "c\\", "\n", "d=e, f")
    reading = Reading(names, [1.0] * 4, timestamp=1.0)
    forwarder.on_batch("s", [(reading, Answer([0.5] * 4, 1, ready=True))], 0.0)
    async with running(forwarder):
        await until(lambda: receiver.points)
    assert list(receiver.points[0].fields) == ["a b", "c", "_", "d=e, f"]
