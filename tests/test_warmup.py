"""Where no library fits and Numba is installed, kernels are compiled at the start, and never while a request waits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import numba
import numpy as np
import psutil
import pytest

import streamnorm
from streamnorm import warmup
from streamnorm.cli.compiling import announce_compiling
from streamnorm.kernels import CHOICE, METHODS, kernel_for
from streamnorm.kernels.cpu.numba_loops import compiled
from tests.support.http_calls import Api, running
from tests.support.processes import PATIENCE, Service

ROWS = np.random.default_rng(0).normal(20.0, 3.0, (40, 40)).tolist()


async def use(api: Api, method: str, **config: object) -> None:
    """Send every kind of body to a stream of a method."""
    path = f"/v1/streams/{method}"
    await api.post(path, {"method": method, **config}, method="PUT")
    await api.observe(method, {"values": {"a": 1, "b": None}}, {"values": {"a": 1.5, "b": 2}, "seq": 4})
    await api.observe(method, {"values": {"a": 1, "b": 2, "image": [[1, 2]]}, "timestamp": 1_700_000_000})
    await api.post(f"{path}-b", {"method": method, **config}, method="PUT")
    assert (await api.post(f"{path}-b/bulk", {"values": ROWS})).is_success
    assert (await api.lines(f"{path}-b/bulk", *[{"values": row} for row in ROWS])).is_success


@pytest.mark.jit
@pytest.mark.parametrize("method", METHODS)
async def test_no_request_brings_about_another_compilation(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loops = compiled(METHODS[method])
    loops.compile()
    monkeypatch.setattr(kernel_for(method), "fast", loops)
    before = loops.signatures
    async with running() as api:
        await use(api, method, clamp=3, robust=2, warmup=1, missing="mean", affine={"a": {"gamma": 2, "beta": 1}})
    async with running() as api:
        await use(api, method)
    assert loops.signatures == before


@pytest.mark.jit
@pytest.mark.parametrize("config", [{"horizon": 50}, {"time_constant": 60}])
async def test_nor_does_any_configuration(config: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    loops = compiled(METHODS["online"])
    loops.compile()
    monkeypatch.setattr(kernel_for("online"), "fast", loops)
    before = loops.signatures
    async with running() as api:
        await use(api, "online", **config)
    assert loops.signatures == before


def test_that_something_is_compiled_is_told_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    announce_compiling("filter")
    monkeypatch.setenv(CHOICE, "numba")
    assert kernel_for.__wrapped__("online").compiled
    increment = numba.njit(lambda x: x + 1)
    assert capsys.readouterr().err == ""
    assert (increment(1), increment(1.0)) == (2, 2.0)
    assert capsys.readouterr().err.count("streamnorm filter: compiling for this machine") == 1


async def test_until_a_method_is_compiled_its_streams_give_the_same_bits() -> None:
    fast = kernel_for("online").fast
    states = []
    for loops in (fast, None):
        kernel_for("online").fast = loops
        try:
            async with running() as api:
                await use(api, "online")
                states.append(await api.state())
        finally:
            kernel_for("online").fast = fast
    assert states[0] == states[1]


def serving(folder: Path, **environment: str) -> Service:
    """Run a service that compiles, and keeps that in its data folder."""
    return Service(folder, **{"NUMBA_CACHE_DIR": "", CHOICE: "numba"}, **environment)


def test_where_a_library_fits_nothing_is_compiled_nor_kept(tmp_path: Path) -> None:
    with Service(tmp_path, NUMBA_CACHE_DIR="") as service:
        url = f"{service.url}/v1/streams/a/readings"
        assert httpx.post(url, json={"values": {"a": 1}}, timeout=60).json()["count"] == 1
        assert "compil" not in service.log.read_text()
        assert not any("numba" in entry.path for entry in psutil.Process(service.pid).memory_maps())
        assert not list((service.folder / "data").glob("kernels-*"))


def kept(service: Service) -> list[Path]:
    """List what is kept of compiled code."""
    return list((service.folder / "data").glob("kernels-*/**/*.nbc"))


@pytest.mark.jit
def test_the_default_method_is_compiled_before_the_service_is_ready_and_kept(tmp_path: Path) -> None:
    stale = tmp_path / "data" / "kernels-of-yesterday"
    stale.mkdir(parents=True)
    with serving(tmp_path) as service:
        assert "the kernel of online is ready" in service.log.read_text()
        assert kept(service)
    assert not stale.exists()


@pytest.mark.jit
def test_what_compiles_meanwhile_ends_with_the_service_however_that_ends(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        (child,) = psutil.Process(service.pid).children()
        service.kill()
        child.wait(PATIENCE)


def test_what_another_installation_kept_is_compiled_anew(tmp_path: Path) -> None:
    package = Path(streamnorm.__file__).parent
    shutil.copytree(package, tmp_path / "streamnorm", ignore=shutil.ignore_patterns("pages", "__pycache__"))
    told = [versions(package.parent), versions(tmp_path)]
    os.utime(tmp_path / "streamnorm" / "kernels" / "methods" / "online.py", (0, 0))
    told.append(versions(tmp_path))
    assert len(set(told)) == 3
    assert versions(tmp_path) == told[-1]


def versions(folder: Path) -> str:
    """Ask the package in a folder what its compiled code depends on."""
    command = [sys.executable, "-c", "from streamnorm.warmup import versions; print(versions())"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603


@pytest.mark.jit
def test_where_nothing_can_be_kept_the_service_says_so_and_runs(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "file").touch()
    with Service(tmp_path, **{"NUMBA_CACHE_DIR": str(tmp_path / "file"), CHOICE: "numba"}) as service:
        assert "compiled kernels cannot be cached" in service.log.read_text()
        url = f"{service.url}/v1/streams/a/readings"
        assert httpx.post(url, json={"values": {"a": 1}}, timeout=60).json()["count"] == 1


@pytest.mark.jit
def test_what_is_kept_is_loaded_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "METHODS", {"online": METHODS["online"]})
    monkeypatch.setattr(os, "nice", lambda _: 0)
    told: list[str] = []
    warmup.compile_in_background(tmp_path, "online", told.append)
    assert told == ["online"]
    assert warmup.is_cache_complete(tmp_path)
