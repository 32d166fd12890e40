"""Settings: environment variables `STREAMNORM_…`, and options of `streamnorm serve` with the same names."""

from __future__ import annotations

import inspect
import ipaddress
import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from streamnorm.engine import limits
from streamnorm.engine.configuration.config import DEFAULT_HORIZON, DEFAULT_WARMUP
from streamnorm.engine.ports.stream_repository import Durability
from streamnorm.formats.ids import DEFAULT_TEMPLATE
from streamnorm.kernels import METHODS
from streamnorm.stores.local import resident_set

MIB = 1024 * 1024
#: A reading is a line of numbers; a megabyte holds an image of 300 × 300 as JSON.
DEFAULT_MAX_READING_BYTES = 1 * MIB
#: Parsing JSON takes about eight times its size in memory: half a gigabyte here.
DEFAULT_MAX_BLOCK_BYTES = 64 * MIB
#: An array is not parsed: it takes twice its size, half of it for the answer.
DEFAULT_MAX_BINARY_BYTES = 1024 * MIB
#: A few large blocks at a time; single readings stay far below it.
DEFAULT_MAX_PENDING_BYTES = 256 * MIB
#: A few seconds of work; beyond that a client should retry later.
DEFAULT_MAX_REQUESTS = 1000
#: Half of the total, so that one client cannot starve the others.
DEFAULT_MAX_REQUESTS_PER_CLIENT = 500
#: Each connection takes a file descriptor, of which many systems allow 10 240 or more, and 50 kB.
DEFAULT_MAX_LIVE = 10_000
#: A typical head has 500 bytes; proxies add cookies and certificates.
DEFAULT_MAX_HEAD_BYTES = 64 * 1024
#: Long enough for a reading over a lossy radio link.
DEFAULT_BODY_TIMEOUT = 20.0
#: A slow radio link (GPRS) carries a few thousand.
DEFAULT_BODY_RATE = 1024.0
#: Long enough for several retransmissions of a packet.
DEFAULT_IDLE_TIMEOUT = 20.0


SHARED_STORES = ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://")


def is_shared(store: str) -> bool:
    """Return whether a store is shared between replicas."""
    return store.startswith(SHARED_STORES)


def _store(value: str) -> str:
    if value not in {"sqlite", "memory"} and not is_shared(value):
        message = f"must be 'sqlite', 'memory' or an address that begins with {', '.join(SHARED_STORES)}"
        raise ValueError(message)
    return value


def _bridges(value: str) -> str:
    if unknown := set(value.replace(",", " ").split()) - {"mqtt", "forward"}:
        message = f"must name mqtt and forward only, not {min(unknown)}"
        raise ValueError(message)
    return value


#: every setting's variable begins with it
PREFIX = "STREAMNORM_"
#: variables of the kernels and the SDK, and those that Kubernetes derives from a Service of that name
OTHERS = re.compile(r"STREAMNORM_(KERNELS|KEY|URL|SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)")
#: of the letters of a misspelt name, so many are those of the right one
NEAR = 0.7


class Group(BaseSettings):
    """A group of related settings; the first line of its docstring is its title, `descriptions` reads its fields'."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, defer_build=True)


class Calling(Group):
    """Network and access."""

    host: str = "127.0.0.1"
    """address to listen on"""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """port to listen on; 0 takes a free one"""
    insecure: bool = False
    """require no key, whatever the address"""
    cors_origins: str = ""
    """origins whose pages may call the service, separated by commas, such as https://dashboards.example"""
    ssl_certfile: str = ""
    """file of the TLS certificate chain; enables HTTPS"""
    ssl_keyfile: str = ""
    """file of the certificate's key, if separate"""
    ssl_keyfile_password: str = ""
    """password of the key file"""


class State(Group):
    """Storage."""

    data_dir: Path = Path("streamnorm-data")
    """folder for the state"""
    store: Annotated[str, AfterValidator(_store)] = "sqlite"
    """where state is stored: sqlite (in the data folder), memory, or shared by replicas: redis://…, redis+cluster://…"""
    store_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")] = "streamnorm"
    """prefix of all keys in a shared store"""
    store_replicas: Annotated[int, Field(ge=0)] = 1
    """with durability `always`, how many replicas of a shared store must have a change before the answer"""
    durability: Durability = "everysec"
    """when a change is on disk: always (before the answer), everysec (about a second later), no (on shutdown)"""
    max_resident_streams: Annotated[int, Field(gt=0)] = resident_set.DEFAULT_MAX_RESIDENT_STREAMS
    """maximum number of streams in memory; others are evicted to the store, and loaded with their next reading"""
    max_streams: Annotated[int, Field(gt=0)] = resident_set.DEFAULT_MAX_STREAMS
    """maximum number of streams"""
    stream_ttl: Annotated[float, Field(ge=0)] = 0.0
    """seconds after which a stream without readings is deleted; 0 keeps all"""


class Normalizing(Group):
    """Normalization defaults."""

    method: Literal[tuple(METHODS)] = "online"  # type: ignore[valid-type]
    """default method"""
    horizon: Annotated[float, Field(gt=1)] = DEFAULT_HORIZON
    """default horizon, in readings"""
    warmup: Annotated[int, Field(ge=0)] = DEFAULT_WARMUP
    """default warm-up: readings a feature needs before its answers are ready"""
    config: str = ""
    """file of rules and mappings (streamnorm.toml); reread on SIGHUP"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where blocks are computed: cpu, cuda, or auto: CUDA above the size at which it wins a start-up benchmark"""


class Ways(Group):
    """Integrations."""

    mqtt: str = ""
    """URL of an MQTT broker to subscribe and publish to: mqtt://user:password@host:1883, or mqtts, ws, wss"""
    mqtt_topics: str = "sensors/{stream}/raw"
    """topic filters of readings, comma-separated; {stream...} matches all remaining levels, {feature} names a number"""
    mqtt_preset: str = ""
    """presets of devices whose messages are readings, too, comma-separated, such as zigbee2mqtt or tasmota,ttn"""
    mqtt_publish: str = "sensors/{stream}/normalized"
    """topic for normalized readings"""
    mqtt_kinds: str = ""
    """topic for changes of a sensor's kind, such as sensors/{stream}/kind; empty for none"""
    mqtt_dead_letter: str = ""
    """topic for rejected messages, each with the reason; empty for none"""
    mqtt_client_id: str = ""
    """client id of the persistent session; empty for a generated one, stored in the data folder"""
    mqtt_ca: str = ""
    """file of CA certificates to verify the broker; by default the system's"""
    mqtt_cert: str = ""
    """file of the client certificate"""
    mqtt_key: str = ""
    """file of the client certificate's key, if separate"""
    mqtt_discovery: str = ""
    """prefix of Home Assistant's MQTT discovery, usually homeassistant; announces normalized sensors"""
    mqtt_expire_after: Annotated[float, Field(ge=0)] = 0.0
    """seconds without readings after which Home Assistant shows a sensor as unavailable; 0 uses stream_ttl"""
    forward: str = ""
    """InfluxDB URL that normalized readings are forwarded to: http://host:8086/api/v2/write?org=o&bucket=b"""
    forward_token: str = ""
    """token for forwarding"""
    forward_username: str = ""
    """user for forwarding with Basic authentication; can also be part of the URL"""
    forward_password: str = ""
    """password of that user"""
    required_bridges: Annotated[str, AfterValidator(_bridges)] = ""
    """bridges whose peer must be reachable for /readyz to be 200, comma-separated: mqtt, forward"""
    line_stream: str = DEFAULT_TEMPLATE
    """template of stream ids for line protocol: {measurement}, {tags}, {tag_values}, or a tag's {name}"""


class Bounds(Group):
    """Limits."""

    max_reading_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_READING_BYTES
    """maximum size of the body of one reading, or of one line, in bytes"""
    max_block_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_BLOCK_BYTES
    """maximum size of a JSON or NDJSON body of a block, in bytes"""
    max_binary_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_BINARY_BYTES
    """maximum size of an npy or npz body, in bytes"""
    max_rows: Annotated[int, Field(gt=0)] = limits.DEFAULT_MAX_ROWS
    """maximum number of rows of a block"""
    max_features: Annotated[int, Field(gt=0)] = limits.DEFAULT_MAX_FEATURES
    """maximum number of features of a stream"""
    max_elements: Annotated[int, Field(gt=0)] = limits.DEFAULT_MAX_ELEMENTS
    """maximum number of elements of a channel"""
    max_ahead: Annotated[float, Field(ge=0)] = limits.DEFAULT_MAX_AHEAD
    """maximum number of seconds by which a reading's timestamp may be ahead of the clock; more means a wrong unit"""
    max_pending_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_PENDING_BYTES
    """maximum total size of the bodies of all requests in progress, in bytes"""
    max_requests: Annotated[int, Field(gt=0)] = DEFAULT_MAX_REQUESTS
    """maximum number of concurrent requests"""
    max_requests_per_client: Annotated[int, Field(gt=0)] = DEFAULT_MAX_REQUESTS_PER_CLIENT
    """maximum number of concurrent requests per key, or per address if no keys are required"""
    max_live: Annotated[int, Field(gt=0)] = DEFAULT_MAX_LIVE
    """maximum number of open WebSockets and event streams"""
    max_head_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_HEAD_BYTES
    """maximum size of a request's head (URL and headers), in bytes"""
    body_timeout: Annotated[float, Field(gt=0)] = DEFAULT_BODY_TIMEOUT
    """seconds within which a body must arrive, extended in proportion to its size (body_rate)"""
    body_rate: Annotated[float, Field(gt=0)] = DEFAULT_BODY_RATE
    """minimum average rate of a large body, in bytes per second"""
    idle_timeout: Annotated[float, Field(gt=0)] = DEFAULT_IDLE_TIMEOUT
    """seconds after which a connection is closed if the client sends no request head, or does not read the answer"""


class Logs(Group):
    """Logging."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """minimum severity of log records, which go to standard error"""
    log_format: Literal["text", "json"] = "text"
    """format of log records: text or json"""


#: in the order of the documentation
GROUPS: tuple[type[Group], ...] = (Calling, State, Normalizing, Ways, Bounds, Logs)


def descriptions() -> dict[str, str]:
    """Return what is written below each field; of this form alone, since a parser would take a thirtieth of a start."""
    source = inspect.getsource(sys.modules[__name__])
    return dict(re.findall(r'^    (\w+): .+\n    """(.+)"""$', source, re.MULTILINE))


class Settings(Calling, State, Normalizing, Ways, Bounds, Logs):
    """All settings; each field is an environment variable and an option."""

    @property
    def shared(self) -> bool:
        """Whether the store is shared between replicas."""
        return is_shared(self.store)

    @property
    def stream_defaults(self) -> dict[str, object]:
        """The configuration of streams that are not configured."""
        return {"method": self.method, "horizon": self.horizon, "warmup": self.warmup}

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def origins(self) -> list[str]:
        """The origins whose pages may call the service."""
        return [origin.strip().rstrip("/") for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def required(self) -> list[str]:
        """The bridges without which the service is not ready."""
        return self.required_bridges.replace(",", " ").split()

    @property
    def limits(self) -> limits.Limits:
        """The limits of the engine."""
        return limits.Limits(self.max_features, self.max_elements, self.max_rows, self.max_ahead)


def unknown_variables(names: Iterable[str]) -> dict[str, str | None]:
    """Find the names that look like a setting's variable and are none, each with the nearest setting, if one is near.

    >>> unknown_variables(["STREAMNORM_DURABILTY", "STREAMNORM_PORT", "STREAMNORM_KEY", "PATH"])
    {'STREAMNORM_DURABILTY': 'STREAMNORM_DURABILITY'}
    """
    known = [name.upper() for name in Settings.model_fields]
    unknown = {name: name.removeprefix(PREFIX) for name in sorted(names) if name.startswith(PREFIX)}
    return {
        name: next((PREFIX + near for near in get_close_matches(rest, known, 1, cutoff=NEAR)), None)
        for name, rest in unknown.items()
        if rest not in known and not OTHERS.fullmatch(name)
    }
