"""Compiling ahead: where Numba is installed, no request ever waits for its compiler.

Rules:

1. The service answers from the start, and is ready when the default method is compiled, or loaded from the cache.
2. Until a method is compiled its streams are worked on interpreted: slower, to the same bits.
3. What was compiled is kept in the data folder (or in NUMBA_CACHE_DIR), in a folder of its own for every version of the
   kernels; the next start only loads it. Where nothing can be kept, the default method is compiled at every start, and
   the others not at all.
4. What is not kept yet is compiled by another process, the default method first: in this one it would hold up the
   event loop. It ends with the service, however that ends.
5. Nothing here holds up the end of the service: a thread that compiles cannot be stopped, and is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import importlib.metadata
import importlib.util
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from streamnorm import devices
from streamnorm.errors import InvalidConfiguration, NotReady
from streamnorm.kernels import METHODS, kernel_for

log = logging.getLogger(__name__)

PREFIX = "kernels-"
#: of the process that compiles, once nobody waits for it
NICENESS = 10


class Warmup:
    """Compiles the kernels of a service; does nothing where Numba is not installed."""

    def __init__(self, data: Path, method: str, device: str = "cpu") -> None:
        self._device = device
        if device == "cuda" and not devices.device_exists():
            raise InvalidConfiguration.at("/device", "there is no CUDA device, or the extra gpu is not installed")
        self.possible = importlib.util.find_spec("numba") is not None
        self._method = method
        self._task: asyncio.Task[None] | None = None
        self._loaded: set[str] = set()
        #: whether the default method is compiled, or will not be
        self._ready = not self.possible
        #: threads that load or compile
        self._threads: set[threading.Thread] = set()
        if self.possible:
            self._folder = use_cache_dir(data)
            for name in METHODS:
                kernel_for(name).fast = None

    def start(self) -> None:
        """Begin, and let the service begin meanwhile."""
        if self.possible:
            self._task = asyncio.create_task(self._work(), name="streamnorm warmup")

    def check(self) -> None:
        """Check that the default method is compiled.

        Raises:
            NotReady: it is not yet.

        """
        if not self._ready:
            raise NotReady(f"compiling: until the kernel of {self._method} is ready, readings are normalized slowly")

    @property
    def busy(self) -> bool:
        """Whether a thread loads or compiles: it cannot be stopped."""
        return any(thread.is_alive() for thread in self._threads)

    async def stop(self) -> None:
        """Leave off; a thread that compiles is not waited for."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        try:
            folder = self._folder
            if folder is None:
                await self._load(self._method)
            elif is_cache_complete(folder):
                await self._load(self._method, *METHODS)
            else:
                await self._follow(folder)
        except Exception:  # of a compiler, a full disk, a cache that is no cache
            log.exception("kernels cannot be compiled, streams are worked on interpreted")
        finally:
            self._ready = True

    async def _follow(self, folder: Path) -> None:
        """Load the methods as another process has compiled them."""
        command = [sys.executable, "-m", __name__, str(folder), self._method]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        try:
            assert process.stdout is not None  # noqa: S101 - asked for
            async for line in process.stdout:
                await self._load(line.decode().strip())
            await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        if is_cache_complete(folder):
            await self._load(*METHODS)
        else:  # another service is at it, or it failed, which is told now
            await self._load(self._method)

    async def _load(self, *names: str) -> None:
        """Load methods, the default one with the device, unless they are."""
        for name in names:
            if name not in self._loaded:
                self._loaded.add(name)
                await self._aside(load_kernel, name)
                if name == self._method:
                    await self._aside(devices.enable_device, self._device, name)
                    self._ready = True

    async def _aside(self, work: Callable[..., None], *given: str) -> None:
        """Do work in a thread that nobody waits for at the end."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def run() -> None:
            failure = None
            try:
                work(*given)
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(finish, done, failure)

        thread = threading.Thread(target=run, name="streamnorm warmup", daemon=True)
        self._threads = {thread}
        thread.start()
        await done


def finish(done: asyncio.Future[None], failure: Exception | None) -> None:
    """Tell who waits, if anybody does, that work is done."""
    if done.cancelled():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)


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


def compile_in_background(folder: Path, first: str, tell: Callable[[str], None]) -> None:
    """Compile all methods into the cache, and tell of each, unless somebody else is at it."""
    from streamnorm.kernels.cpu import numba_loops  # noqa: PLC0415 - as above

    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        numba_loops.use_cache_dir(folder)
        for name in sorted(METHODS, key=first.__ne__):
            load_kernel(name)
            tell(name)
            if name == first:
                os.nice(NICENESS)
        (folder / f"complete-{versions()}").touch()


def exit_with_parent() -> None:
    """Wait for the end of the pipe that the service holds open, and end."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=exit_with_parent, daemon=True).start()
    compile_in_background(Path(sys.argv[1]), sys.argv[2], functools.partial(print, flush=True))
