"""A connection to an MQTT broker: aiomqtt's client, with what the bridge needs of the client of paho below it."""

from __future__ import annotations

from typing import Any

import aiomqtt
from paho.mqtt.client import MQTTMessage

#: Messages the broker may send before the first of them is acknowledged; mosquitto's own limit of 20 would mean 20 a
#: commit.
RECEIVE_MAXIMUM = 1_000


class Connection(aiomqtt.Client):
    """aiomqtt's client, where the one who takes a message acknowledges it.

    aiomqtt 2 acknowledges a message before it hands it over, and hides whether it is sent again; the client of paho
    below it can do both. And where a broker that is just starting takes a connection and drops it before it has
    answered, aiomqtt waits for ten seconds; this one tells at once.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._client.manual_ack_set(on=True)
        self.pending_calls_threshold = RECEIVE_MAXIMUM
        #: ids of messages that are sent again
        self.again: set[int] = set()

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Acknowledge a message; one of a connection that is gone is sent again."""
        self._client.ack(message.mid, message.qos)

    def _on_message(self, client: Any, userdata: Any, message: MQTTMessage) -> None:
        if message.dup:
            self.again.add(message.mid)
        else:
            self.again.discard(message.mid)
        super()._on_message(client, userdata, message)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("the broker dropped the connection"))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
