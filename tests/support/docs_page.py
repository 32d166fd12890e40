"""docs/clients.md, block by block, so that what it shows can be run."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.support.processes import PATIENCE

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "clients.md"
BLOCK = re.compile(
    r"(?:<!-- peer: (?P<peer>\S+) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
HEADING = re.compile(r"^## (.*)$", re.MULTILINE)


class Example(NamedTuple):
    """One block, the heading above it, and the peer it needs, if any."""

    heading: str
    kind: str
    text: str
    peer: str | None


def examples() -> list[Example]:
    """Return every block of the page, in order."""
    page = PAGE.read_text()
    return [
        Example(_heading(page[: found.start()]), found["kind"], found["text"], found["peer"])
        for found in BLOCK.finditer(page)
    ]


def commands(text: str) -> list[tuple[str, str]]:
    """Return the commands of a block, each with what it is to print."""
    found = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (each.partition("\n") for each in found)]


def printed(command: str, folder: Path) -> str:
    """Run a command in a folder; returns what it prints."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(  # noqa: S602 - our own page
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return done.stdout


def check_session(text: str, scope: dict[str, object]) -> None:
    """Run a session in Python and check what it shows."""
    session = doctest.DocTestParser().get_doctest(text, scope, PAGE.name, str(PAGE), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    told: list[str] = []
    results = runner.run(session, out=told.append, clear_globs=False)
    scope.update(session.globs)
    assert results.failed == 0, "".join(told)


def _heading(before: str) -> str:
    found = HEADING.findall(before)
    return found[-1] if found else ""
