"""What blocks must come to that the engine and the Normalizer have worked on by a device."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from streamnorm import Normalizer, devices
from streamnorm.engine.blocks import many as engine_blocks
from streamnorm.engine.blocks.block import Block, observe_block
from streamnorm.engine.blocks.many import observe_blocks, share_one_device
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import InvalidReading
from streamnorm.kernels import METHODS, MethodKernel, kernel_for
from streamnorm.kernels.cuda import device
from streamnorm.kernels.dispatch import NEVER

#: seconds since 1970, after every time in the blocks
NOW = 2000.0
CONFIGS: list[dict[str, object]] = [
    {},
    {"time_constant": 30.0},
    {"robust": 2.0, "warmup": 4},
    {"clamp": 1.0, "missing": "mean"},
    {"affine": {"b": {"gamma": 2.0, "beta": 1.0}}},
]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> MethodKernel:
    """Have every block sent to the device."""
    works = kernel_for("online")
    monkeypatch.setattr(works, "device_from", (0, 0))
    return works


def rows(kind: str = "f8", seed: int = 0) -> Any:
    """Build a block of two features, some values of it missing."""
    rng = np.random.default_rng(seed)
    values = rng.normal(20.0, 3.0, (20, 2)).astype(kind)
    values[rng.random(values.shape) < 0.1] = math.nan
    return values


def blocks(*kinds: str) -> dict[str, Block]:
    times = np.arange(20.0) * 7.0
    return {f"s-{n}": Block(("a", "b"), rows(kind, n), times, 1) for n, kind in enumerate(kinds)}


def drafts(names: Iterable[str], **config: object) -> dict[str, Stream]:
    return {name: Stream(plan(configuration(config, {}))) for name in names}


def assert_alike(found: Any, expected: Any) -> None:
    """Compare answers, to the digits that their type has."""
    assert found.dtype == expected.dtype
    tolerance = 1e-12 if found.dtype == np.float64 else 1e-6
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("kind", ["f8", "f4"])
@pytest.mark.parametrize("piece", [engine_blocks.PIECE, 100])
def test_blocks_of_many_streams_go_there_together(
    sent: MethodKernel, config: dict[str, object], kind: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_blocks, "PIECE", piece)
    ours = blocks(kind, kind, kind)
    there, here = drafts(ours, **config), drafts(ours, **config)
    assert share_one_device(there, ours)
    found = observe_blocks(there, ours, NOW, Limits())
    sent.device_from = NEVER
    expected = observe_blocks(here, ours, NOW, Limits())
    for name in ours:
        assert_alike(found[name].values, expected[name].values)
        np.testing.assert_allclose(there[name].state, here[name].state, rtol=1e-9, atol=1e-9)
        assert (found[name].count, found[name].ready) == (expected[name].count, expected[name].ready)


@pytest.mark.usefixtures("sent")
def test_a_retry_is_computed_stream_by_stream() -> None:
    ours = blocks("f8", "f8")
    streams = drafts(ours)
    first = observe_blocks(streams, ours, NOW, Limits())
    assert not share_one_device(streams, ours)
    again = observe_blocks(streams, ours, NOW, Limits())
    assert all(again[name].replayed for name in ours)
    assert_alike(again["s-1"].values, first["s-1"].values)


def test_streams_whose_clocks_differ_are_computed_one_by_one(sent: MethodKernel) -> None:
    ours = blocks("f8", "f8")
    earlier = [Block(("a", "b"), rows(), np.arange(20.0) + began, None) for began in (1000.0, 0.0)]  # a clock set back
    there, here = (drafts(ours, time_constant=30.0, warmup=16) for _ in range(2))
    for streams in (there, here):
        for block in earlier:
            observe_block(streams["s-1"], block, NOW, Limits())
    found = observe_blocks(there, ours, NOW, Limits())
    sent.device_from = NEVER
    expected = observe_blocks(here, ours, NOW, Limits())
    for name in ours:
        assert_alike(found[name].values, expected[name].values)


def failing(*_: object) -> None:
    """Do as a device that is lost."""
    raise RuntimeError("the device is lost")


@pytest.mark.parametrize("ways", ["together", "one by one"])
def test_where_a_device_fails_the_processor_gives_the_answers(
    sent: MethodKernel, ways: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sent, "device_failed", devices.disable_device)
    ours = blocks("f8", "f8", "f8")
    there, here = drafts(ours), drafts(ours)
    with monkeypatch.context() as patched:
        patched.setattr(sent.device, "observe", failing)
        if ways == "together":
            found = observe_blocks(there, ours, NOW, Limits())
        else:
            found = {name: observe_block(there[name], ours[name], NOW, Limits()) for name in ours}
    assert sent.device_from == NEVER
    expected = observe_blocks(here, ours, NOW, Limits())
    for name in ours:
        assert np.array_equal(found[name].values, expected[name].values, equal_nan=True)
        assert there[name].state == here[name].state
    assert [record.message for record in caplog.records] == [devices.FAILED % RuntimeError("the device is lost")]


def test_a_device_that_is_asked_for_gets_all_blocks_that_are_not_small(monkeypatch: pytest.MonkeyPatch) -> None:
    works = kernel_for("online")
    monkeypatch.setattr(devices, "METHODS", {"online": METHODS["online"]})
    monkeypatch.setattr(devices, "device_exists", lambda: True)
    monkeypatch.setattr(devices, "PREPARED", (1, 2))
    monkeypatch.setattr(works, "device_failed", works.device_failed)
    monkeypatch.setattr(works, "device_from", NEVER)
    devices.enable_device("cuda", "online")
    assert works.device_from == (devices.SIZES[0], devices.SIZES[0])


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_a_normalizer_takes_arrays_on_the_device_and_answers_there(config: dict[str, Any], kind: str) -> None:
    there, here = Normalizer(**config), Normalizer(**config)
    for half in (slice(0, 12), slice(12, 20)):
        values, times = rows(kind)[half], (np.arange(20.0) * 7.0)[half].tolist()
        given = device.cuda.to_device(np.ascontiguousarray(values))
        answer = there.observe_block(given, features=["a", "b"], timestamps=times)
        expected = here.observe_block(values.astype("f8"), features=["a", "b"], timestamps=times)
        assert_alike(answer.values.copy_to_host(), expected.values.astype(kind))
        assert (answer.count, answer.ready) == (expected.count, expected.ready)
        assert np.array_equal(given.copy_to_host(), values, equal_nan=True)
    assert there.observe({"a": 1.0, "b": 2.0}).count == 21


def test_a_numbered_block_on_the_device_may_come_again() -> None:
    normalizer, given = Normalizer(clamp=2.0), device.cuda.to_device(rows())
    first = normalizer.observe_block(given, first_seq=5)
    again = normalizer.observe_block(given, first_seq=5)
    assert (again.replayed, again.count, normalizer.count) == (True, 20, 20)
    assert_alike(again.values.copy_to_host(), first.values.copy_to_host())


def test_a_device_that_fails_leaves_a_normalizer_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    normalizer, given = Normalizer(), device.cuda.to_device(rows())
    normalizer.observe({"0": 1.0, "1": 2.0})
    before = normalizer.snapshot()
    monkeypatch.setattr(kernel_for("online").device, "observe", failing)
    with pytest.raises(RuntimeError, match="the device is lost"):
        normalizer.observe_block(given)
    assert normalizer.snapshot() == before


def test_a_normalizer_refuses_what_is_no_table_on_the_device() -> None:
    with pytest.raises(InvalidReading, match="float64 or float32"):
        Normalizer().observe_block(device.cuda.to_device(np.zeros((2, 2), dtype=np.int32)))
    with pytest.raises(InvalidReading, match="is no block"):
        Normalizer().observe_block(device.cuda.to_device(np.zeros(2)))
    with pytest.raises(InvalidReading, match="/values/1/0"):
        Normalizer().observe_block(device.cuda.to_device(np.array([[1.0], [math.inf]])))
    with pytest.raises(InvalidReading, match="only observe_block takes that"):
        Normalizer().normalize_block(device.cuda.to_device(np.zeros((2, 2))))
