"""All commands together."""

from __future__ import annotations

from typing import Annotated

import typer

import streamnorm
from streamnorm.cli import COMMANDS, load
from streamnorm.cli.keys import keys

cli = typer.Typer(
    name="streamnorm",
    help=streamnorm.__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def print_version(asked: bool) -> None:  # noqa: FBT001 - as Typer calls it
    """Print the version and exit, if requested."""
    if asked:
        typer.echo(f"streamnorm {streamnorm.__version__}")
        raise typer.Exit


@cli.callback()
def streamnorm_command(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Normalize sensor readings as they arrive, one at a time."""
    del version


for name in COMMANDS:
    cli.command(name)(load(name))
cli.add_typer(keys, name="keys")
