"""Makes a library of the kernels for each of some processors: `python -m streamnorm.kernels.cpu.emit FOLDER TARGET…`.

Numba translates the entries to LLVM's intermediate language, unoptimized, which is the same for all processors; for
each of them LLVM then makes it fast, and machine code of it, whatever this machine is. A C compiler, or the one that
`ziglang` brings, links it. This runs when a wheel or an image is built.
"""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from streamnorm.kernels.cpu.abi import symbol
from streamnorm.kernels.cpu.targets import linker, path_for
from streamnorm.kernels.methods import METHODS


class Machine(NamedTuple):
    """What LLVM and linkers call a target."""

    name: str
    cpu: str
    features: str = ""

    @property
    def triple(self) -> str:
        """The name of the system."""
        return f"{self.name}-unknown-linux-gnu"


MACHINES = {
    "x86-64-v2": Machine("x86_64", "x86-64-v2"),
    "x86-64-v3": Machine("x86_64", "x86-64-v3"),
    # Registers of 512 bits, which LLVM avoids for the sake of the first processors that had them.
    "x86-64-v4": Machine("x86_64", "x86-64-v4", "-prefer-256-bit"),
    "aarch64": Machine("aarch64", "generic"),
}


def translated(method: str | None) -> list[str]:
    """Return the entries of a method in LLVM's intermediate language, under their names in a library; None: all's."""
    os.environ["NUMBA_OPT"] = "0"  # Numba would optimize for this machine; it reads this when it is imported
    from numba import cfunc  # noqa: PLC0415

    from streamnorm.kernels.cpu.entries import entries  # noqa: PLC0415
    from streamnorm.kernels.cpu.numba_loops import arguments, returned  # noqa: PLC0415

    def decorate(name: str) -> Any:
        return cfunc(returned(name)(*arguments(name)), error_model="numpy")

    found = []
    for name, entry in entries(None if method is None else METHODS[method], decorate, str(method)).items():
        wrapper = re.escape(entry.native_name)
        found.append(re.sub(rf'(?<=@)"?{wrapper}"?(?=\()', symbol(method, name), entry.inspect_llvm()))
    return found


def machine_code(texts: Sequence[str], target: str) -> bytes:
    """Return an object file for a target."""
    import llvmlite.binding as llvm  # noqa: PLC0415

    unroll()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    name = MACHINES[target]
    machine: Any = llvm.Target.from_triple(name.triple).create_target_machine(
        cpu=name.cpu, features=name.features, opt=3, reloc="pic", codemodel="default"
    )
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    head = f'target triple = "{name.triple}"\ntarget datalayout = "{machine.target_data}"\n'
    whole: Any = llvm.parse_assembly(head)
    for text in texts:
        module: Any = llvm.parse_assembly(head + re.sub(r"^target \w+ = .*$", "", text, flags=re.MULTILINE))
        for item in (*module.functions, *module.global_variables):
            if not item.is_declaration:
                item.linkage = "external" if item.name.startswith("streamnorm_") else "internal"
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
        whole.link_in(module)
    return bytes(machine.emit_object(whole))


@functools.cache  # LLVM takes an option once
def unroll() -> None:
    """Let loops of few turns become none, however long: what loops over a method's parts can then be vectorized.

    Columns beyond the last whole group are worked on in pairs.
    """
    import llvmlite.binding as llvm  # noqa: PLC0415

    llvm.set_option("", "-unroll-threshold=4000")
    llvm.set_option("", "-epilogue-vectorization-minimum-VF=2")
    llvm.set_option("", "-epilogue-vectorization-force-VF=2")


def link(code: bytes, command: Sequence[str], path: Path) -> None:
    """Write the library of an object file's `code` to `path` by a linking `command`; it needs no other library."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        (file := Path(folder) / "kernels.o").write_bytes(code)
        made = Path(folder) / path.name
        options = ["-shared", "-nostdlib", "-s", "-Wl,-z,noexecstack", "-o", str(made), str(file)]
        subprocess.run([*command, *options], check=True)  # noqa: S603 - a compiler on PATH
        made.rename(path)


def emit(folder: Path, targets: Sequence[str]) -> None:
    """Make the libraries of some targets in a folder.

    Raises:
        ValueError: nothing here links for a target.

    """
    commands = {target: linker(target) for target in targets}
    if lacking := [target for target, command in commands.items() if command is None]:
        raise ValueError(f"there is no compiler that links for {', '.join(lacking)}")
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        texts = [text for part in pool.map(translated, (None, *METHODS)) for text in part]
        codes = pool.map(machine_code, itertools.repeat(texts), targets)
        for target, code in zip(targets, codes, strict=True):
            link(code, commands[target] or [], path_for(target, folder))


if __name__ == "__main__":
    emit(Path(sys.argv[1]), sys.argv[2:])
