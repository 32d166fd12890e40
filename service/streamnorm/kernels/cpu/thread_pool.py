"""Work on blocks shared out among the machine's cores; compiled loops release the GIL."""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

#: Columns that are worth a thread: for fewer, threads write to the same lines of the processors' caches.
WIDE = 32
#: Streams that are worth a thread: of fewer, each is large enough to be shared out itself.
MANY = 16
#: Values that are worth a thread: half a millisecond of work, ten times what it costs to hand it over.
LARGE = 1 << 16
WORKER = "streamnorm-kernel"


def parallel_for(items: int, size: int, work: Callable[[int, int], object], *, least: int = WIDE) -> None:
    """Share items, `size` values in all, out among the machine's cores; the calling thread takes the first part.

    Each part has at least `least` of them; `work` is given the first item of a part and its end.
    """
    parts = min(items // least, size // LARGE)
    parts = min(parts, cores()) if parts > 1 else 1  # asking the system takes longer than a short block
    if parts < 2 or threading.current_thread().name.startswith(WORKER):  # noqa: PLR2004 - nobody to share with
        work(0, items)
        return
    from concurrent.futures import wait  # noqa: PLC0415 - loads logging, and short blocks need neither

    edges = [items * part // parts for part in range(parts + 1)]
    others = [_pool().submit(work, *pair) for pair in itertools.pairwise(edges[1:])]
    try:
        work(0, edges[1])
    finally:
        wait(others)
    for other in others:
        other.result()


def cores() -> int:
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - as above

    return ThreadPoolExecutor(cores(), thread_name_prefix=WORKER)
