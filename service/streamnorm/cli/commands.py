"""All commands together."""

from __future__ import annotations

from typing import Annotated

import typer

import streamnorm
from streamnorm.cli.backfill import backfill_file
from streamnorm.cli.check import check
from streamnorm.cli.demo import demo
from streamnorm.cli.filter import filter_lines
from streamnorm.cli.keys import keys
from streamnorm.cli.migrate import migrate
from streamnorm.cli.serve import serve
from streamnorm.cli.suggest import suggest

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


cli.command()(serve)
cli.command()(demo)
cli.command("backfill")(backfill_file)
cli.command("filter")(filter_lines)
cli.command()(check)
cli.add_typer(keys, name="keys")
cli.command()(migrate)
cli.command()(suggest)
