"""The command `streamnorm check`: what a file of rules says, or what is wrong with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from streamnorm import config_file
from streamnorm.cli.sample import messages, sampled
from streamnorm.config_file import ConfigFile
from streamnorm.config_file.explanation import DEFAULT, Source, holding, sources
from streamnorm.config_file.schema import json_schema
from streamnorm.engine.configuration.rules import ALL
from streamnorm.errors import InvalidConfigFile, InvalidConfiguration, InvalidReading, MappingNotFound
from streamnorm.mappings import Catalogue, Message
from streamnorm.settings import Settings


def check(  # noqa: PLR0917 - Typer hands options over by name
    file: Annotated[Path | None, typer.Argument(help="the file; STREAMNORM_CONFIG if not given")] = None,
    stream: Annotated[str, typer.Option(help="tell how this stream is treated")] = "",
    feature: Annotated[str, typer.Option(help="tell how this feature of it is treated")] = "",
    mapping: Annotated[str, typer.Option(help="mapping of the file, or preset, that makes readings of --payload")] = "",
    payload: Annotated[list[str] | None, typer.Option(help="sample: a text, @FILE, or - for standard input")] = None,
    topic: Annotated[str, typer.Option(help="topic that the samples came by")] = "",
    query: Annotated[str, typer.Option(help="query that the samples came with, such as device=roof")] = "",
    media_type: Annotated[str, typer.Option(help="media type of the samples")] = "",
    schema: Annotated[bool, typer.Option("--schema", help="print the JSON schema, for editors")] = False,  # noqa: FBT002
) -> None:
    """Check a `file` of rules and mappings, and tell which parameters hold, and where the file says so.

    That is of a `stream`, or of a `feature` of it. With a `mapping` and samples as `payload` (with their `topic`,
    `query` and `media_type`), print the readings that the mapping makes of them; a preset needs no file. With `schema`
    print the JSON schema instead. The exit status is 1 if the file or a sample is invalid, and 2 if the command is.
    """
    if schema:
        typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    settings = Settings()
    path = file or (Path(settings.config) if settings.config else None)
    if bool(mapping) != bool(payload):
        _fail("--mapping and --payload need each other: which mapping is to read which sample", 2)
    if mapping:
        _try(_read(path).mappings if path else Catalogue(), mapping, messages(payload or (), topic, query, media_type))
        return
    if path is None:
        _fail("name a file, or set STREAMNORM_CONFIG", 2)
    if feature and not stream:
        _fail("--feature needs --stream: rules may speak of some streams only", 2)
    found = _read(path)
    if not stream:
        counts = _count(len(found.rules.rules), "rule"), _count(len(found.mappings), "mapping")
        typer.echo(f"{path}: {', '.join(counts)}, no fault")
        return
    try:
        lines = [*explained(found, stream, feature, settings.stream_defaults)]
    except InvalidConfiguration as error:
        _fail(f"the rules for {stream}{f', {feature},' if feature else ''} do not go together: {error}", 1)
    typer.echo("\n".join(lines))


def _read(path: Path) -> ConfigFile:
    try:
        return config_file.read(path)
    except InvalidConfigFile as error:
        _fail(str(error), 1, prefix="")


def _try(catalogue: Catalogue, mapping: str, samples: Iterable[Message]) -> None:
    """Print the readings that a mapping makes of samples."""
    try:
        for line in sampled(catalogue.find(mapping), samples):
            typer.echo(line)
    except MappingNotFound as error:
        _fail(str(error), 2)
    except InvalidReading as error:
        _fail(str(error), 1)


def explained(found: ConfigFile, stream: str, feature: str, defaults: dict[str, Any]) -> list[str]:
    """Return, line by line, which parameters hold for a `stream`, or a `feature` of it, and where the file says so.

    `found` is the file, `defaults` is what the service does where it says nothing.

    Raises:
        InvalidConfiguration: rules that are valid each do not go together.

    """
    known = sources(stream, found, defaults)
    held = holding(known, feature)
    spoken = [each for each in known if each.layer.features == ALL or (feature and each.layer.matches(feature))]
    others = [
        f"  line {each.line()}: {_words(each.layer.parameters)} for {each.layer.features}"
        for each in known
        if each not in spoken
    ]
    width = max(map(len, held))
    told = [f"{stream}{f', {feature}' if feature else ''}:"]
    told += [
        f"  {key:<{width}} = {_word(each.value)}  ({_place(key, each.source)})"
        for key, each in held.items()
        if each.matters
    ]
    said = {key: each for each in spoken for key in each.layer.parameters}
    used = {key for key, each in held.items() if each.value is not None}
    unused = [f"  {key} ({_place(key, source)})" for key, source in said.items() if key not in used]
    if unused:
        told += [f"not used by the method {held['method'].value}, or replaced:", *unused]
    if others and not feature:
        told += ["and of some features:", *others]
    return told


def _place(key: str, source: Source | None) -> str:
    return DEFAULT if source is None or source.table is None else f"line {source.line(key)}"


def _words(parameters: Any) -> str:
    return ", ".join(f"{key} = {_word(value)}" for key, value in parameters.items())


def _word(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _fail(message: str, status: int, *, prefix: str = "streamnorm check: ") -> NoReturn:
    print(f"{prefix}{message}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(status)
