"""A process that is killed while it saves loses nothing that it was told is saved."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from streamnorm.stores.local.sqlite import SQLiteStore
from tests.support.store_processes import running

# Save n brings stream n, replaces the newest two and deletes stream n − 10, all at once; then n is acknowledged.
SAVER = """
import itertools, pathlib, sys
from streamnorm.stores.local.sqlite import SQLiteStore
store = SQLiteStore(pathlib.Path(sys.argv[1]), synchronous=sys.argv[2])
for n in itertools.count(int(sys.argv[3])):
    blob = b"%d " % n * 300
    store.save({f"{n}": blob, "newest": blob, "newest-too": blob, f"{n - 10}": None})
    print(n, flush=True)
"""


def killed_while_saving(folder: Path, synchronous: str, first: int) -> int:
    """Return the last save that was acknowledged."""
    with running(SAVER, folder, synchronous, first) as (pid, printed):
        acknowledged = list(islice(printed, 300))
        os.kill(pid, signal.SIGKILL)
        acknowledged += printed  # what it printed before it died
    return int(acknowledged[-1])


@pytest.mark.parametrize("synchronous", ["full", "normal"])
def test_every_acknowledged_save_survives_a_kill_and_none_is_halved(tmp_path: Path, synchronous: str) -> None:
    last = -1
    for _ in range(3):
        acknowledged = killed_while_saving(tmp_path, synchronous, last + 1)
        with closing(SQLiteStore(tmp_path, synchronous="full")) as store:
            newest = store.load("newest")
            assert newest is not None
            last = int(newest.split()[0])
            assert last >= acknowledged
            whole = {f"{n}": b"%d " % n * 300 for n in range(last - 9, last + 1)}
            whole |= {"newest": newest, "newest-too": newest}
            assert {key: store.load(key) for key in store.page("", after="", limit=100)} == whole
