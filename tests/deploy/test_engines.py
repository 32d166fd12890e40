"""The files for Flink and Spark say what the jobs and the images take."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from streamnorm import __version__

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FLINK: dict[str, Any] = yaml.safe_load((DEPLOY / "flink.yaml").read_text())
SPARK: dict[str, Any] = yaml.safe_load((DEPLOY / "spark.yaml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.flink.yaml").read_text())


def image(name: str) -> str:
    """Return an image's recipe."""
    return (DEPLOY / f"{name}.Dockerfile").read_text()


def test_the_compose_file_has_kafka_flink_and_the_job() -> None:
    services = COMPOSE["services"]
    assert services.keys() == {"kafka", "topics", "jobmanager", "taskmanager", "job"}
    mounted = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())}
    assert mounted == COMPOSE["volumes"].keys()
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", ()))
    (topics,) = re.findall(r"for topic in (.*?);", services["topics"]["command"][-1])
    assert topics.split() == re.findall(r"'topic' = '(\w+)'", (DEPLOY / "flink_kafka.sql").read_text())


def test_flink_is_asked_for_by_the_operator_s_own_fields() -> None:
    assert (FLINK["apiVersion"], FLINK["kind"]) == ("flink.apache.org/v1beta1", "FlinkDeployment")
    spec = FLINK["spec"]
    assert spec.keys() == {
        *("image", "flinkVersion", "serviceAccount", "flinkConfiguration", "jobManager", "taskManager", "job")
    }
    assert spec["job"].keys() == {"jarURI", "entryClass", "args", "parallelism", "upgradeMode", "state"}
    assert all(isinstance(value, str) for value in spec["flinkConfiguration"].values())
    assert spec["job"]["upgradeMode"] in {"savepoint", "last-state", "stateless"}


def test_spark_is_asked_for_by_the_operator_s_own_fields() -> None:
    assert (SPARK["apiVersion"], SPARK["kind"]) == ("sparkoperator.k8s.io/v1beta2", "SparkApplication")
    spec = SPARK["spec"]
    assert {"type", "mode", "image", "sparkVersion", "mainApplicationFile", "driver", "executor"} <= spec.keys()
    assert all(isinstance(value, str) for value in spec["sparkConf"].values())
    assert f"FROM spark:{spec['sparkVersion']}-" in image("spark")
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["spark"]
    assert spec["sparkVersion"] in Requirement(extra[0]).specifier
    assert spec["deps"]["packages"][0].endswith(f":{spec['sparkVersion']}")


@pytest.mark.parametrize(("name", "manifest"), [("flink", FLINK), ("spark", SPARK)], ids=["flink", "spark"])
def test_what_a_manifest_runs_is_in_its_image(name: str, manifest: dict[str, Any]) -> None:
    lines = re.findall(r"^COPY (deploy/.*) /opt/job/$", image(name), re.MULTILINE)
    copied = [Path(file).name for line in lines for file in line.split()]
    assert all((DEPLOY / file).is_file() for file in copied)
    named = re.findall(r"/opt/job/([\w.]+)", yaml.safe_dump(manifest))
    assert named
    assert set(named) <= set(copied)
    assert manifest["spec"]["image"].endswith(f"streamnorm-{name}:{__version__}")


def test_images_have_the_pins_of_the_extra() -> None:
    extras = (ROOT / "pyproject.toml").read_text()
    (spark,) = re.findall(r"^spark = \[(.*)\]$", extras, re.MULTILINE)
    pins = [pin.strip('", ') for pin in spark.split('", "')]
    assert all(f"'{pin}'" in image("spark") for pin in pins if not pin.startswith("pyspark"))
