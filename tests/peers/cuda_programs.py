"""Compile what runs on a CUDA device for compute capability 9.0; no device is needed. Run in .venv-peers.

Writes a file of PTX for each program into the folder that is named, and fails where one does not compile.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

from streamnorm.kernels import METHODS, MethodKernel, base_statistics
from streamnorm.kernels.cuda import device

CAPABILITY = (9, 0)


def main(folder: Path) -> None:
    """Compile all methods as they are by default, and `online` with everything that a rule may have."""
    plain = [(name, False, False) for name in METHODS]
    rules = [("online", timed, robust) for timed, robust in itertools.product((False, True), repeat=2)]
    for name, timed, robust in {*plain, *rules}:
        method = METHODS[name]
        p = method.parameters().pack()
        stride = base_statistics.SIZE + MethodKernel(method).own_size(p) + timed
        for program, signature in device.device(method).programs(p, stride, timed=timed, robust=robust):
            function: Any = program.py_func
            ptx, _ = device.cuda.compile_ptx(function, signature, cc=CAPABILITY)
            label = f"{name}{'-timed' * timed}{'-robust' * robust}-{function.__name__}-{signature[0].dtype}"
            (folder / f"{label}.ptx").write_text(ptx)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
