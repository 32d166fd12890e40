"""Compilation at the start: where no library was built for the processor, and Numba is installed.

No request ever waits for its compiler. Rules:

1. The service answers from the start, and is ready when the default method is compiled, or loaded from the cache.
2. Until a method is compiled, its streams use the interpreted kernel: slower, with bit-identical results.
3. Compiled code is cached in the data folder (or in NUMBA_CACHE_DIR), in a separate folder for every version of the
   kernels; the next start only loads it. If the cache is not writable, the default method is compiled at every start,
   and the others not at all.
4. Code that is not cached yet is compiled by a child process, the default method first: in this process it would block
   the event loop. The child ends with the service, however that ends.
5. Compilation never delays the shutdown: a compiling thread cannot be stopped, and is abandoned.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.metadata
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from streamnorm import devices, platforms
from streamnorm.errors import InvalidConfiguration, NotReady
from streamnorm.kernels import METHODS, kernel_for, needs_compiler

log = logging.getLogger(__name__)

PREFIX = "kernels-"
#: niceness of the compiling process once the default method is ready
NICENESS = 10


class Warmup:
    """Compiles the kernels of a service, if they must be, and enables its device.

    `data` is the data folder, `method` the default method, `device` the setting of that name.

    Raises:
        InvalidConfiguration: `device` is `cuda`, and no CUDA device is usable.

    """

    def __init__(self, data: Path, method: str, device: str = "cpu") -> None:
        self._device = device
        if device == "cuda" and not devices.device_exists():
            raise InvalidConfiguration.at("/device", "there is no CUDA device, or the extra gpu is not installed")
        self.compiles = needs_compiler()
        self._method = method
        self._task: asyncio.Task[None] | None = None
        self._loaded: set[str] = set()
        #: whether the default method is compiled, or will not be
        self._ready = not self.compiles
        #: threads that load or compile
        self._threads: set[threading.Thread] = set()
        if self.compiles:
            self._folder = use_cache_dir(data)
            for name in METHODS:
                kernel_for(name).fast = None

    def start(self) -> None:
        """Start in the background."""
        if self.compiles or self._device != "cpu":
            self._task = asyncio.create_task(self._work(), name="streamnorm warmup")

    def check(self) -> None:
        """Check that the default method is compiled.

        Raises:
            NotReady: it is not compiled yet.

        """
        if not self._ready:
            raise NotReady(f"compiling: until the kernel of {self._method} is ready, readings are normalized slowly")

    @property
    def busy(self) -> bool:
        """Whether a thread is loading or compiling; it cannot be stopped."""
        return any(thread.is_alive() for thread in self._threads)

    async def stop(self) -> None:
        """Stop without waiting for a compiling thread."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        try:
            if not self.compiles:
                await self._aside(devices.enable_device, self._device, self._method)
                return
            folder = self._folder
            if folder is None or not is_cache_complete(folder):
                log.info("compiling the kernels, for a minute or two; until then streams use the interpreted ones")
            if folder is None:
                await self._load(self._method)
            elif is_cache_complete(folder):
                await self._load(self._method, *METHODS)
            else:
                await self._follow(folder)
        except Exception:  # from the compiler, a full disk, a damaged cache
            log.exception("kernels cannot be compiled, streams use the interpreted ones")
        finally:
            self._ready = True

    async def _follow(self, folder: Path) -> None:
        """Load the methods as a child process reports them compiled."""
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
        else:  # another service is compiling them, or it failed, which loading reports
            await self._load(self._method)

    async def _load(self, *names: str) -> None:
        """Load methods that are not loaded yet, and enable the device with the default one."""
        for name in names:
            if name not in self._loaded:
                self._loaded.add(name)
                await self._aside(load_kernel, name)
                if name == self._method:
                    await self._aside(devices.enable_device, self._device, name)
                    self._ready = True

    async def _aside(self, work: Callable[..., None], *args: str) -> None:
        """Run `work` in a daemon thread, which a shutdown does not wait for."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def run() -> None:
            failure = None
            try:
                work(*args)
            except Exception as error:  # noqa: BLE001 - raised to the awaiting caller
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(finish, done, failure)

        thread = threading.Thread(target=run, name="streamnorm warmup", daemon=True)
        self._threads = {thread}
        thread.start()
        await done


def finish(done: asyncio.Future[None], failure: Exception | None) -> None:
    """Resolve the future, unless its waiter was cancelled."""
    if done.cancelled():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)


def use_cache_dir(data: Path) -> Path | None:
    """Set Numba's cache folder and return it; None if it is not writable."""
    from streamnorm.kernels.cpu import numba_loops  # noqa: PLC0415 - triples the memory; only where asked for

    configured = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(configured) if configured else data / f"{PREFIX}{versions()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "writable").touch()
    except OSError as error:
        log.warning("compiled kernels cannot be cached, only the default method is compiled: %s", error)
        return None
    for stale in set(folder.parent.glob(f"{PREFIX}*")) - {folder} if not configured else ():
        shutil.rmtree(stale, ignore_errors=True)
    numba_loops.use_cache_dir(folder)
    return folder


def load_kernel(*names: str) -> None:
    """Compile methods, or load them from the cache, and enable the compiled kernels."""
    from streamnorm.kernels.cpu.numba_loops import compiled  # noqa: PLC0415 - as above

    for name in names:
        began = time.monotonic()
        method = METHODS[name]
        loops = compiled(method)
        loops.compile()
        kernel_for(name).fast = loops
        log.info("the kernel of %s is ready after %.1f s", name, time.monotonic() - began)


def versions() -> str:
    """Return the versions that compiled code depends on; Numba itself checks the processor."""
    from streamnorm.kernels.cpu.numba_loops import sources  # noqa: PLC0415 - as above

    return f"{sources()}-numba{importlib.metadata.version('numba')}-{sys.implementation.cache_tag}"


def is_cache_complete(folder: Path) -> bool:
    """Return whether all methods are in the cache."""
    return (folder / f"complete-{versions()}").exists()


def compile_in_background(folder: Path, first: str, tell: Callable[[str], None]) -> None:
    """Compile all methods into the cache `folder`, the method `first` first, unless another process does.

    `tell` is called with the name of each compiled method.
    """
    from streamnorm.kernels.cpu import numba_loops  # noqa: PLC0415 - as above

    with (folder / "lock").open("w") as lock:
        try:
            platforms.lock(lock)
        except OSError:
            return
        numba_loops.use_cache_dir(folder)
        for name in sorted(METHODS, key=first.__ne__):
            load_kernel(name)
            tell(name)
            if name == first:
                platforms.lower_priority(NICENESS)
        (folder / f"complete-{versions()}").touch()


def exit_with_parent() -> None:
    """Exit when the parent closes the pipe to standard input."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=exit_with_parent, daemon=True).start()
    compile_in_background(Path(sys.argv[1]), sys.argv[2], functools.partial(print, flush=True))
