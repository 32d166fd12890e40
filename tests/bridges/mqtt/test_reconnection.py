"""After a failed connection the next attempt waits longer, and longest where another client has the session."""

from __future__ import annotations

from aiomqtt.exceptions import MqttCodeError, MqttConnectError, MqttError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from streamnorm.bridges.mqtt.reconnection import Reconnection
from streamnorm.compat.aiomqtt import TAKEN_OVER, UNSUPPORTED_VERSION, DroppedEarly

REFUSED = OSError("refused")


def pauses(backoff: Reconnection, errors: list[Exception], lasted: float = 0.0) -> list[float]:
    """Fail so often; returns the seconds before each next attempt."""
    return [backoff.failed(error, lasted, "sensor hub")[1] for error in errors]


def test_each_pause_is_twice_the_last_up_to_half_a_minute() -> None:
    assert pauses(Reconnection(), [REFUSED] * 10) == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_a_connection_that_lasted_starts_anew() -> None:
    backoff = Reconnection()
    assert pauses(backoff, [REFUSED] * 3) == [0.2, 0.4, 0.8]
    assert pauses(backoff, [REFUSED], lasted=10.0) == [1.6]
    assert pauses(backoff, [REFUSED], lasted=10.1) == [0.2]
    assert pauses(backoff, [REFUSED]) == [0.4]


def test_a_session_that_another_client_took_over_is_claimed_back_ever_more_rarely() -> None:
    error = MqttError("closed")
    error.__cause__ = MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, identifier=TAKEN_OVER))
    backoff = Reconnection()
    assert backoff.failed(error, 0.0, "hub")[0].startswith(
        "session taken over: another client uses the client id 'hub'"
    )
    assert pauses(backoff, [error] * 7) == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    assert pauses(backoff, [REFUSED] * 2) == [30.0, 30.0]


def test_connections_that_never_last_are_put_down_to_another_client() -> None:
    backoff = Reconnection()
    for _ in range(3):
        backoff.accepted()
        assert backoff.failed(REFUSED, 0.0, "sensor hub")[0] == "refused"
    backoff.accepted()
    detail, pause = backoff.failed(REFUSED, 0.0, "sensor hub")
    assert detail.startswith("4 connections in a row did not last; perhaps a session taken over")
    assert "'sensor hub'" in detail
    assert pause == 5.0
    assert backoff.failed(REFUSED, 11.0, "sensor hub") == ("refused", 0.2)


def test_the_other_version_of_mqtt_is_tried_where_the_broker_drops_three_connections_early() -> None:
    backoff = Reconnection()
    early = DroppedEarly("dropped")

    def told(*errors: Exception) -> list[str]:
        return [backoff.failed(error, 0.0, "a")[0] for error in errors]

    assert told(early, early, REFUSED) == ["dropped", "dropped", "refused"]
    assert told(early, early) == ["dropped", "dropped"]
    backoff.accepted()
    assert told(early, early, early) == ["dropped", "dropped", "dropped; trying MQTT 3.1.1"]
    assert not backoff.modern
    assert told(early, early, early) == ["dropped", "dropped", "dropped; trying MQTT 5"]
    assert backoff.modern


def test_the_other_version_of_mqtt_is_tried_at_once_where_the_broker_refuses_this_one() -> None:
    backoff = Reconnection()
    error = MqttConnectError(ReasonCode(PacketTypes.CONNACK, identifier=UNSUPPORTED_VERSION))
    assert backoff.failed(error, 0.0, "a")[0].endswith("; trying MQTT 3.1.1")
    assert not backoff.modern
