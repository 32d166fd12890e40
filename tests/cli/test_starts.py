"""How commands start: each without the imports of the others."""

from __future__ import annotations

import gc
import hashlib
import json
import subprocess
import sys
from typing import Annotated

import pytest
import typer
from typer import _adapters
from typer.testing import CliRunner

from streamnorm.app import create_app
from streamnorm.cli import cli, main
from streamnorm.compat.typer import share_validators
from streamnorm.settings import Settings

#: what only other commands want
UNWANTED = {"streamnorm.backfill", "streamnorm.cli.check", "streamnorm.demo", "streamnorm.filtering", "rich"}


#: what looks at a recording and tells what was found
LOOKING = "streamnorm.backfill.options, streamnorm.backfill.show, streamnorm.backfill.reading.recordings"


def loaded_after(code: str) -> set[str]:
    """Run code in a process of its own, and return the names of the modules that are loaded then."""
    code = f"import sys\n{code}\nprint(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return set(told.stdout.split())


def test_the_service_starts_without_what_other_commands_import() -> None:
    assert UNWANTED.isdisjoint(loaded_after("from streamnorm.cli import load; load('serve')"))


def test_the_service_starts_without_what_only_its_document_needs() -> None:
    code = """
import contextlib
from streamnorm.cli import main
sys.argv = ["streamnorm", "serve", "--help"]
with contextlib.suppress(SystemExit):
    main()
from fastapi.openapi.models import OpenAPI
from streamnorm.api.schemas import ReadingBody, StreamPage
for model in (OpenAPI, StreamPage, ReadingBody):
    print(f"{model.__name__}={model.__pydantic_complete__}")
"""
    told = loaded_after(code)
    assert {"OpenAPI=False", "StreamPage=False", "ReadingBody=True"} < told
    assert "pydantic.v1" not in told


def test_imports_are_neither_searched_for_garbage_nor_later() -> None:
    code = """
import gc, typer
from streamnorm.cli import main
def told(*_, **__):
    print(f"collected={gc.get_stats()[0]['collections'] - before}", f"frozen={gc.get_freeze_count() > 50_000}")
typer.Typer.__call__ = told
sys.argv, before = ["streamnorm", "serve"], gc.get_stats()[0]["collections"]
main()
"""
    assert {"collected=0", "frozen=True"} < loaded_after(code)


def test_models_are_deferred_within_alone_and_document_the_same() -> None:
    code = """
from streamnorm.cli import load
from streamnorm.compat.pydantic import deferring
with deferring():
    load("serve")
from streamnorm.app import create_app
from streamnorm.settings import Settings
print(hashlib.sha256(json.dumps(create_app(Settings(store="memory")).openapi()).encode()).hexdigest())
class Later(pydantic.BaseModel):
    pass
print(f"Later={Later.__pydantic_complete__}")
"""
    told = loaded_after(f"import hashlib, json, pydantic{code}")
    document = json.dumps(create_app(Settings(store="memory")).openapi())
    assert {hashlib.sha256(document.encode()).hexdigest(), "Later=True", "pydantic.v1"} < told


def test_a_filter_starts_without_what_few_lines_need() -> None:
    unwanted = {"streamnorm.mappings", "streamnorm.settings", "asyncio", "rich"}
    assert unwanted.isdisjoint(loaded_after("from streamnorm.cli import load; load('filter')"))


def test_a_filter_of_json_loads_neither_line_protocol_nor_what_looks_for_plugins() -> None:
    unwanted = {"streamnorm.formats.line_protocol", "streamnorm.filtering.mapped", "importlib.metadata", "email"}
    code = """
import contextlib, io
from streamnorm.cli import main
sys.argv = ["streamnorm", "filter"]
sys.stdin = io.TextIOWrapper(io.BytesIO(b'{"t": 20}\\n'))
with contextlib.suppress(SystemExit):
    main()
"""
    loaded = loaded_after(code)
    assert "streamnorm.filtering.ndjson" in loaded
    assert unwanted.isdisjoint(loaded)


def test_a_backfill_tells_its_findings_before_it_loads_what_normalizes() -> None:
    unwanted = {"streamnorm.kernels", "streamnorm.normalizer", "streamnorm.settings", "asyncio", "rich.progress"}
    assert unwanted.isdisjoint(loaded_after(f"from streamnorm.cli import load; load('backfill'); import {LOOKING}"))


@pytest.mark.parametrize("arguments", [[], ["--help"], ["nonsense"], ["--version"], ["--", "keys"]])
def test_what_tells_of_all_commands_imports_none(arguments: list[str]) -> None:
    code = f"""
import contextlib
from streamnorm.cli import main
sys.argv = ["streamnorm", *{arguments}]
with contextlib.suppress(SystemExit):
    main()
"""
    loaded = {name for name in loaded_after(code) if name.startswith("streamnorm.cli.")}
    assert loaded == {"streamnorm.cli.commands"} | ({"streamnorm.cli.keys"} if "keys" in arguments else set())


@pytest.mark.parametrize("arguments", [[], ["--help"], ["nonsense"], ["--version"]])
def test_all_commands_are_told_of_without_them_as_with_them(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["streamnorm", *arguments])
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "__all__")  # main sets it; this puts back what was
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    result = CliRunner().invoke(cli, arguments)
    assert (told.out, told.err, ended.value.code) == (result.stdout, result.stderr, result.exit_code)


@pytest.mark.parametrize("arguments", [["--version"], ["serve", "--help"]])
def test_garbage_is_collected_once_a_command_runs(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["streamnorm", *arguments])
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "__all__")  # main sets these; this puts back what was
    monkeypatch.setattr(_adapters, "build_adapter", _adapters.build_adapter)
    with pytest.raises(SystemExit):
        main()
    assert gc.isenabled()


def commanded(
    *,
    name: Annotated[str, typer.Option()] = "",
    other: Annotated[str, typer.Option()] = "",
    twice: Annotated[str, typer.Option(parser=lambda text: text * 2)] = "",
    number: Annotated[int, typer.Option(min=1)] = 1,
    more: Annotated[list[str] | None, typer.Option()] = None,
    on: Annotated[bool, typer.Option("--on")] = False,
) -> None:
    """Print what was given."""
    typer.echo(repr((name, other, twice, number, more, on)))


def test_options_of_a_type_share_their_validator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_adapters, "build_adapter", _adapters.build_adapter)
    share_validators()
    command = typer.Typer(add_completion=False)
    command.command()(commanded)
    given = ["--name", "a", "--other", "b", "--twice", "c", "--number", "2", "--more", "d", "--more", "e", "--on"]
    assert CliRunner().invoke(command, given).output == "('a', 'b', 'cc', 2, ['d', 'e'], True)\n"
    refused = CliRunner().invoke(command, ["--number", "0"])
    assert (refused.exit_code, "--number" in refused.output) == (2, True)
    plain = typer.models.OptionInfo()
    assert _adapters.build_adapter(str, plain) is _adapters.build_adapter(str, plain)
    limited = typer.models.OptionInfo(min=1)
    assert _adapters.build_adapter(int, limited) is not _adapters.build_adapter(int, plain)
