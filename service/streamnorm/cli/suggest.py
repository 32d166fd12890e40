"""The command `streamnorm suggest`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

#: exit status if nothing could be read
FAILED = 1
NOTHING = "# nothing to suggest"


def suggest(
    files: Annotated[
        list[Path] | None, typer.Argument(help="recorded files, as streamnorm backfill reads them")
    ] = None,
    *,
    url: Annotated[
        str, typer.Option(help="address of a running service, whose streams are judged; key: STREAMNORM_KEY")
    ] = "",
    prefix: Annotated[str, typer.Option(help="only streams whose ids begin with it")] = "",
    stream: Annotated[str, typer.Option(help="of files: id of the stream, or a pattern of {file} and columns")] = "",
    config: Annotated[str, typer.Option(help="of files: how they are normalized, as a JSON object")] = "{}",
) -> None:
    """Suggest rules for streamnorm.toml, each with its reason; nothing is applied.

    Streams are judged by their profiles and their recent past. Standard output is TOML.
    """
    from streamnorm.errors import StreamnormError  # noqa: PLC0415 - --help needs none of it

    if bool(files) == bool(url):
        print("streamnorm suggest: give either files or --url of a service, not both", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2)
    told = False
    try:
        for text in _of_service(url, prefix) if url else _of_files(files or [], stream, config):
            print(text)  # noqa: T201
            told = True
    except (StreamnormError, ValueError, OSError) as error:
        print(f"streamnorm suggest: {error}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(FAILED) from None
    if not told:
        print(NOTHING)  # noqa: T201


def _of_service(url: str, prefix: str) -> Iterator[str]:
    """Yield the advice on each stream of a service that there is any for."""
    from streamnorm.backfill.sinks.remote import remote  # noqa: PLC0415 - as above
    from streamnorm.errors import StreamNotFound  # noqa: PLC0415

    with remote(url, {}) as service:
        for name in service.streams(prefix):
            try:
                text = service.advice(name)
            except StreamNotFound:  # deleted meanwhile
                continue
            if text:
                yield text


def _of_files(files: list[Path], stream: str, config: str) -> Iterator[str]:
    """Yield the advice on each stream of recorded files that there is any for."""
    from streamnorm.advice import to_toml  # noqa: PLC0415 - as above
    from streamnorm.backfill.suggest import recorded  # noqa: PLC0415
    from streamnorm.cli.compiling import announce_compiling  # noqa: PLC0415
    from streamnorm.engine.configuration.text import parse_configuration  # noqa: PLC0415

    parameters = parse_configuration(config)
    announce_compiling("suggest")
    for file in files:
        for name, advice in recorded(file, stream, parameters).items():
            if advice:
                yield to_toml(name, advice)
