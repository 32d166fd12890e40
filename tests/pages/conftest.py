"""What the pages' tests share: the wheel as users install it, a service of it, and Chromium."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from streamnorm_client import Client
from tests.support.browser import ARGUMENTS, CHROMIUM, Watched, fill
from tests.support.processes import PATIENCE, FreshService, Service

ROOT = Path(__file__).parents[2]
NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    run = [sys.executable, "-m"]
    build = [*run, "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE)  # noqa: S603 - our own package
    (wheel,) = folder.glob("*.whl")
    target = folder / "installed"
    install = [*run, "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=PATIENCE)  # noqa: S603 - the wheel just built
    # Without extras, as it is installed first: the kernels are those that the wheel brings.
    (target / "sitecustomize.py").write_text("import sys\nsys.modules['numba'] = None\n")
    return target


@pytest.fixture(scope="session")
def service(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service of the installed wheel; tests take streams of their own names, and leave it running."""
    with FreshService(tmp_path_factory.mktemp("service"), PYTHONPATH=str(installed)) as running:
        yield running


@pytest.fixture
def own_service(installed: Path, tmp_path: Path) -> Iterator[Service]:
    """Run a service for one test, empty at first."""
    with FreshService(tmp_path, PYTHONPATH=str(installed)) as running:
        yield running


@pytest.fixture(scope="module")
def service_of_one(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service for one file of tests."""
    with FreshService(tmp_path_factory.mktemp("service"), PYTHONPATH=str(installed)) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    """Talk to the shared service."""
    with Client(service.url) as opened:
        yield opened


@pytest.fixture
def stream(client: Client) -> str:
    """Fill a stream of the test's own with readings of the simulated rig, which has sensors of every kind."""
    name = f"rig-{next(NUMBERS)}"
    fill(client, name)
    return name


@pytest.fixture
def address(service: Service, stream: str) -> str:
    """Return where that stream is shown."""
    return f"{service.url}/#{stream}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start Chromium; for no longer than a module, since Playwright runs a loop of its own beside pytest-asyncio's."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Open a window of a desktop's size."""
    opened = browser.new_context(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(PATIENCE * 1000)
    yield opened
    opened.close()


@pytest.fixture
def watched(context: BrowserContext) -> Iterator[Watched]:
    """Open a page that may neither fail nor ask anyone but the service for anything."""
    opened = Watched(context.new_page())
    yield opened
    assert opened.wrong == []


@pytest.fixture
def page(watched: Watched) -> Page:
    """Return that page."""
    return watched.page
