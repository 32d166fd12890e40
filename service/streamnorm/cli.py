"""The command line: `streamnorm serve`, `demo`, `backfill`, `filter`, `keys`, `migrate`."""

from __future__ import annotations

import inspect
import socket
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from pydantic import ValidationError

import streamnorm
from streamnorm import logs, server
from streamnorm.app import application
from streamnorm.backfill.command import backfill_files
from streamnorm.demo import run as run_demo
from streamnorm.engine.faults import faults
from streamnorm.errors import Fault, InvalidConfiguration, StreamnormError
from streamnorm.filtering.command import filter_lines
from streamnorm.key_commands import keys
from streamnorm.migrate_command import migrate
from streamnorm.settings import GROUPS, Settings
from streamnorm.stores.keys import Keys
from streamnorm.warmup import Warmup

cli = typer.Typer(
    name="streamnorm",
    help=streamnorm.__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def told_version(asked: bool) -> None:  # noqa: FBT001 - as Typer calls it
    """Print the version, where that is all that was asked for."""
    if asked:
        typer.echo(f"streamnorm {streamnorm.__version__}")
        raise typer.Exit


@cli.callback()
def streamnorm_command(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=told_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Normalize sensor readings as they arrive, one at a time."""
    del version


def main() -> None:
    """Run the command line."""
    cli()


def settings_options() -> inspect.Signature:
    """Give the signature of a command that has an option for every setting."""
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                # parsed as what the default is; the settings check the rest
                annotation=Annotated[type(field.default), option(name, field.description, str(group.__doc__))],
            )
            for group in GROUPS
            for name, field in group.model_fields.items()
        ]
    )


def option(name: str, description: str | None, group: str) -> Any:
    """Give the option of a setting."""
    return typer.Option(
        f"--{name.replace('_', '-')}",
        envvar=f"STREAMNORM_{name.upper()}",
        help=description,
        rich_help_panel=group.rstrip("."),
    )


def serve(**options: Any) -> None:
    """Start the service. Every option is also an environment variable."""
    try:
        settings = Settings(**options)
        logs.configure(settings.log_level, settings.log_format)
        warmup = Warmup(settings.data_dir, settings.method, settings.device)
        front, context = application(settings)
        config = server.configuration(front.app, front.at_once, settings)
    except ValidationError as error:
        raise refused(faults(error.errors())) from None
    except InvalidConfiguration as error:
        raise refused(error.faults) from None
    except (StreamnormError, OSError) as error:
        print(f"streamnorm cannot start: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from None
    taken = bound(settings.host, settings.port)
    host, port = taken.getsockname()[:2]
    url = f"http{'s' if config.is_ssl else ''}://{f'[{host}]' if ':' in host else host}:{port}"
    typer.echo(f"streamnorm {streamnorm.__version__} listens on {url} (a dashboard; {url}/docs lists the calls)")
    if settings.insecure and not settings.loopback:
        typer.echo("It asks for no key: whoever can reach it may do everything")
    if first := first_key(settings):
        typer.echo(f"Its first key, which may do everything, is shown only this once:\n\n    {first}\n")
    running = server.Server(config, warmup, context.drain, settings.idle_timeout)
    running.run(sockets=[taken])
    raise typer.Exit(0 if running.ended_well else 1)


def refused(found: Iterable[Fault]) -> typer.Exit:
    """Tell which options are wrong."""
    for pointer, detail in found:
        print(f"--{pointer[1:].replace('_', '-')}: {detail}", file=sys.stderr)  # noqa: T201
    return typer.Exit(2)


def first_key(settings: Settings) -> str | None:
    """Make a first key where others can reach the service and there is none; replicas' keys are made by hand."""
    known = Keys(settings.data_dir)
    if settings.loopback or settings.insecure or settings.shared or known.any():
        return None
    return known.create("first", ["admin"])


def bound(host: str, port: int) -> socket.socket:
    """Take the address to listen on; uvicorn's own way tells neither host nor port when it cannot."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen()  # from here on callers wait instead of being refused
    except OSError as error:
        print(f"streamnorm cannot listen on {host}, port {port}: {error.strerror}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from None
    return taken


cli.add_typer(keys, name="keys")
serve.__signature__ = settings_options()  # type: ignore[attr-defined]
cli.command()(serve)
cli.command("backfill")(backfill_files)
cli.command("filter")(filter_lines)
cli.command()(migrate)


@cli.command()
def demo(
    url: Annotated[str | None, typer.Option(help="address of a running service; one is started if not given")] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="readings a second")] = 10.0,
    seconds: Annotated[float | None, typer.Option(min=0, help="end after so many seconds")] = None,
    readings: Annotated[int | None, typer.Option(min=1, help="end after so many readings")] = None,
    seed: Annotated[int, typer.Option(help="seed of the simulated sensors")] = 0,
    *,
    machine: Annotated[bool, typer.Option("--machine", help="read this machine's own sensors too")] = False,
) -> None:
    """Show it at work: simulated sensors send to a service, and a table shows what it answers."""
    raise typer.Exit(run_demo(url=url, rate=rate, seconds=seconds, readings=readings, seed=seed, machine=machine))
