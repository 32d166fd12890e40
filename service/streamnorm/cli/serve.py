"""`streamnorm serve`: an option and an environment variable for every setting."""

from __future__ import annotations

import inspect
import logging
import os
import socket
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from pydantic import ValidationError

import streamnorm
from streamnorm import logs, platforms, server
from streamnorm.app import application
from streamnorm.auth.api_keys import SQLiteApiKeys
from streamnorm.engine.validation import to_faults
from streamnorm.errors import Fault, InvalidConfigFile, InvalidConfiguration, StreamnormError
from streamnorm.settings import GROUPS, Settings, descriptions, unknown_variables
from streamnorm.warmup import Warmup

log = logging.getLogger(__name__)

#: what stands for all addresses, and one of them
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told, not listened on


def settings_options() -> inspect.Signature:
    """Return the signature of a command that has an option for every setting."""
    told = descriptions()
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                # parsed as the type of the default; the settings validate the value
                annotation=Annotated[type(field.default), option(name, told[name], str(group.__doc__))],
            )
            for group in GROUPS
            for name, field in group.model_fields.items()
        ]
    )


def option(name: str, description: str, group: str) -> Any:
    """Return the Typer option of the setting `name`, with its `description` as help, in the panel `group`."""
    return typer.Option(
        f"--{name.replace('_', '-')}",
        envvar=f"STREAMNORM_{name.upper()}",
        help=description,
        rich_help_panel=group.rstrip("."),
    )


def serve(**options: Any) -> None:
    """Start the service. Every option is also an environment variable."""
    if reason := platforms.unsupported():
        print(f"streamnorm serve: {reason}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1)
    with platforms.ending_at_once():
        raise typer.Exit(served(options))


def served(options: dict[str, Any]) -> int:
    """Run the service until it stops, and return the exit status.

    Raises:
        typer.Exit: the service cannot be started; the error was printed.

    """
    try:
        settings = Settings(**options)
        logs.configure(settings.log_level, settings.log_format)
        for name, nearest in unknown_variables(os.environ).items():
            log.warning("%s is no setting%s", name, f": is {nearest} meant?" if nearest else "")
        warmup = Warmup(settings.data_dir, settings.method, settings.device)
        front, context = application(settings)
        config = server.configuration(front.app, front.at_once, settings)
    except ValidationError as error:
        raise usage_error(to_faults(error.errors())) from None
    except InvalidConfigFile as error:
        print(f"streamnorm cannot start:\n{error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from None
    except InvalidConfiguration as error:
        raise usage_error(error.faults) from None
    except (StreamnormError, OSError) as error:
        print(f"streamnorm cannot start: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from None
    listener = bind(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    url = address(host, port, tls=config.is_ssl)
    where = f"all addresses, {url}" if host in ANYWHERE else url
    typer.echo(f"streamnorm {streamnorm.__version__} listens on {where} (a dashboard; {url}/docs lists the calls)")
    if settings.insecure and not settings.loopback:
        typer.echo("It asks for no key: anyone who can reach it may do everything")
    if first := create_first_key(settings):
        typer.echo(f"Its first key, which may do everything, is shown only this once:\n\n    {first}\n")
    context.checks.append(warmup.check)
    running = server.Server(config, warmup, context.drain, settings.idle_timeout)
    running.run(sockets=[listener])
    return 0 if running.stopped_cleanly else 1


def address(host: str, port: int, *, tls: bool) -> str:
    """Return the address of a `host` and a `port`, with `tls` or without, that a browser on this machine can open.

    >>> address("0.0.0.0", 8000, tls=False), address("fe80::1", 8000, tls=True)
    ('http://127.0.0.1:8000', 'https://[fe80::1]:8000')
    """
    host = ANYWHERE.get(host, host)
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def usage_error(faults: Iterable[Fault]) -> typer.Exit:
    """Print which options are invalid, and return the exit to raise."""
    for pointer, detail in faults:
        print(f"--{pointer[1:].replace('_', '-')}: {detail}", file=sys.stderr)  # noqa: T201
    return typer.Exit(2)


def create_first_key(settings: Settings) -> str | None:
    """Create a first key if there is none and the service is reachable from other machines; not for shared stores."""
    known = SQLiteApiKeys(settings.data_dir)
    if settings.loopback or settings.insecure or settings.shared or known.any():
        return None
    return known.create("first", ["admin"])


def bind(host: str, port: int) -> socket.socket:
    """Bind and listen on an address; unlike uvicorn's, the error names the host and the port.

    Raises:
        typer.Exit: the address is not available; the error was printed.

    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # from here on clients wait instead of being refused
    except OSError as error:
        print(f"streamnorm cannot listen on {host}, port {port}: {error.strerror}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from None
    return listener


serve.__signature__ = settings_options()  # type: ignore[attr-defined]  # Typer reads the options from it
