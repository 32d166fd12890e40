"""What every test run keeps to: nothing is skipped unnoticed, and Hypothesis measures no time."""

from __future__ import annotations

import functools
import gc
import logging
import os
import random
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from streamnorm.kernels import METHODS, MethodKernel, kernel_for
from tests.support.processes import NUMBA_CACHE

# A deadline would be a timed assertion, as is the check of how long examples take to draw. On CI they are the same in
# every run.
UNTIMED: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("local", **UNTIMED)
settings.register_profile("ci", **UNTIMED, derandomize=True, database=None, print_blob=True)
# Every service that a test starts would compile the kernels for itself.
os.environ.setdefault("NUMBA_CACHE_DIR", str(NUMBA_CACHE))
# And where there is a CUDA device, for it too; tests that want it say so.
os.environ.setdefault("STREAMNORM_DEVICE", "cpu")
# httpx and httpcore look for it at each request, where it tells trio from asyncio; an import that fails searches all
# folders again.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]
# No test calls the world, whose certificate authorities every HTTP client would read, for tens of milliseconds each.
os.environ |= {"SSL_CERT_FILE": "", "SSL_CERT_DIR": str(Path(__file__).parent)}
settings.load_profile("ci" if os.environ.get("CI") else "local")
# Next to nothing that is imported, compiled and collected is garbage; to look for some takes a quarter of that time.
gc.disable()

#: folders and files of tests that start processes, or compile
SLOW = {
    *("backfill", "bridges", "client", "demo", "faults", "micropython", "replicas", "streaming"),
    *(f"test_{name}.py" for name in ("clients_page", "fuzzing", "platforms", "process", "prometheus", "warmup")),
}


def pytest_collection_finish() -> None:
    """Leave the million objects that were imported and collected out of every search for garbage: a tenth of all time.

    All others are searched a tenth as often as by default.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(700, 10, 100)


def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are processors, for tests that start processes wait for half of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow files first: workers, which take one file after the other, then end at about the same time."""
    files = {item: item.nodeid.partition("::")[0] for item in items}
    items.sort(key=lambda item: (SLOW.isdisjoint(files[item].split("/")[1:2]), files[item]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that is skipped, unless it is marked `gpu`."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("gpu") is None:
        fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a whole file that is skipped while it is imported; a mark cannot excuse it, for it has none yet.

    Each worker goes through folders in an order of its own: so they compile the files for each other, not all the same.
    """
    report = yield
    if report.skipped:
        fail_skipped(report)
    if isinstance(collector, pytest.Directory):
        random.Random(os.environ.get("PYTEST_XDIST_WORKER", "")).shuffle(report.result)
    return report


def fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn the report of a skip into a failure that says so."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    report.outcome = "failed"
    report.longrepr = f"{reason}\nNothing may be skipped but tests marked gpu: install what is missing."


@functools.cache
def _kernels() -> list[MethodKernel]:
    return [kernel_for(name) for name in METHODS]


@pytest.fixture(autouse=True)
def _process_is_left_as_it_was() -> Generator[None]:
    """Undo what a service does to its process: handlers whose stream ends with the test, interpreted kernels."""
    root = logging.getLogger()
    level, compiled = root.level, [kernel.fast for kernel in _kernels()]
    yield
    for handler in [handler for handler in root.handlers if type(handler) is logging.StreamHandler]:
        root.removeHandler(handler)
    root.setLevel(level)
    for kernel, fast in zip(_kernels(), compiled, strict=True):
        kernel.fast = fast
