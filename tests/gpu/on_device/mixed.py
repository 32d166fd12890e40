"""Streams whose features differ in their treatment: each group that is large enough goes to the device by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamnorm import Normalizer
from streamnorm.kernels import METHODS, kernel_for
from streamnorm.kernels.array_types import is_on_device
from streamnorm.kernels.cuda import device
from streamnorm.kernels.dispatch import NEVER

RNG = np.random.default_rng(0)
ROWS = np.column_stack([RNG.uniform(0.0, 360.0, 24), RNG.lognormal(3.0, 1.0, 24), RNG.normal(20.0, 3.0, (24, 2))])
ROWS[RNG.random(ROWS.shape) < 0.1] = np.nan
NAMES = ["wind", "lux", "a", "b"]
TREATMENTS: dict[str, dict[str, dict[str, Any]]] = {
    "horizons": {"a": {"horizon": 500}},
    "methods": {"a": {"method": "adaptive", "time_constant": 60.0}, "b": {"method": "cumulative"}},
    "finished": {"a": {"clamp": 1.0}, "lux": {"robust": 2.0, "warmup": 4}},
    "prepared": {"wind": {"transform": "circular"}, "lux": {"transform": "log"}, "a": {"valid": [15, 25]}},
}


def normalized(treatment: str, kind: str, least: float, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, list[int]]:
    """Normalize a block twice; returns the values, the snapshot, and the columns of what a device was sent."""
    sent: list[int] = []
    observe = device.Device.observe_block

    def spied(self: Any, values: Any, *rest: Any) -> Any:
        sent.append(values.shape[1])
        return observe(self, values, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(device.Device, "observe_block", spied)
        for name in METHODS:
            patched.setattr(kernel_for(name), "device_from", (least, least))
        normalizer = Normalizer(features=TREATMENTS[treatment], warmup=8)
        times = np.arange(24.0) * 7.0
        found = [
            normalizer.observe_block(ROWS[half].astype(kind), features=NAMES, timestamps=times[half].tolist()).values
            for half in (slice(0, 16), slice(16, 24))
        ]
        return np.concatenate(found), normalizer.snapshot(), sent


@pytest.mark.parametrize(("treatment", "kind"), [*((each, "f8") for each in TREATMENTS), ("finished", "f4")])
def test_each_group_comes_to_what_it_comes_to_here(treatment: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there, kept, sent = normalized(treatment, kind, 0, monkeypatch)
    here, expected, none = normalized(treatment, kind, *NEVER[:1], monkeypatch)
    assert (len(sent) >= 2, none) == (True, [])
    tolerance = 1e-12 if kind == "f8" else 1e-6
    np.testing.assert_allclose(there, here, rtol=tolerance, atol=tolerance)
    for one, other in zip(kept["features"], expected["features"], strict=True):
        for name, number in other.items():
            assert one[name] == (pytest.approx(number, rel=1e-9) if isinstance(number, float) else number)


def test_a_group_that_is_too_small_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, sent = normalized("horizons", "f8", 24, monkeypatch)
    assert sent == [3, 3]  # 48 and 24 values; the group of one feature has 16 and 8


def test_a_group_travels_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamnorm.engine.streams.mixed.PIECE", 16)
    _, _, sent = normalized("horizons", "f8", 24, monkeypatch)
    assert sent == [3, 3]


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_an_array_on_the_device_is_answered_there(treatment: str) -> None:
    there, here = Normalizer(features=TREATMENTS[treatment]), Normalizer(features=TREATMENTS[treatment])
    answer = there.observe_block(device.cuda.to_device(ROWS), features=NAMES)
    assert is_on_device(answer.values)
    expected = here.observe_block(ROWS, features=NAMES)
    np.testing.assert_allclose(answer.values.copy_to_host(), expected.values, rtol=1e-12, atol=1e-12)
    assert answer.features == expected.features
