"""The same checks on a simulated device, and on a real one where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = Path(__file__).with_name("on_device")
ROOT = Path(__file__).parents[2]
SECONDS = 600
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "python_files=on_device/*.py", str(CHECKS))
NO_DEVICE = "import sys; from numba import cuda; sys.exit(not cuda.is_available())"


def python(*arguments: str, simulated: bool) -> subprocess.CompletedProcess[str]:
    """Run Python anew: whether the device is simulated is decided when Numba is imported."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1" if simulated else "0"}
    command = [sys.executable, *arguments]
    return subprocess.run(  # noqa: S603 - ourselves
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_a_simulated_device_does_what_it_must() -> None:
    result = python(*PYTEST, "-m", "not gpu", simulated=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.gpu
def test_a_real_device_does_what_it_must() -> None:
    if python("-c", NO_DEVICE, simulated=False).returncode:
        pytest.skip("there is no CUDA device, or no driver for it")
    result = python(*PYTEST, simulated=False)
    assert result.returncode == 0, result.stdout
