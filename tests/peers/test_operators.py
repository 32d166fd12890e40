"""The operators' own schemas, as they are published, accept deploy/flink.yaml and deploy/spark.yaml, no field more."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.processes import ROOT

PEERS = ROOT / ".venv-peers"
NODE = PEERS / "node"
#: of Flink's operator 1.14, from its custom resource definition
FLINK = "@kubernetes-models/flink/flink.apache.org/v1beta1/FlinkDeployment"
CHECK = ("--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--moduleResolution", "nodenext")
#: prints a resource as the models of Kubeflow's operator 2.4 know it: what they do not know is left out
SPARK = (
    "import json, sys; from kubeflow_spark_api.models import SparkV1beta2SparkApplication as Application; "
    "print(json.dumps(Application.from_dict(json.load(sys.stdin)).to_dict()))"
)


def manifest(name: str) -> dict[str, Any]:
    """Read a manifest."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / f"{name}.yaml").read_text())
    return found


def ran(*command: str, folder: Path, given: str = "") -> str:
    """Run a program of the peers; returns what it prints."""
    environment = {**os.environ, "PATH": f"{PEERS / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(  # noqa: S603 - installed by the Makefile
        command, input=given, capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    return done.stdout + done.stderr


def flink(folder: Path, resource: dict[str, Any]) -> str:
    """Return what TypeScript finds wrong with a resource: unknown fields, too."""
    text = f'import type {{ IFlinkDeployment }} from "{FLINK}";\nexport const it: IFlinkDeployment = '
    (folder / "it.ts").write_text(f"{text}{json.dumps(resource)};\n")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    return ran(str(NODE / "node_modules" / ".bin" / "tsc"), *CHECK, "it.ts", folder=folder)


def spark(folder: Path, resource: dict[str, Any]) -> str:
    """Return a resource as Kubeflow's models know it, or their complaint."""
    return ran(str(PEERS / "bin" / "python"), "-c", SPARK, folder=folder, given=json.dumps(resource))


def test_flinks_operator_knows_every_field(tmp_path: Path) -> None:
    assert flink(tmp_path, manifest("flink")) == ""


@pytest.mark.parametrize(
    ("field", "value"), [("flinkVersion", "v9"), ("parallelism", 8), ("job", {"upgradeMode": "none"})]
)
def test_another_form_for_flinks_operator_is_found_out(tmp_path: Path, field: str, value: object) -> None:
    resource = manifest("flink")
    resource["spec"][field] = value
    assert "error TS" in flink(tmp_path, resource)


def test_sparks_operator_knows_every_field(tmp_path: Path) -> None:
    assert json.loads(spark(tmp_path, manifest("spark"))) == manifest("spark")


def test_another_form_for_sparks_operator_is_found_out(tmp_path: Path) -> None:
    unknown, wrong = manifest("spark"), manifest("spark")
    unknown["spec"]["driver"]["cpu"] = 1
    assert json.loads(spark(tmp_path, unknown)) == manifest("spark")
    wrong["spec"]["executor"]["instances"] = "four"
    assert "ValidationError" in spark(tmp_path, wrong)
