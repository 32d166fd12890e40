"""The processors that libraries of the kernels are built for, and where these lie.

Nothing but the standard library is imported: a build asks what is missing before it has anything else.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import platform
import shutil
import sys
from pathlib import Path

KERNELS = Path(__file__).parents[1]
FOLDER = KERNELS / "libraries"
#: what a library is made of
SOURCES = (
    "base_statistics.py",
    "method.py",
    "specialize.py",
    "templates.py",
    "methods/*.py",
    *(f"cpu/{name}.py" for name in ("abi", "emit", "entries", "pointers")),
)
CPU_INFO = Path("/proc/cpuinfo")
#: what each level of x86-64 needs beyond the one before, as Linux calls it
LEVELS = {
    "x86-64-v2": {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"},
    "x86-64-v3": {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"},
    "x86-64-v4": {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"},
}
TARGETS = (*LEVELS, "aarch64")


@functools.cache
def digest() -> str:
    """Return a digest of the source that a library is made of."""
    found = hashlib.sha256()
    for file in sorted(file for pattern in SOURCES for file in KERNELS.glob(pattern)):
        found.update(f"{file.name}\n".encode() + file.read_bytes())
    return found.hexdigest()[:16]


def path_for(target: str, folder: Path = FOLDER) -> Path:
    """Return where the library for a target lies; of other sources, it would have another name."""
    return folder / f"{digest()}-{target}.so"


def fitting_targets() -> list[str]:
    """Return the targets whose libraries this machine can run, the best first; none where that is unknown."""
    if not sys.platform.startswith("linux"):
        return []
    if platform.machine() != "x86_64":
        return ["aarch64"] if platform.machine() == "aarch64" else []
    flags = cpu_flags()
    found: list[str] = []
    for level, needed in LEVELS.items():
        if not needed <= flags:
            break
        found.insert(0, level)
    return found


def linker(target: str) -> list[str] | None:
    """Return the command that links for a target here; None where there is none."""
    machine = "aarch64" if target == "aarch64" else "x86_64"
    for name in (f"{machine}-linux-gnu-gcc", *(("cc",) if platform.machine() == machine else ())):
        if sys.platform.startswith("linux") and shutil.which(name):
            return [name]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc", "-target", f"{machine}-linux-gnu"]
    return None


def cpu_flags() -> set[str]:
    """Return what an x86 processor has, as Linux calls it."""
    try:
        lines = CPU_INFO.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())
