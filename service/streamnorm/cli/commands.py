"""All commands together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated

import typer

import streamnorm
from streamnorm.cli import COMMANDS


def print_version(asked: bool) -> None:  # noqa: FBT001 - as Typer calls it
    """Print the version and exit, if requested."""
    if asked:
        typer.echo(f"streamnorm {streamnorm.__version__}")
        raise typer.Exit


def streamnorm_command(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Normalize sensor readings as they arrive, one at a time."""
    del version


@functools.cache
def tree(command_of: Callable[[str], Callable[..., None]]) -> typer.Typer:
    """Build the command line from the command of each name."""
    cli = typer.Typer(
        name="streamnorm",
        help=streamnorm.__doc__,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    cli.callback()(streamnorm_command)
    for name in COMMANDS:
        command = command_of(name)
        if isinstance(command, typer.Typer):
            cli.add_typer(command, name=name)
        else:
            cli.command(name)(command)
    return cli
