"""Processes of their own, for what only shows between processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def running(script: str, *arguments: object) -> Iterator[tuple[int, IO[str]]]:
    """Run a Python script; returns its pid and what it prints, and ends it by kill -9."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own script
        assert process.stdout is not None
        try:
            yield process.pid, process.stdout
        finally:
            process.kill()
