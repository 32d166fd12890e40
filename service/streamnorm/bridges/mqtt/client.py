"""A connection to an MQTT broker, as the settings describe it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamnorm.bridges.mqtt.options import WEBSOCKETS, Options
from streamnorm.bridges.mqtt.payloads import OFFLINE, status
from streamnorm.compat.aiomqtt import ManualAckClient, SessionLimits, Will

#: The in-flight window: messages sent before the first is acknowledged. Mosquitto's default of 20 would allow only 20
#: per commit.
RECEIVE_MAXIMUM = 1_000
MAX_UNACKNOWLEDGED = 10_000
#: The session never expires, so that readings survive a long outage; the broker's memory has its own limits.
SESSION_EXPIRY = 0xFFFFFFFF
#: Bytes that a packet may have besides its payload: a topic, and properties.
PACKET_HEADROOM = 128 * 1024
#: Seconds to connect to the broker; a stop waits for it.
CONNECT_TIMEOUT = 3.0
KEEPALIVE = 30


class Client(ManualAckClient):
    """A client of the broker in the `options`, which announces on its status topic that it is gone.

    `modern` selects MQTT 5 instead of 3.1.1; `refused` is called with the reason and detail of each rejected message.
    """

    def __init__(self, options: Options, client_id: str, *, modern: bool, refused: Callable[[str, str], None]) -> None:
        address = options.address
        websocket: dict[str, Any] = {}
        if address.scheme in WEBSOCKETS:
            websocket = {"transport": "websockets", "websocket_path": address.target}
        super().__init__(
            address.host,
            address.port,
            limits=SessionLimits(
                expiry=SESSION_EXPIRY,
                window=RECEIVE_MAXIMUM,
                unacknowledged=MAX_UNACKNOWLEDGED,
                packet=options.max_bytes + PACKET_HEADROOM,
                connect=CONNECT_TIMEOUT,
            ),
            modern=modern,
            refused=refused,
            username=address.username,
            password=address.password,
            identifier=client_id,
            will=Will(status(client_id), OFFLINE, qos=1, retain=True),
            tls_context=options.tls,
            keepalive=KEEPALIVE,
            **websocket,
        )
