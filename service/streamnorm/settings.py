"""Settings: environment variables `STREAMNORM_…`, and options of `streamnorm serve` by the same names."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from streamnorm.engine import limits
from streamnorm.engine.config import DEFAULT_HORIZON, DEFAULT_WARMUP
from streamnorm.formats.line_protocol import DEFAULT_TEMPLATE
from streamnorm.kernels import METHODS
from streamnorm.stores.local import write_behind

MIB = 1024 * 1024
#: A reading is a line of numbers; a megabyte holds an image of 300 × 300 as JSON.
DEFAULT_MAX_READING_BYTES = 1 * MIB
#: JSON costs about eight times its size while it is parsed: half a gigabyte here.
DEFAULT_MAX_BLOCK_BYTES = 64 * MIB
#: An array is not parsed: it takes its own size twice, once for the answer.
DEFAULT_MAX_BINARY_BYTES = 1024 * MIB
#: A few large blocks at once; many readings never come near.
DEFAULT_MAX_PENDING_BYTES = 256 * MIB
#: Some seconds of work: who would wait longer had better come back.
DEFAULT_MAX_REQUESTS = 1000
#: Half of all, so that the others are served too.
DEFAULT_MAX_REQUESTS_PER_CLIENT = 500
#: Connections are files to the system, and many systems give a process 1024 × 10 or more of them; each costs 50 kB.
DEFAULT_MAX_LIVE = 10_000
#: A head of ours has 500 bytes; proxies add cookies and certificates.
DEFAULT_MAX_HEAD_BYTES = 64 * 1024
#: A reading is sent in one go, also over a radio link that loses some.
DEFAULT_BODY_TIMEOUT = 20.0
#: A slow radio link (GPRS) sends a few thousand.
DEFAULT_BODY_RATE = 1024.0
#: Long enough for a packet to be sent again several times.
DEFAULT_IDLE_TIMEOUT = 20.0


SHARED_STORES = ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://")


def is_shared(store: str) -> bool:
    """Return whether a store is one that other replicas use too."""
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


class Group(BaseSettings):
    """Settings that belong together: the first line of a group's docstring is its title."""

    model_config = SettingsConfigDict(
        env_prefix="STREAMNORM_", extra="ignore", frozen=True, use_attribute_docstrings=True
    )


class Calling(Group):
    """Where it listens, and who may call."""

    host: str = "127.0.0.1"
    """address to listen on"""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """port to listen on; 0 takes a free one"""
    insecure: bool = False
    """ask for no key, wherever the service listens"""
    cors_origins: str = ""
    """origins whose pages may call the service, separated by commas, such as https://dashboards.example"""
    ssl_certfile: str = ""
    """file of the TLS certificate, with those it is signed by; then the service speaks HTTPS"""
    ssl_keyfile: str = ""
    """file of the certificate's key, where that is apart"""
    ssl_keyfile_password: str = ""
    """password of the key's file"""


class State(Group):
    """Where state rests."""

    data_dir: Path = Path("streamnorm-data")
    """folder for the state"""
    store: Annotated[str, AfterValidator(_store)] = "sqlite"
    """where state rests: sqlite (in the data folder), memory, or what replicas share: redis://…, redis+cluster://…"""
    store_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")] = "streamnorm"
    """what the names of all keys in a shared store begin with"""
    store_replicas: Annotated[int, Field(ge=0)] = 1
    """with durability `always`, replicas of a shared store that must have a change before it is answered"""
    durability: Literal["always", "everysec", "no"] = "everysec"
    """when a change is on disk: always (before it is answered), everysec (about a second later), no (at the end)"""
    max_resident_streams: Annotated[int, Field(gt=0)] = write_behind.DEFAULT_MAX_RESIDENT_STREAMS
    """most streams in memory; the others rest in the store, and come back with their next reading"""
    max_streams: Annotated[int, Field(gt=0)] = write_behind.DEFAULT_MAX_STREAMS
    """most streams at all"""
    stream_ttl: Annotated[float, Field(ge=0)] = 0.0
    """seconds after which a stream without readings is forgotten; 0 keeps all"""


class Normalizing(Group):
    """How readings are normalized."""

    method: Literal[tuple(METHODS)] = "online"  # type: ignore[valid-type]
    """method of streams that are not configured"""
    horizon: Annotated[float, Field(gt=1)] = DEFAULT_HORIZON
    """horizon, in readings, of streams that are not configured"""
    warmup: Annotated[int, Field(ge=0)] = DEFAULT_WARMUP
    """readings a feature needs before its answers are ready, in streams that are not configured"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where blocks are worked on: cpu, cuda, or auto: by a CUDA device from the size on where it is measured to win"""


class Ways(Group):
    """Other ways in and out."""

    mqtt: str = ""
    """address of an MQTT broker to take readings from and publish to: mqtt://user:password@host:1883, mqtts, ws, wss"""
    mqtt_topics: str = "sensors/{stream}/raw"
    """topics to take readings from, by commas; {stream...} is all levels that follow, {feature} what a number is of"""
    mqtt_publish: str = "sensors/{stream}/normalized"
    """topic for normalized readings"""
    mqtt_dead_letter: str = ""
    """topic for messages that were refused, each with the reason; empty for none"""
    mqtt_client_id: str = ""
    """name by which the broker keeps messages while the service is away; empty for one kept in the data folder"""
    mqtt_ca: str = ""
    """file of the certificates that the broker's is verified by; by default the system's"""
    mqtt_cert: str = ""
    """file of the certificate that the service shows the broker"""
    mqtt_key: str = ""
    """file of that certificate's key, where it is apart"""
    mqtt_discovery: str = ""
    """prefix of Home Assistant's discovery, usually homeassistant: normalized sensors appear there"""
    mqtt_expire_after: Annotated[float, Field(ge=0)] = 0.0
    """seconds of silence after which Home Assistant shows a sensor as unavailable; 0 takes stream_ttl"""
    forward: str = ""
    """InfluxDB URL that normalized readings are forwarded to: http://host:8086/api/v2/write?org=o&bucket=b"""
    forward_token: str = ""
    """token for it"""
    forward_username: str = ""
    """user for it, where it asks for Basic authentication; may stand in the URL, too"""
    forward_password: str = ""
    """password of that user"""
    required_bridges: Annotated[str, AfterValidator(_bridges)] = ""
    """bridges whose other side must be reached for /readyz to be 200, by commas: mqtt, forward"""
    line_stream: str = DEFAULT_TEMPLATE
    """how the points of line protocol name their streams: {measurement}, {tags}, or a tag's {name}"""


class Bounds(Group):
    """Limits."""

    max_reading_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_READING_BYTES
    """largest body of one reading, or line of many, in bytes"""
    max_block_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_BLOCK_BYTES
    """largest JSON or NDJSON body of a block, in bytes"""
    max_binary_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_BINARY_BYTES
    """largest npy or npz body, in bytes"""
    max_rows: Annotated[int, Field(gt=0)] = limits.DEFAULT_MAX_ROWS
    """most rows of a block"""
    max_features: Annotated[int, Field(gt=0)] = limits.DEFAULT_MAX_FEATURES
    """most features of a stream"""
    max_elements: Annotated[int, Field(gt=0)] = limits.DEFAULT_MAX_ELEMENTS
    """most elements of a channel"""
    max_ahead: Annotated[float, Field(ge=0)] = limits.DEFAULT_MAX_AHEAD
    """how far, in seconds, a reading's timestamp may lie ahead of the clock; one further ahead has a wrong unit"""
    max_pending_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_PENDING_BYTES
    """most bytes of bodies being received or worked on, of all requests together"""
    max_requests: Annotated[int, Field(gt=0)] = DEFAULT_MAX_REQUESTS
    """most requests worked on at once"""
    max_requests_per_client: Annotated[int, Field(gt=0)] = DEFAULT_MAX_REQUESTS_PER_CLIENT
    """most requests of one key, or of one address where there are no keys, worked on at once"""
    max_live: Annotated[int, Field(gt=0)] = DEFAULT_MAX_LIVE
    """most WebSockets and event streams open at once"""
    max_head_bytes: Annotated[int, Field(gt=0)] = DEFAULT_MAX_HEAD_BYTES
    """largest head (address and headers) of a request, in bytes"""
    body_timeout: Annotated[float, Field(gt=0)] = DEFAULT_BODY_TIMEOUT
    """seconds within which a body must arrive, and more by what of it has arrived (body_rate)"""
    body_rate: Annotated[float, Field(gt=0)] = DEFAULT_BODY_RATE
    """bytes a second that a large body must arrive at, on average"""
    idle_timeout: Annotated[float, Field(gt=0)] = DEFAULT_IDLE_TIMEOUT
    """seconds after which a connection is cut whose client sends no head, or does not read its answer"""


class Logs(Group):
    """Logs."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """least severity of what is logged to standard error"""
    log_format: Literal["text", "json"] = "text"
    """form of what is logged: text or json"""


#: in the order in which people are shown them
GROUPS: tuple[type[Group], ...] = (Calling, State, Normalizing, Ways, Bounds, Logs)


class Settings(Calling, State, Normalizing, Ways, Bounds, Logs):
    """Everything that can be set; each field is an environment variable and an option."""

    @property
    def shared(self) -> bool:
        """Whether the store is one that other replicas use too."""
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
        """The origins whose pages may call."""
        return [origin.strip().rstrip("/") for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def required(self) -> list[str]:
        """The bridges without which the service is not ready."""
        return self.required_bridges.replace(",", " ").split()

    @property
    def limits(self) -> limits.Limits:
        """What the engine accepts."""
        return limits.Limits(self.max_features, self.max_elements, self.max_rows, self.max_ahead)
