"""Grafana's own schema accepts the dashboard."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.docs_page import ROOT

NODE = ROOT / ".venv-peers" / "node"
DASHBOARD = ROOT / "docs" / "grafana.json"
CHECK = ("--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext")


def checked(folder: Path, dashboard: str) -> str:
    """Return what TypeScript finds wrong with a dashboard, by the types that Grafana publishes."""
    file = folder / "dashboard.ts"
    file.write_text(f'import type {{ Dashboard }} from "@grafana/schema";\nexport const it: Dashboard = {dashboard};\n')
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    environment = {**os.environ, "PATH": f"{ROOT / '.venv-peers' / 'bin'}:{os.environ['PATH']}"}
    command = [str(NODE / "node_modules" / ".bin" / "tsc"), *CHECK, str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)  # noqa: S603 - installed by the Makefile
    return result.stdout + result.stderr


def test_the_dashboard_is_of_grafanas_schema(tmp_path: Path) -> None:
    assert checked(tmp_path, DASHBOARD.read_text()) == ""


def test_a_dashboard_of_another_form_is_found_out(tmp_path: Path) -> None:
    assert "is not assignable" in checked(
        tmp_path, DASHBOARD.read_text().replace('"schemaVersion": 39', '"schemaVersion": "39"')
    )
