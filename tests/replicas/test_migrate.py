"""`streamnorm migrate`: into a shared store and back, verified, and going on where it was cut off."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.engine.streams.stream import Stream
from streamnorm.stores import copy
from streamnorm.stores.codec import encode
from streamnorm.stores.local.sqlite import SQLiteStore
from streamnorm.stores.redis.copy_endpoint import RedisEndpoint
from streamnorm.stores.redis.url import parse_redis_url
from tests.support.commands import invoke

LIMITS = Limits()


def filled(folder: Path, number: int) -> dict[str, bytes]:
    """Build a data folder with streams; returns them."""
    rng = np.random.default_rng(0)
    blobs = {}
    for place in range(number):
        stream = Stream(plan(configuration({}, {})))
        for seq in range(3):
            stream.observe(parse_reading({"x": rng.normal()}, LIMITS, seq=seq), 1.0, LIMITS)
        blobs[f"客-{place}"] = encode(stream)
    with closing(SQLiteStore(folder, synchronous="normal")) as store:
        store.save(blobs)
    return blobs


def content(folder: Path) -> dict[str, bytes | None]:
    """Return what a data folder has."""
    with closing(SQLiteStore(folder, synchronous="normal")) as store:
        return {stream_id: store.load(stream_id) for stream_id in store.page("", "", 10_000)}


def migrate(source: object, target: object, prefix: str, *options: str) -> Result:
    """Run `streamnorm migrate`."""
    ends = ["--from", str(source), "--to", str(target), "--store-prefix", prefix]
    return invoke(["migrate", *ends, *options])


def test_streams_and_keys_go_there_and_back_as_they_were(url: str, prefix: str, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    blobs = filled(there, 1200)
    token = SQLiteApiKeys(there).create("boss", ["admin"])
    moved = migrate(f"sqlite://{there}", url, prefix)
    assert moved.exit_code == 0, moved.output
    assert "1200 streams: 1200 copied, 0 there before; 1 keys copied; the target has 1200 streams" in moved.stdout
    assert migrate(url, f"sqlite://{back}/streamnorm.db", prefix).exit_code == 0
    assert content(back) == blobs
    assert SQLiteApiKeys(back).find(token) is not None


def test_a_copy_that_was_cut_off_goes_on_where_it_was(
    url: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, 1200)
    save = RedisEndpoint.save
    times = iter(range(2))

    async def cut_off(depot: RedisEndpoint, blobs: dict[str, bytes]) -> None:
        if next(times, None) is None:
            raise KeyboardInterrupt
        await save(depot, blobs)

    with monkeypatch.context() as patched:
        patched.setattr(RedisEndpoint, "save", cut_off)
        assert migrate(f"sqlite://{tmp_path}", url, prefix).exit_code != 0
    again = migrate(f"sqlite://{tmp_path}", url, prefix)
    copied = 1200 - 2 * copy.BATCH
    assert f"1200 streams: {copied} copied, {2 * copy.BATCH} there before" in again.stdout, again.output


def test_what_differs_in_the_target_is_left_and_told(url: str, prefix: str, tmp_path: Path) -> None:
    first = next(iter(filled(tmp_path, 3)))

    async def other(blob: bytes) -> None:
        depot = RedisEndpoint(parse_redis_url(url), prefix)
        await depot.count()
        await depot.save({first: blob})
        await depot.close()

    asyncio.run(other(encode(Stream(plan(configuration({}, {}))))))
    kept = migrate(f"sqlite://{tmp_path}", url, prefix)
    assert (kept.exit_code, "1 streams differ" in kept.stderr) == (1, True)
    assert migrate(f"sqlite://{tmp_path}", url, prefix, "--overwrite").exit_code == 0
    assert migrate(f"sqlite://{tmp_path}", url, prefix).exit_code == 0


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("sqlite:///nowhere/at/all", "there is no /nowhere/at/all/streamnorm.db"),
        ("floppy://a", "is no store"),
        ("redis://", "cannot understand the store's address"),
        ("redis://127.0.0.1:1", "cannot be reached"),
    ],
)
def test_what_cannot_be_copied_from_is_told(source: str, told: str, tmp_path: Path) -> None:
    result = migrate(source, f"sqlite://{tmp_path}", "streamnorm")
    assert (result.exit_code, told in result.stderr) == (1, True), result.output


def test_a_folder_that_a_service_uses_is_not_copied(url: str, prefix: str, tmp_path: Path) -> None:
    filled(tmp_path, 1)
    with closing(SQLiteStore(tmp_path, synchronous="normal")):
        assert "in use by process" in migrate(f"sqlite://{tmp_path}", url, prefix).stderr
