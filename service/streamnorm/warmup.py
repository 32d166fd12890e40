"""Compiling ahead: where Numba is installed, no request ever waits for its compiler.

Rules:

1. The default method is compiled, or loaded from the cache, before the first reading is taken.
2. Until another method is compiled its streams are worked on interpreted: slower, to the same bits.
3. What was compiled is kept in the data folder (or in NUMBA_CACHE_DIR), in a folder of its own for every version of the
   kernels; the next start only loads it. Where nothing can be kept, the default method is compiled at every start, and
   the others not at all.
4. What is not kept yet is compiled by another process: in this one it would hold up the event loop. It ends with the
   service, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib.metadata
import importlib.util
import logging
import os
import shutil
import sys
import threading
import time
from pathlib import Path

from streamnorm import devices
from streamnorm.errors import InvalidConfiguration
from streamnorm.kernels import METHODS, kernel_for

log = logging.getLogger(__name__)

PREFIX = "kernels-"
#: of the process that compiles: it is in nobody's way
NICENESS = 10


class Warmup:
    """Compiles the kernels of a service; does nothing where Numba is not installed."""

    def __init__(self, data: Path, method: str, device: str = "cpu") -> None:
        self._device = device
        if device == "cuda" and not devices.device_exists():
            raise InvalidConfiguration.at("/device", "there is no CUDA device, or the extra gpu is not installed")
        self.possible = importlib.util.find_spec("numba") is not None
        self._method = method
        self._others = [name for name in METHODS if name != method]
        self._background: asyncio.Task[None] | None = None
        if self.possible:
            self._folder = use_cache_dir(data)
            for name in METHODS:
                kernel_for(name).fast = None

    async def start(self) -> None:
        """Compile the default method; begin with the others."""
        if not self.possible:
            return
        await asyncio.to_thread(load_kernel, self._method)
        await asyncio.to_thread(devices.enable_device, self._device, self._method)
        if self._folder is not None and is_cache_complete(self._folder):
            await asyncio.to_thread(load_kernel, *self._others)
        elif self._folder is not None:
            self._background = asyncio.create_task(self._load_others(self._folder), name="streamnorm warmup")

    async def stop(self) -> None:
        """Leave off."""
        if self._background is not None:
            self._background.cancel()
            await asyncio.gather(self._background, return_exceptions=True)

    async def _load_others(self, folder: Path) -> None:
        command = [sys.executable, "-m", __name__, str(folder)]
        process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        try:
            await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        if is_cache_complete(folder):  # else another service is at it, and the next start finds it
            for name in self._others:
                await asyncio.to_thread(load_kernel, name)


def use_cache_dir(data: Path) -> Path | None:
    """Tell Numba where to keep what it compiles, and give that folder; None where nothing can be kept."""
    from streamnorm.kernels.cpu import numba_loops  # noqa: PLC0415 - triples the memory; only where asked for

    given = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(given) if given else data / f"{PREFIX}{versions()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "writable").touch()
    except OSError as error:
        log.warning("compiled kernels cannot be kept, only the default method is compiled: %s", error)
        return None
    for stale in set(folder.parent.glob(f"{PREFIX}*")) - {folder} if not given else ():
        shutil.rmtree(stale, ignore_errors=True)
    numba_loops.use_cache_dir(folder)
    return folder


def load_kernel(*names: str) -> None:
    """Compile methods, or load them from the cache, and let their streams use it."""
    from streamnorm.kernels.cpu.numba_loops import compiled  # noqa: PLC0415 - as above

    for name in names:
        began = time.monotonic()
        method = METHODS[name]
        loops = compiled(method)
        loops.compile(method.parameters().pack())
        kernel_for(name).fast = loops
        log.info("the kernel of %s is ready after %.1f s", name, time.monotonic() - began)


def versions() -> str:
    """Name the versions of all that compiled code depends on; Numba itself sees to the processor."""
    from streamnorm.kernels.cpu.numba_loops import sources  # noqa: PLC0415 - as above

    return f"{sources()}-numba{importlib.metadata.version('numba')}-{sys.implementation.cache_tag}"


def is_cache_complete(folder: Path) -> bool:
    """Return whether all methods are in the cache."""
    return (folder / f"complete-{versions()}").exists()


def compile_in_background(folder: Path) -> None:
    """Compile all methods into the cache, unless somebody else is at it."""
    from streamnorm.kernels.cpu import numba_loops  # noqa: PLC0415 - as above

    os.nice(NICENESS)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        numba_loops.use_cache_dir(folder)
        load_kernel(*METHODS)
        (folder / f"complete-{versions()}").touch()


def exit_with_parent() -> None:
    """Wait for the end of the pipe that the service holds open, and end."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=exit_with_parent, daemon=True).start()
    compile_in_background(Path(sys.argv[1]))
