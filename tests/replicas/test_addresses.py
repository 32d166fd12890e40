"""Addresses of stores: what they say, what they do not show, and that credentials and TLS are used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StoreError, StoreUnavailable
from streamnorm.stores.redis.streams import SharedStreams
from streamnorm.stores.redis.url import NodeAddress, parse_redis_url
from tests.support.processes import free_port
from tests.support.redis_servers import Server

SCALING = Path(__file__).parents[2] / "docs/scaling.md"


@pytest.mark.parametrize(
    ("url", "places", "cluster"),
    [
        ("redis://store", (NodeAddress("store", 6379),), False),
        ("redis://app:secret@10.0.0.1:7000/2", (NodeAddress("10.0.0.1", 7000),), False),
        ("rediss://[::1]:7000", (NodeAddress("::1", 7000),), False),
        ("redis+cluster://a,b:7001", (NodeAddress("a", 6379), NodeAddress("b", 7001)), True),
        ("rediss+cluster://app:se,cr%40et@a", (NodeAddress("a", 6379),), True),
    ],
)
def test_an_address_is_read(url: str, places: tuple[NodeAddress, ...], cluster: bool) -> None:  # noqa: FBT001
    address = parse_redis_url(url)
    assert (address.places, address.cluster) == (places, cluster)


def test_a_password_is_used_and_never_shown() -> None:
    address = parse_redis_url("redis+cluster://app:se%40cret@a")
    assert address.options["password"] == "se@cret"  # noqa: S105
    assert "cret" not in f"{address} {address!r}"


@pytest.mark.parametrize(
    "url",
    ["redis://", "redis://a,b", "redis://a:port", "redis://app:secret@a?no_such_option=1", "redis://app:secret@:1"],
)
def test_an_address_that_makes_no_sense_is_told_without_its_password(url: str) -> None:
    with pytest.raises(StoreError) as told:
        parse_redis_url(url)
    assert "secret" not in str(told.value)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Build a certificate, its own authority, and its key."""
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=store"
    extension = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "store.pem"]
    command = ["openssl", *options.split(), *extension]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)  # noqa: S603 - a known program
    return tmp_path


async def test_the_commands_that_are_documented_are_enough_over_tls(authority: Path) -> None:
    port = free_port()
    tls = ["--tls-port", str(port), "--tls-auth-clients", "no", "--tls-cert-file", str(authority / "store.pem")]
    with Server(authority / "store", *tls, "--tls-key-file", str(authority / "key.pem")) as server:
        granted = SCALING.read_text().partition("needs the commands ")[2].partition(".")[0]
        commands = [f"+{word.lower()}" for word in granted.split("`")[1::2]]
        server.do("ACL", "SETUSER", "app", "on", ">secret", "~streamnorm:*", "&streamnorm:*", *commands)
        options = f"?ssl_ca_certs={authority / 'store.pem'}"
        streams = replica(f"rediss://app:secret@127.0.0.1:{port}{options}")
        await streams.start()
        streams.check()
        for _ in range(2):
            await streams.update("a", observe)
        assert [stream.count for _, stream in await streams.page("", "", 10)] == [2]
        await streams.delete("a")
        await streams.stop()


async def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.do("ACL", "SETUSER", "app", "on", ">right")
        streams = replica(server.url.replace("redis://", "redis://app:wrong@"))
        await streams.start()
        with pytest.raises(StoreUnavailable, match="invalid username-password pair"):
            streams.check()
        await streams.stop()


def replica(url: str) -> SharedStreams:
    """Build a replica."""
    return SharedStreams(parse_redis_url(url), plan(configuration({}, {})), prefix="streamnorm")


def observe(stream: Stream) -> None:
    """Observe a reading."""
    stream.observe(parse_reading({"x": 1.0}, Limits()), 1.0, Limits())
