"""Process groups: what a program starts ends with it, and all of it with the tests, also where these are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

#: Waits beside a program for the end of its own input, which the death of the tests is, and then kills the group.
GUARD = 'exec 3<&0; (cat <&3 >/dev/null; kill -KILL 0) & exec "$@" 3<&- </dev/null'
#: Seconds: JVMs on two busy cores take their time.
PATIENCE = 600.0


def start_group(
    command: Sequence[str], output: IO[bytes], environment: Mapping[str, str], folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Return a process that begins a group, in a `folder`; the group is killed when this process dies."""
    return subprocess.Popen(  # noqa: S603 - our own
        ["/bin/bash", "-c", GUARD, "guard", *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that began a group, and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)
    if process.stdin is not None:
        process.stdin.close()
