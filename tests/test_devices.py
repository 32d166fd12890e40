"""A CUDA device gets the blocks for which it wins, and none where it fails; the device is played here."""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamnorm import devices
from streamnorm.engine.reading import Array
from streamnorm.kernels import METHODS, MethodKernel, base_statistics, kernel_for
from streamnorm.kernels.cpu.thread_pool import WIDE
from streamnorm.kernels.dispatch import NEVER
from tests.support.processes import Service

RULE = (0.999, 0.0, 32.0, 0.0)


class Device:
    """A device that takes its time for small blocks, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def observe_block(self, values: Array, *_: object) -> None:
        """Work on a block, and forget it."""
        if self.error:
            raise self.error
        if values.size < devices.SIZES[2]:
            time.sleep(0.05)


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> Iterator[MethodKernel]:
    """Have a kernel that works on every block in the same time."""
    slow = MethodKernel(METHODS["online"])
    monkeypatch.setattr(devices, "METHODS", {"online": METHODS["online"]})
    monkeypatch.setattr(devices, "kernel_for", lambda _: slow)
    monkeypatch.setattr(devices, "device_exists", lambda: True)
    monkeypatch.setattr(slow, "observe_block", lambda *_: time.sleep(0.02))
    yield slow
    kernel_for("online").device_from = NEVER


def test_auto_uses_a_device_from_the_size_on_where_it_wins(
    works: MethodKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(works, "device", Device(), raising=False)
    devices.enable_device("auto", "online")
    assert works.device_from == (devices.SIZES[2], devices.SIZES[2])


def test_what_one_core_does_and_what_all_do_have_sizes_of_their_own(works: MethodKernel) -> None:
    works.device_from = (100, 1000)
    assert [works.should_offload(size, 2 * WIDE - 1) for size in (99, 100)] == [False, True]
    assert [works.should_offload(size, 2 * WIDE) for size in (999, 1000)] == [False, True]


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_device_that_cannot_be_prepared_is_left(
    device: str, works: MethodKernel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(works, "device", Device(ImportError("no compiler")), raising=False)
    devices.enable_device(device, "online")
    assert works.device_from == NEVER
    assert [record.message for record in caplog.records] == [devices.FAILED % ImportError("no compiler")]


def test_a_device_that_fails_is_left_and_the_answer_is_the_processors(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    values, works = np.random.default_rng(0).normal(size=(20, 2)), kernel_for("online")
    expected, after = observed(works, values)
    monkeypatch.setattr(works, "device", Device(MemoryError("full")), raising=False)
    monkeypatch.setattr(works, "device_failed", devices.disable_device)
    monkeypatch.setattr(works, "device_from", (0, 0))
    for _ in range(2):
        found, state = observed(works, values)
        assert np.array_equal(found, expected)
        assert state == after
    assert [record.message for record in caplog.records] == [devices.FAILED % MemoryError("full")]


def test_a_device_that_fails_half_way_leaves_the_values_that_an_answer_is_to_replace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class HalfWay:
        def observe_block(self, *arguments: Any) -> None:
            if arguments[-1] is not None:
                arguments[-1][:10] = 0.0
            raise MemoryError

    values, works = np.random.default_rng(0).normal(size=(20, 2)), kernel_for("online")
    expected, _ = observed(works, values)
    monkeypatch.setattr(works, "device", HalfWay(), raising=False)
    monkeypatch.setattr(works, "device_from", (0, 0))
    found, _ = observed(works, values, values)
    assert found is values
    assert np.array_equal(found, expected)


def observed(works: MethodKernel, values: Array, out: Array | None = None) -> tuple[Array, array[float]]:
    """Observe a block; returns the answers, and the state."""
    size = base_statistics.SIZE + works.own_size(())
    state = array("d", bytes(8 * 2 * size))
    places = (0, size), (size, 2 * size)
    return works.observe_block(values, np.zeros(len(values)), RULE, (), state, *places, out), state


def test_auto_goes_without_a_driver_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(devices, "DRIVER", "libnone.so.0")
    with caplog.at_level(logging.INFO):
        devices.enable_device("auto", "online")
    assert kernel_for("online").device_from == NEVER
    assert [record.message for record in caplog.records] == [devices.NONE]


def test_cpu_does_not_look_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "device_exists", lambda: pytest.fail("it looked"))
    devices.enable_device("cpu", "online")


def test_a_device_that_is_asked_for_and_is_not_there_is_told(tmp_path: Path) -> None:
    service = Service(tmp_path, STREAMNORM_DEVICE="cuda", CUDA_VISIBLE_DEVICES="")
    with pytest.raises(RuntimeError, match="there is no CUDA device"):
        service.start()
