"""The MQTT settings, validated before anything is started."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from streamnorm.bridges.addresses import Address, address
from streamnorm.bridges.mqtt.topics import REST, STREAM, TopicTemplate, filled
from streamnorm.errors import InvalidConfiguration, MappingNotFound
from streamnorm.formats.topics import TopicFilter
from streamnorm.mappings import Catalogue, Mapping
from streamnorm.settings import Settings

PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
ENCRYPTED = frozenset({"mqtts", "wss"})
WEBSOCKETS = frozenset({"ws", "wss"})
#: the default path of WebSocket addresses, as in most brokers
WEBSOCKET_PATH = "/mqtt"
#: MQTT's longest client id
MAX_CLIENT_ID = 65_535


@dataclass(frozen=True)
class Options:
    """The validated MQTT settings."""

    address: Address
    tls: ssl.SSLContext | None
    topics: tuple[TopicTemplate, ...]
    #: returns the mappings of messages as they are now; what is called after they have changed
    mappings: Callable[[], tuple[Mapping, ...]]
    mapping_listeners: list[Callable[[], object]]
    publish: str
    #: empty for none
    kinds: str
    dead_letter: str
    #: empty for the installation's own client id
    client_id: str
    #: prefix of Home Assistant's discovery; empty for none
    discovery: str
    #: seconds after which a sensor becomes unavailable; 0 for never
    expire_after: float
    #: seconds after which a stream expires; 0 for never
    stream_ttl: float
    folder: Path
    max_bytes: int


def options_of(settings: Settings, catalogue: Catalogue) -> Options:
    """Validate the MQTT settings; `catalogue` has the mappings of the service, and knows the presets.

    Raises:
        InvalidConfiguration: a setting is invalid; the error names it.

    """
    broker = address(settings.mqtt, "mqtt", PORTS, WEBSOCKET_PATH)
    templates = tuple(TopicTemplate(topic) for topic in settings.mqtt_topics.replace(",", " ").split())
    mappings = partial(mappings_of, settings, catalogue)
    found = mappings()
    if not templates and not found:
        raise InvalidConfiguration.at("/mqtt_topics", "must name at least one topic")
    filters: list[TopicFilter] = [*templates, *(topic for each in found for topic in each.topics)]
    _template("mqtt_publish", settings.mqtt_publish, filters)
    if settings.mqtt_kinds:
        _template("mqtt_kinds", settings.mqtt_kinds, filters)
    if settings.mqtt_dead_letter:
        _topic("mqtt_dead_letter", settings.mqtt_dead_letter, filters)
    if settings.mqtt_discovery:
        _topic("mqtt_discovery", f"{settings.mqtt_discovery}/sensor/x/config", filters)
    if len(settings.mqtt_client_id.encode()) > MAX_CLIENT_ID or {*"+#/\0"} & {*settings.mqtt_client_id}:
        raise InvalidConfiguration.at("/mqtt_client_id", "cannot have + # / in it: it is a level of a topic, too")
    return Options(
        broker,
        tls_context(settings, encrypted=broker.scheme in ENCRYPTED),
        templates,
        mappings,
        catalogue.listeners,
        settings.mqtt_publish,
        settings.mqtt_kinds,
        settings.mqtt_dead_letter,
        settings.mqtt_client_id,
        settings.mqtt_discovery,
        settings.mqtt_expire_after or settings.stream_ttl,
        settings.stream_ttl,
        settings.data_dir,
        settings.max_reading_bytes,
    )


def tls_context(settings: Settings, *, encrypted: bool) -> ssl.SSLContext | None:
    """Load the certificates of the settings; None for an unencrypted address.

    Raises:
        InvalidConfiguration: a file cannot be used, or the address does not use TLS.

    """
    for name in ("mqtt_ca", "mqtt_cert", "mqtt_key"):
        if getattr(settings, name) and not encrypted:
            raise InvalidConfiguration.at(f"/{name}", "needs an address mqtts:// or wss://")
    if not encrypted:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.mqtt_ca or None)
    except OSError as error:
        raise InvalidConfiguration.at("/mqtt_ca", f"cannot use {settings.mqtt_ca}: {_reason(error)}") from None
    if settings.mqtt_key and not settings.mqtt_cert:
        raise InvalidConfiguration.at("/mqtt_key", "needs --mqtt-cert")
    if settings.mqtt_cert:
        try:
            # without a password OpenSSL would prompt on the terminal for an encrypted key
            context.load_cert_chain(settings.mqtt_cert, settings.mqtt_key or None, password="")
        except (OSError, ValueError) as error:
            files = " and ".join(filter(None, (settings.mqtt_cert, settings.mqtt_key)))
            raise InvalidConfiguration.at("/mqtt_cert", f"cannot use {files}: {_reason(error)}") from None
    return context


def mappings_of(settings: Settings, catalogue: Catalogue) -> tuple[Mapping, ...]:
    """Return the mappings of messages: the `catalogue`'s that have topics, and the presets that the `settings` name.

    Raises:
        InvalidConfiguration: there is no such preset, or it has no topics.

    """
    found = {each.name: each for each in catalogue if each.topics}
    for name in settings.mqtt_preset.replace(",", " ").split():
        try:
            found[name] = catalogue.find(name)
        except MappingNotFound as error:
            raise InvalidConfiguration.at("/mqtt_preset", str(error)) from None
        if not found[name].topics:
            raise InvalidConfiguration.at("/mqtt_preset", f"{name} has no topics: its devices do not speak MQTT")
    return tuple(found.values())


def _template(setting: str, template: str, templates: Sequence[TopicFilter]) -> None:
    """Reject the template of a topic to publish to that does not tell streams apart, or makes invalid topics."""
    if sum(name in template.split("/") for name in (STREAM, REST)) != 1:
        detail = f"the topic {template!r} must have one level {STREAM} or {REST}"
        raise InvalidConfiguration.at(f"/{setting}", detail)
    _topic(setting, filled(template, "x"), templates)


def _topic(setting: str, topic: str, templates: Sequence[TopicFilter]) -> None:
    """Reject a topic to publish to that is invalid, or whose messages would be received as readings."""
    if {*"+#\0"} & {*topic}:
        raise InvalidConfiguration.at(f"/{setting}", f"{topic!r} is no topic to publish to: it has a wildcard")
    for template in templates:
        if template.matches(topic):
            detail = f"{topic!r} is one of the topics {template.template!r}: answers would be taken as readings"
            raise InvalidConfiguration.at(f"/{setting}", detail)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
