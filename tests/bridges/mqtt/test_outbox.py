"""What is to be published waits in order, and is published again where the broker did not confirm it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from streamnorm.bridges.mqtt.outbox import Outbox
from streamnorm.compat.aiomqtt import MqttError


class Wire:
    """A connection that breaks after so many messages; it confirms every one but the last."""

    max_packet: int | None = None
    confirms = True

    def __init__(self, breaks_after: int = 1000) -> None:
        self.published: list[str] = []
        self._left = breaks_after

    def send(self, topic: str, payload: bytes, *, retain: bool, confirmed: Callable[[], None]) -> None:  # noqa: ARG002
        """Publish."""
        if "#" in topic:
            raise ValueError(topic)
        self.published.append(topic)
        self._left -= 1
        if self._left <= 0:
            raise ConnectionError
        if self.confirms:
            asyncio.get_running_loop().call_soon(confirmed)


async def sent(outbox: Outbox, wire: Wire) -> None:
    """Send until the connection breaks, or for a moment."""
    try:
        async with asyncio.timeout(0.05):
            await outbox.send(wire)
    except (ExceptionGroup, TimeoutError):
        pass


async def test_messages_are_published_in_their_order() -> None:
    outbox, wire = Outbox(), Wire()
    futures = [outbox.put(str(n), b"") for n in range(300)]
    await sent(outbox, wire)
    assert wire.published == [str(n) for n in range(300)]
    assert all(future.done() for future in futures)


async def test_what_was_not_confirmed_is_published_again_first() -> None:
    outbox, first, second = Outbox(), Wire(breaks_after=3), Wire()
    for n in range(5):
        outbox.put(str(n), b"")
    await sent(outbox, first)
    await sent(outbox, second)
    assert second.published[0] in first.published
    assert [*dict.fromkeys([*first.published, *second.published])] == list("01234")
    assert second.published == sorted(second.published)


async def test_the_oldest_goes_where_there_is_no_room(caplog: pytest.LogCaptureFixture) -> None:
    outbox, wire = Outbox(most=2), Wire()
    futures = [outbox.put(str(n), b"") for n in range(4)]
    assert [future.done() for future in futures] == [True, True, False, False]
    await sent(outbox, wire)
    assert wire.published == ["2", "3"]
    assert outbox.dropped.counts["", "full"] == 2
    assert "not published" in caplog.text


async def test_what_no_broker_could_take_keeps_nothing_else_from_being_published() -> None:
    outbox, wire = Outbox(), Wire()
    wire.max_packet = 100
    futures = [outbox.put(topic, payload) for topic, payload in (("a/#", b""), ("b", bytes(101)), ("c", b""))]
    await sent(outbox, wire)
    assert wire.published == ["c"]
    assert all(future.done() for future in futures)
    assert dict(outbox.dropped.counts) == {("", "invalid-topic"): 1, ("", "too-large"): 1}
    assert outbox.published == 1


async def test_no_more_than_a_window_is_unconfirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamnorm.bridges.mqtt.outbox.WINDOW", 3)
    outbox, wire = Outbox(), Wire()
    wire.confirms = False
    for n in range(5):
        outbox.put(str(n), b"")
    await sent(outbox, wire)
    assert wire.published == ["0", "1", "2"]
    assert (outbox.published, len(outbox)) == (0, 5)


async def test_a_broker_that_confirms_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamnorm.bridges.mqtt.outbox.CONFIRMATION_TIMEOUT", 0.01)
    outbox, wire = Outbox(), Wire()
    wire.confirms = False
    outbox.put("a", b"")
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(5):
            await outbox.send(wire)
    assert caught.value.subgroup(MqttError) is not None
    assert len(outbox) == 1
