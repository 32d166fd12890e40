"""The command line: `streamnorm serve`, `streamnorm demo`."""

from __future__ import annotations

import inspect
import logging
import sys
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import ValidationError

import streamnorm
from streamnorm.app import application
from streamnorm.errors import StreamnormError
from streamnorm.settings import Settings

cli = typer.Typer(
    name="streamnorm",
    help=streamnorm.__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@cli.callback()
def streamnorm_command() -> None:
    """Normalize sensor readings as they arrive, one at a time."""


def main() -> None:
    """Run the command line."""
    cli()


def settings_options() -> inspect.Signature:
    """Give the signature of a command that has an option for every setting."""
    parameters = []
    for name, field in Settings.model_fields.items():
        option = typer.Option(
            f"--{name.replace('_', '-')}", envvar=f"STREAMNORM_{name.upper()}", help=field.description
        )
        parameters.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=Annotated[type_of(field.default), option],
            )
        )
    return inspect.Signature(parameters)


def type_of(default: object) -> type:
    """Give the type an option is parsed as; the settings check the rest."""
    return type(default)


def serve(**options: Any) -> None:
    """Start the service. Every option is also an environment variable."""
    try:
        settings = Settings(**options)
    except ValidationError as error:
        for item in error.errors():
            print(f"--{str(item['loc'][0]).replace('_', '-')}: {item['msg']}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from None
    logging.basicConfig(
        level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        app = application(settings)
    except (StreamnormError, OSError) as error:
        print(f"streamnorm cannot start: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from None
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    socket = config.bind_socket()
    host, port = socket.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    typer.echo(f"streamnorm {streamnorm.__version__} listens on {url} ({url}/docs lists the calls)")
    uvicorn.Server(config).run(sockets=[socket])


serve.__signature__ = settings_options()  # type: ignore[attr-defined]
cli.command()(serve)
