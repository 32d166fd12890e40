"""The manifests keep to their schemas, and say what the service understands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from streamnorm.settings import Settings

ROOT = Path(__file__).parents[2]


def run(*command: str) -> None:
    """Run one of the validators."""
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=ROOT, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_files_keep_to_the_compose_specification() -> None:
    files = sorted(file.name for file in ROOT.glob("compose*.yaml"))
    assert len(files) == 3
    run("check_jsonschema", "--builtin-schema", "vendor.compose-spec", *files)


def test_the_kubernetes_manifest_keeps_to_the_schemas_of_its_kinds() -> None:
    run("kubernetes_validate", "--strict", "-k", "1.34.0", "deploy/kubernetes.yaml")


def test_the_kubernetes_manifest_has_all_parts_and_they_fit() -> None:
    parts = {part["kind"]: part for part in yaml.safe_load_all((ROOT / "deploy/kubernetes.yaml").read_text())}
    assert set(parts) == {"Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
    labels = parts["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert parts["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert parts["Service"]["spec"]["selector"] == labels
    assert parts["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert parts["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == parts["Deployment"]["metadata"]["name"]
    (container,) = parts["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert {container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")} == {
        "/healthz",
        "/readyz",
    }
    known(entry["name"] for entry in container["env"])


def test_the_cluster_of_the_compose_file_fits_together() -> None:
    compose: Any = yaml.safe_load((ROOT / "compose.cluster.yaml").read_text())
    services = compose["services"]
    replicas = [name for name in services if name.startswith("streamnorm-")]
    nodes = [name for name in services if name.startswith("valkey-")]
    assert (len(replicas), len(nodes)) == (3, 9)
    served = re.findall(r"server (\S+):8000;", (ROOT / "deploy/nginx.conf").read_text())
    assert served == replicas
    addresses = [services[name]["networks"]["cluster"]["ipv4_address"] for name in nodes]
    assert len(set(addresses)) == len(nodes)
    environment = services[replicas[0]]["environment"]
    known(environment)
    assert environment["STREAMNORM_STORE"] == "redis+cluster://" + ",".join(addresses[:3])
    assert set(compose["volumes"]) == set(nodes)


def known(names: Any) -> None:
    """Assert that variables are settings of the service."""
    assert set(names) <= {f"STREAMNORM_{name.upper()}" for name in Settings.model_fields}
