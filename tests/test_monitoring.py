"""The examples for Grafana and Prometheus ask for figures that the service gives."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.http_calls import Api, running
from tests.support.processes import PATIENCE

DOCS = Path(__file__).parents[1] / "docs"
DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS += [
    variable["query"]["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"
]
NAME = re.compile(r"\b(?:streamnorm|process)_\w+")
#: with their other sides away
BRIDGES = {"mqtt": "mqtt://127.0.0.1:9", "forward": "http://127.0.0.1:9/write"}
#: what stands for the dashboard's variables
VALUES = {"$__rate_interval": "1m", "$__range": "1h", "$job": ".*", "$instance": ".*"}

#: names that are exported for one release after another took their place
OLD_NAMES = {"streamnorm_streams_resting"}


async def figures(api: Api) -> dict[str, set[str]]:
    """Return the names of all figures, with their labels, after some work."""
    await api.observe("boiler-7", {"values": [1]})
    await api.post("/v1/streams/boiler-7/readings", "{")
    api.app.state.context.metrics.latencies.add("/v1/streams/boiler-7/readings", 0.001)  # what the guard does
    text = (await api.get("/metrics")).text
    return {
        sample.name: set(sample.labels) for family in text_string_to_metric_families(text) for sample in family.samples
    }


async def test_the_dashboard_asks_only_for_figures_that_there_are(tmp_path: Path) -> None:
    async with running(data_dir=tmp_path, **BRIDGES) as api:
        known = await figures(api)
    asked = {name for expression in EXPRESSIONS for name in NAME.findall(expression)}
    assert asked - known.keys() == set()


async def test_the_dashboard_shows_every_figure_of_the_service(tmp_path: Path) -> None:
    async with running(data_dir=tmp_path, **BRIDGES) as api:
        known = {name for name in await figures(api) if name.startswith("streamnorm_")}
    asked = {name for expression in EXPRESSIONS for name in NAME.findall(expression)}
    quiet = {name for name in known if name.endswith("_created") or name == "streamnorm_request_seconds_sum"}
    assert known - asked - quiet - OLD_NAMES == set()


async def test_the_dashboard_groups_by_labels_that_there_are(tmp_path: Path) -> None:
    async with running(data_dir=tmp_path, **BRIDGES) as api:
        known = set().union(*(await figures(api)).values())
    grouped = {
        label for text in EXPRESSIONS for labels in re.findall(r"by \(([^)]*)\)", text) for label in labels.split(", ")
    }
    assert grouped - known == {"instance"}  # Prometheus' own


def test_every_query_can_be_parsed(tmp_path: Path) -> None:
    queries = [text for text in EXPRESSIONS if not text.startswith("label_values")]
    for variable, value in VALUES.items():
        queries = [query.replace(variable, value) for query in queries]
    rules = [{"record": f"panel:{place}", "expr": query} for place, query in enumerate(queries)]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", str(file)], check=True, capture_output=True, timeout=PATIENCE)  # noqa: S603, S607


def test_the_example_for_prometheus_is_valid() -> None:
    command = ["promtool", "check", "config", "--syntax-only", str(DOCS / "prometheus.yml")]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)  # noqa: S603
