"""The service in memory, as users' tests have it."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from streamnorm import Normalizer
from streamnorm_client import MissingDependency, StreamNotFound
from streamnorm_client.testing import InMemoryService

ROOT = Path(__file__).parents[2]
PROGRAM = """
def count(client, stream):
    for n in range(3):
        client.stream(stream).observe({"n": n})
    return client.stream(stream).info().count

def test_my_program(streamnorm_service):
    assert count(streamnorm_service.client(), "boiler-7") == 3

def test_it_forgets_everything(streamnorm_service):
    assert count(streamnorm_service.client(), "boiler-7") == 3
"""


def test_it_has_the_real_engine(streamnorm_service: InMemoryService) -> None:
    twin = Normalizer()
    with streamnorm_service.client() as client:
        for x in (20.0, 22.0, 19.5):
            assert client.stream("a").observe([x]).values == twin.observe([x]).values
        with pytest.raises(StreamNotFound):
            client.stream("nowhere").info()


def test_live_connections_and_events_work(streamnorm_service: InMemoryService) -> None:
    with streamnorm_service.client() as client:
        events = client.events("a", history=True)
        client.stream("a").observe([0])
        assert next(events).type == "history"
        with client.stream("a").live() as live:
            assert [answer.count for answer in live.observe_many([[n] for n in range(5)])] == [2, 3, 4, 5, 6]
        assert next(events).type == "reading"
        events.close()  # type: ignore[attr-defined]


async def test_with_asyncio_it_is_the_same(streamnorm_service: InMemoryService) -> None:
    async with streamnorm_service.async_client() as client:
        assert (await client.stream("a").observe([0])).count == 1
        async with client.stream("a").live() as live:
            assert [answer.count async for answer in live.observe_many([[n] for n in range(5)])] == [2, 3, 4, 5, 6]
        async for event in client.events("a", history=True):
            assert len(event.data["readings"]) == 6
            break


def test_the_fixture_serves_each_test_a_service_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from streamnorm_client.pytest_plugin import streamnorm_service\n")
    (tmp_path / "test_program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "pytest", "-q", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)  # noqa: S603 - our own
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_pytest_finds_the_fixture_where_the_package_is_installed() -> None:
    project = tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text())["project"]
    (plugin,) = project["entry-points"]["pytest11"].values()
    assert importlib.import_module(plugin).streamnorm_service


def test_without_the_service_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streamnorm.testing", None)
    with pytest.raises(MissingDependency, match="pip install streamnorm"):
        InMemoryService()


def test_the_client_itself_never_imports_the_service() -> None:
    program = "import sys, streamnorm_client.testing; assert 'streamnorm' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own
