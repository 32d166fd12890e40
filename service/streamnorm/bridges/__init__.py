"""Other ways in and out than HTTP: MQTT, and line protocol forwarded.

The bridges live and end with the application: `start` begins, `stop` ends in good order.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Awaitable, Callable
from typing import Protocol

from streamnorm.errors import InvalidConfiguration
from streamnorm.ingest import IngestService
from streamnorm.settings import Settings

__all__ = ["Bridge", "of"]


class Bridge(Protocol):
    """One other way."""

    async def start(self) -> None:
        """Begin; returns at once, whether the other side can be reached or not."""

    async def stop(self) -> None:
        """End in good order."""


def of(settings: Settings, service: IngestService, settle: Callable[[], Awaitable[None]]) -> list[Bridge]:
    """Build the bridges that the settings ask for; `settle` returns when every change made so far is safe.

    Raises:
        InvalidConfiguration: an address or a topic that is none, or a library that is not installed.

    """
    found: list[Bridge] = []
    if settings.mqtt:
        if importlib.util.find_spec("aiomqtt") is None:
            raise InvalidConfiguration.at("/mqtt", "needs aiomqtt: pip install 'streamnorm[mqtt]'")
        from streamnorm.bridges.mqtt import Mqtt, Options  # noqa: PLC0415 - an extra
        from streamnorm.bridges.topics import Topic  # noqa: PLC0415

        options = Options(
            settings.mqtt,
            tuple(Topic(each) for each in settings.mqtt_topics.replace(",", " ").split()),
            settings.mqtt_publish,
            settings.mqtt_client_id,
            settings.mqtt_discovery,
        )
        found.append(Mqtt(service, options, settle))
    if settings.forward:
        from streamnorm.bridges.forward import Forward  # noqa: PLC0415

        found.append(Forward(service, settings.forward, settings.forward_token))
    return found
