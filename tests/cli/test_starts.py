"""How commands start: each without the imports of the others."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from streamnorm.cli import COMMANDS, cli, main

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


def test_a_filter_starts_without_what_few_lines_need() -> None:
    unwanted = {"streamnorm.mappings", "streamnorm.settings", "asyncio", "rich"}
    assert unwanted.isdisjoint(loaded_after("from streamnorm.cli import load; load('filter')"))


def test_a_backfill_tells_its_findings_before_it_loads_what_normalizes() -> None:
    unwanted = {"streamnorm.kernels", "streamnorm.normalizer", "streamnorm.settings", "asyncio", "rich.progress"}
    assert unwanted.isdisjoint(loaded_after(f"from streamnorm.cli import load; load('backfill'); import {LOOKING}"))


def test_every_command_starts_alone_but_keys_which_is_several() -> None:
    assert {command.name for command in cli.registered_commands} == set(COMMANDS)
    assert [group.name for group in cli.registered_groups] == ["keys"]


@pytest.mark.parametrize("arguments", [["--version"], ["serve", "--help"]])
def test_garbage_is_collected_once_a_command_runs(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["streamnorm", *arguments])
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "__all__")  # main sets it; this puts back what was
    with pytest.raises(SystemExit):
        main()
    assert gc.isenabled()
