"""A real service under load, killed with SIGKILL at random moments: what it acknowledged is there afterwards.

STREAMNORM_CRASHES says how often it is killed; 50 is the long test.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import httpx
import numpy as np

from tests.support.disks import Device, sending
from tests.support.processes import PATIENCE, Service

CRASHES = int(os.environ.get("STREAMNORM_CRASHES", "5"))
LOST_AT_MOST = 1.5  # seconds, with `everysec`


def groups_of_devices() -> list[list[Device]]:
    """Make four clients of two streams each."""
    return [[Device(f"device-{client}-{n}", 10 * client + n) for n in range(2)] for client in range(4)]


def killed(service: Service, groups: list[list[Device]], *, answers: int = 0, seconds: float = 0.0) -> float:
    """Let the devices send until so many answers came, and a while, and kill the service; returns the moment."""
    with sending(service.url, groups):
        deadline = time.monotonic() + PATIENCE
        while sum(len(one.acknowledged) for group in groups for one in group) < answers:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(seconds)
        moment = time.monotonic()
        service.kill()
    return moment


def test_always_loses_no_acknowledged_reading_and_applies_none_twice(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    groups = groups_of_devices()
    with Service(tmp_path, STREAMNORM_DURABILITY="always") as service, httpx.Client(base_url=service.url) as client:
        for _ in range(CRASHES):
            killed(service, groups, answers=int(rng.integers(20, 200)), seconds=rng.uniform(0.0, 0.05))
            service.start()
            for device in (device for group in groups for device in group):
                applied = device.last_seq(client)
                assert device.next_seq - 1 <= applied <= (device.pending.last if device.pending else applied)
                device.send(client)  # what was not acknowledged again, the same
                device.replay()
                device.assert_like_twin(client)


def test_everysec_loses_at_most_the_last_second_and_a_half(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    groups = groups_of_devices()
    # Streams come and go between memory and disk meanwhile.
    with (
        Service(tmp_path, STREAMNORM_MAX_RESIDENT_STREAMS="3") as service,
        httpx.Client(base_url=service.url) as client,
    ):
        for _ in range(max(1, CRASHES // 5)):
            moment = killed(service, groups, seconds=rng.uniform(1.6, 3.0))
            service.start()
            for device in (device for group in groups for device in group):
                applied = device.last_seq(client)
                kept = [one for one in device.acknowledged if one.sent.last <= applied]
                lost = device.acknowledged[len(kept) :]
                assert all(one.moment > moment - LOST_AT_MOST for one in lost)
                if device.pending is not None and applied >= device.pending.last:
                    device.send(client)  # applied, and not acknowledged: replayed now
                    kept = device.acknowledged
                device.acknowledged = kept
                device.replay()
                device.assert_like_twin(client)
                device.pending, device.next_seq = None, applied + 1
