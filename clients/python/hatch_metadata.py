"""What package indexes show: the project's addresses, and the README with links that lead somewhere from there.

The address comes from the environment variable PROJECT_URL, such as https://github.com/owner/name, which the release
workflow sets: a fork shows its own. Without it there are no addresses, and links stay relative.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?!https?:|#|mailto:)(?P<target>[^)\s]+)\)")


def urls(project: str) -> dict[str, str]:
    """Return the addresses of a project at `project`."""
    return {
        "Homepage": project,
        "Documentation": f"{project}/tree/main/docs",
        "Changelog": f"{project}/blob/main/CHANGELOG.md",
        "Issues": f"{project}/issues",
        "Source": project,
    }


def absolute(text: str, project: str, version: str) -> str:
    """Return a page whose relative links lead to the files of a version; pictures to their content.

    >>> absolute("[Methods](docs/methods.md#online) ![a](b.png) [c](https://d)", "https://host/o/n", "1.0")
    '[Methods](https://host/o/n/blob/v1.0/docs/methods.md#online) ![a](https://host/o/n/raw/v1.0/b.png) [c](https://d)'
    """

    def link(found: re.Match[str]) -> str:
        kind = "raw" if found["image"] else "blob"
        return f"{found['image']}[{found['text']}]({project}/{kind}/v{version}/{found['target']})"

    return LINK.sub(link, text)


class Metadata(MetadataHookInterface):
    """The metadata hook of both distributions."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the README and the addresses."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        project = os.environ.get("PROJECT_URL", "").rstrip("/")
        if project:
            text = absolute(text, project, metadata["version"])
            metadata["urls"] = urls(project)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
