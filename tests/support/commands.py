"""The commands of `streamnorm`, run in this process."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from typer import testing
from typer.testing import CliRunner, Result

from streamnorm.cli import cli

# The runner builds all commands and their options anew each time, which takes longer than most of them run.
testing._get_command = functools.cache(testing._get_command)  # type: ignore[attr-defined]  # noqa: SLF001


def invoke(arguments: Sequence[str], *, text: str | bytes = "", env: Mapping[str, str] | None = None) -> Result:
    """Run a command with these `arguments`, the `text` as its standard input, and `env` beside the environment."""
    return CliRunner().invoke(cli, arguments, input=text, env=env)
