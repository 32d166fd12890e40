"""Protocol bridges besides HTTP: MQTT, forwarding of line protocol, and the relay of events between replicas."""

from __future__ import annotations

import importlib.util
from collections.abc import Awaitable, Callable

from streamnorm.bridges.bridge import Bridge
from streamnorm.bridges.supervisor import Supervisor
from streamnorm.errors import InvalidConfiguration
from streamnorm.events.kinds import KindListeners
from streamnorm.ingest import IngestService
from streamnorm.mappings import Catalogue
from streamnorm.settings import Settings

__all__ = ["Bridge", "Supervisor", "of"]


def of(
    settings: Settings,
    service: IngestService,
    settle: Callable[[], Awaitable[None]],
    catalogue: Catalogue,
    kind_listeners: KindListeners,
) -> list[Bridge]:
    """Build the bridges that the `settings` configure for a `service`.

    `settle` returns when every change made so far is durable; `catalogue` has the mappings of the service;
    `kind_listeners` hear of changed kinds of sensors.

    Raises:
        InvalidConfiguration: an address or a topic is invalid, or a library is not installed.

    """
    bridges: list[Bridge] = []
    if settings.mqtt:
        if importlib.util.find_spec("aiomqtt") is None:
            raise InvalidConfiguration.at("/mqtt", "needs aiomqtt: pip install 'streamnorm[mqtt]'")
        from streamnorm.bridges.mqtt.bridge import MqttBridge  # noqa: PLC0415 - an extra
        from streamnorm.bridges.mqtt.options import options_of  # noqa: PLC0415

        bridges.append(MqttBridge(service, options_of(settings, catalogue), settle, kind_listeners))
    if settings.forward:
        from streamnorm.bridges.influx_forwarder import InfluxForwarder  # noqa: PLC0415
        from streamnorm.bridges.receiver import receiver  # noqa: PLC0415

        target = receiver(
            settings.forward, settings.forward_token, settings.forward_username, settings.forward_password
        )
        bridges.append(InfluxForwarder(service, target, settings.data_dir))
    return bridges
