"""Bridges fail; the service, and the other bridges, go on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from streamnorm.app import create_app
from streamnorm.bridges import supervisor as supervising
from streamnorm.bridges.bridge import State, contained
from streamnorm.bridges.supervisor import Supervisor
from streamnorm.errors import BridgeUnavailable
from streamnorm.ingest.refusals import Refusals
from streamnorm.settings import Settings
from streamnorm.stores.local.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prometheus_client.metrics_core import Metric


class Bridge:
    """A bridge that fails as often as it is told to, in every way it can."""

    refusals = Refusals()

    def __init__(self, name: str = "mqtt", *, failures: int = 0, ending: Exception | None = None) -> None:
        self.name = name
        self.runs = 0
        self.up = True
        self._failures = failures
        self._ending = ending
        self._stopped = asyncio.Event()

    def attach(self) -> None:
        """Attach, or fail."""
        if self._ending is not None:
            raise self._ending

    async def run(self) -> None:
        """Run, or fail."""
        self.runs += 1
        if self.runs <= self._failures:
            raise ZeroDivisionError("the inside")
        await self._stopped.wait()

    async def stop(self) -> None:
        """Stop, or fail."""
        self._stopped.set()
        if self._ending is not None:
            raise self._ending

    def state(self) -> State:
        """Tell the state."""
        return State(self.up, "fares well" if self.up else "is away")

    def metrics(self) -> Iterator[Metric]:
        """Return none."""
        return iter(())

    def forget(self, stream_id: str, features: Iterable[str]) -> None:
        """Fail."""
        raise ZeroDivisionError(stream_id, features)


@asynccontextmanager
async def running(*bridges: Bridge, required: Iterable[str] = ()) -> AsyncIterator[Supervisor]:
    """Run bridges."""
    supervisor = Supervisor(bridges, required)
    await supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()


async def until(true: Any) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - tasks of the supervisor's own
            await asyncio.sleep(0.005)


def sample(supervisor: Supervisor, name: str) -> float:
    """Read the metric of the only bridge."""
    return next(each.value for family in supervisor.collect() for each in family.samples if each.name == name)


async def test_a_bridge_that_dies_is_logged_counted_seen_and_started_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "FIRST_PAUSE", 0.05)
    bridge = Bridge(failures=2)
    async with running(bridge) as supervisor:
        await until(lambda: bridge.runs == 1)
        with pytest.raises(BridgeUnavailable, match="mqtt failed and is started again: ZeroDivisionError: the inside"):
            supervisor.check()
        assert supervisor.states() == {"mqtt": "ZeroDivisionError: the inside"}
        assert sample(supervisor, "streamnorm_bridge_up") == 0
        await until(lambda: bridge.runs == 3)
        supervisor.check()
        assert supervisor.states() == {"mqtt": "fares well"}
        assert sample(supervisor, "streamnorm_bridge_failures_total") == 2
        assert sample(supervisor, "streamnorm_bridge_up") == 1
    assert caplog.text.count("mqtt: failed; next attempt in") == 2


async def test_a_bridge_that_fails_again_and_again_is_left_in_peace_for_longer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervising, "FIRST_PAUSE", 0.001)
    bridge = Bridge(failures=6)
    async with running(bridge):
        await until(lambda: bridge.runs == 7)
    pauses = [record.args[1] for record in caplog.records if record.args]  # type: ignore[index]
    assert pauses == [0.001 * 2**n for n in range(6)]


async def test_one_that_is_away_matters_where_it_is_required() -> None:
    bridge = Bridge()
    bridge.up = False
    async with running(bridge) as supervisor:
        supervisor.check()
    async with running(bridge, required=["mqtt"]) as supervisor:
        with pytest.raises(BridgeUnavailable, match="mqtt: is away"):
            supervisor.check()


async def test_what_raises_at_its_start_and_end_keeps_no_other_from_either(caplog: pytest.LogCaptureFixture) -> None:
    bad, good = Bridge(ending=OSError("the end")), Bridge("forward")
    async with running(bad, good) as supervisor:
        await until(lambda: good.runs)
        supervisor.forget("s", ["a"])
        with pytest.raises(BridgeUnavailable, match="the end"):
            supervisor.check()
    assert "mqtt: failed while it ended" in caplog.text


async def test_a_bridge_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "STOP_TIMEOUT", 0.05)

    class Endless(Bridge):
        """Waits for ever."""

        async def stop(self) -> None:
            """Do not end."""
            await asyncio.Event().wait()

    async with asyncio.timeout(10):
        async with running(Endless()):
            pass


@pytest.mark.parametrize("failures", [0, 1_000_000])
async def test_the_state_is_saved_whatever_a_bridge_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    bad = Bridge(failures=failures, ending=UnicodeEncodeError("ascii", "ü", 0, 1, "no ASCII"))
    monkeypatch.setattr("streamnorm.bridges.of", lambda *_: [bad])
    app = create_app(Settings(data_dir=tmp_path, durability="no"))
    async with app.router.lifespan_context(app):
        await app.state.context.service.configure("kept", {})
    store = SQLiteStore(tmp_path, synchronous="full")
    try:
        assert store.count() == 1
    finally:
        store.close()


def test_what_a_listener_raises_does_not_reach_who_observes(caplog: pytest.LogCaptureFixture) -> None:
    class Listener:
        """Fails."""

        @contained
        def heard(self) -> None:
            """Fail."""
            raise ValueError("the inside")

    Listener().heard()
    assert "the inside" in caplog.text
