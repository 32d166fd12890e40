"""The READMEs with today's outputs in place of those they show; `python -m tests.support.readme` writes them."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import httpx

from streamnorm.settings import GROUPS, Settings, descriptions
from tests.support.processes import PATIENCE, Service

README = Path(__file__).parents[2] / "README.md"
#: what a package index shows of the client
CLIENT = README.parent / "clients" / "python" / "README.md"
SETTINGS = README.parent / "docs" / "settings.md"
ADDRESS = "http://127.0.0.1:8000"
#: the settings that the README shows; docs/settings.md has all
MAIN = ("host", "port", "data_dir", "store", "durability", "method", "horizon", "warmup", "insecure")
#: what `make run` runs, with an end
DEMO = ["demo", "--readings", "600", "--rate", "1000"]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(?:\$|>>>) (.*)\n", re.MULTILINE)
TABLE = re.compile(r"^\| variable .*?\n\n", re.DOTALL | re.MULTILINE)
#: docs/settings.md from its first heading on
TABLES = re.compile(r"^## .*", re.DOTALL | re.MULTILINE)


def with_table(text: str) -> str:
    """Put the table of the main settings in."""
    return TABLE.sub(lambda _: f"{settings_table(MAIN)}\n", text)


def with_tables(text: str) -> str:
    """Put the tables of all settings in."""
    tables = (f"## {str(group.__doc__).rstrip('.')}\n\n{settings_table(group.model_fields)}" for group in GROUPS)
    return TABLES.sub(lambda _: "\n".join(tables), text)


def settings_table(names: Iterable[str]) -> str:
    """Write a table of settings."""
    rows = ["| variable | default | what it sets |", "| --- | --- | --- |"]
    told = descriptions()
    for name in names:
        field = Settings.model_fields[name]
        default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        shown = f"`{default}`" if default else ""
        rows.append(f"| `STREAMNORM_{name.upper()}` | {shown} | {told[name]} |")
    return "".join(f"{row}\n" for row in rows)


def with_demo(text: str) -> str:
    """Put the demo's first line and last table in."""
    command = [sys.executable, "-m", "streamnorm", *DEMO]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout  # noqa: S603
    first, _, rest = out.partition("\n")
    tables = rest.partition("\n\nWhat to try next")[0]
    lines = [re.sub(r":\d+", ":39225", first), *tables[tables.rindex("demo-rig:") :].splitlines()]
    shown = "".join(f"{line.rstrip()}\n" for line in lines)
    return BLOCK.sub(
        lambda found: f"```console\n$ make run\n{shown}```" if "$ make run" in found[2] else found[0], text
    )


def with_examples(text: str, service: Service) -> str:
    """Put the outputs of the commands and of the session in Python in, run one after the other."""
    scope: dict[str, object] = {}

    def shown(found: re.Match[str]) -> str:
        if "$ make run" in found[2]:
            return found[0]
        outputs = []
        for command in COMMAND.findall(found[2]):
            if found[1] == "python":
                outputs.append(f">>> {command}\n{evaluated(command.replace(ADDRESS, service.url), scope)}")
            else:
                outputs.append(f"$ {command}\n{printed(command, service)}")
        return f"```{found[1]}\n{''.join(outputs)}```"

    return BLOCK.sub(shown, text)


def printed(command: str, service: Service) -> str:
    """Return what a command would print: the start of the service, or curl, perhaps with its answer spread out."""
    if command == "streamnorm serve":
        return service.log.read_text().split("\n", 1)[0].replace(service.url, ADDRESS) + "\n"
    curl, _, tool = command.partition(" | ")
    _, _, url, _, body = shlex.split(curl)
    headers = {"content-type": "application/json"}
    text = httpx.post(url.replace(ADDRESS, service.url), content=body, headers=headers).text
    return json.dumps(json.loads(text), indent=4) + "\n" if tool else f"{text}\n"


def evaluated(source: str, scope: dict[str, object]) -> str:
    """Return what Python would show for a line."""
    if isinstance(ast.parse(source).body[0], ast.Expr):
        value = eval(source, scope)  # noqa: S307 - our own README
        return "" if value is None else f"{value!r}\n"
    exec(source, scope)  # noqa: S102 - the same
    return ""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, Service(Path(folder)) as running:
        README.write_text(with_examples(with_demo(README.read_text()), running))
        CLIENT.write_text(with_examples(CLIENT.read_text(), running))
    SETTINGS.write_text(with_tables(SETTINGS.read_text()))
    README.write_text(with_table(README.read_text()))
