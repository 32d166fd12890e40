"""Data folders on disks that fill up, or that become read-only, under a running service."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.support.processes import PATIENCE, STEP, Service

#: What is mounted where we may: small enough to be filled in a moment.
SMALL_DISK = "size=4m"


def mounted(*command: str) -> bool:
    """Mount something where we may; tell whether we may."""
    mount = ["mount", *command]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own command


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Yield a folder a small disk of its own; tell whether it has one."""
    folder.mkdir()
    with ExitStack() as cleanup:
        has_one = mounted("-t", "tmpfs", "-o", SMALL_DISK, "streamnorm", str(folder))
        if has_one:
            cleanup.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
        yield has_one


@contextmanager
def full(service: Service, *, disk: bool) -> Iterator[None]:
    """Fill the service's disk up, or where it has none of its own let its writes fail."""
    if not disk:
        with writes_failing(service):
            yield
        return
    ballast = service.folder / "data" / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def writes_failing(service: Service) -> Iterator[None]:
    """Have every write of the service to its database fail."""
    before = resource.prlimit(service.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (4000, before[1]))  # the log is smaller, a page is larger
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # stopped meanwhile
            resource.prlimit(service.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def fragile_disk(image: Path, folder: Path) -> Iterator[Callable[[], None] | None]:
    """Yield a folder a disk that becomes read-only when asked to, as after its errors; None where we may not."""
    folder.mkdir()
    with ExitStack() as cleanup:
        with image.open("wb") as file:
            file.truncate(32 * 2**20)
        made = subprocess.run(["mkfs.ext4", "-q", image], capture_output=True, check=False)  # noqa: S603, S607 - ours
        if made.returncode or not mounted("-o", "loop,errors=remount-ro", str(image), str(folder)):
            yield None
            return
        cleanup.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
        (device,) = (line.split()[0] for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line)
        yield lambda: _fail(Path(device).name)


def _fail(device: str) -> None:
    Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("an error of the disk")


def until(client: httpx.Client, status: int) -> Any:
    """Wait until the service is ready, or is not; returns what it says."""
    deadline = time.monotonic() + PATIENCE
    while (answer := client.get("/readyz")).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(STEP)
    return answer.json()
