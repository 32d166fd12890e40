"""What an engine starts ends with the tests, whatever ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.clusters.flink_cluster import until
from tests.support.processes import PATIENCE, ROOT

PROGRAM = """
import os, sys
from tests.support.process_groups import start_group
process = start_group(["sh", "-c", "sleep 600 & sleep 600"], sys.stderr.buffer, os.environ)
print(process.pid, flush=True)
process.wait()
"""


def gone(group: int) -> bool:
    """Tell whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_killed_tests_leave_no_process_behind() -> None:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as tests:  # noqa: S603 - our own
        assert tests.stdout is not None
        group = int(tests.stdout.readline())
        assert not gone(group)
        tests.send_signal(signal.SIGKILL)
        tests.wait(PATIENCE)
    until("the end of the group", lambda: gone(group))
