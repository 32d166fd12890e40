"""The file `streamnorm.toml`: rules and mappings, checked as a whole, with errors that name lines.

Rules:

1. A file takes effect as a whole or not at all: `read` returns everything, or raises one error that lists every fault.
2. Every fault names its line, so that an editor can go there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from streamnorm.engine.configuration.rules import Rule, Rules, parse_rule
from streamnorm.errors import Fault, InvalidConfigFile, InvalidInput
from streamnorm.mappings import Catalogue, mapping_of

#: the top-level tables; each is an array of tables: `[[rules]]`
KINDS = ("rules", "mappings")
#: A file is read into memory, and thousands of rules fit in it.
LARGEST_FILE = 4 * 2**20

_OPAQUE = re.compile(r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL)
_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(\s*\.[^=]*)?\s*=""")


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the file, such as a `[[mappings]]`, with the lines on which it and its keys stand."""

    #: JSON pointer of the table: /mappings/0
    pointer: str
    data: Mapping[str, Any]
    line: int
    lines: Mapping[str, int]


class LineFault(NamedTuple):
    """A fault on a line of a file."""

    line: int
    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a file says: the rules and the mappings, with their tables."""

    path: Path
    rules: Rules
    rule_tables: tuple[Table, ...]
    mappings: Catalogue
    mapping_tables: tuple[Table, ...]


def read(path: Path) -> ConfigFile:
    """Read and check a file.

    Raises:
        InvalidConfigFile: it cannot be read, is no TOML, or something in it is invalid; every fault has its line.

    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InvalidConfigFile(path.name, [(0, "", f"cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError as error:
        raise InvalidConfigFile(path.name, [(data.count(b"\n", 0, error.start) + 1, "", "is not UTF-8")]) from None
    if len(data) > LARGEST_FILE:
        raise InvalidConfigFile(path.name, [(0, "", f"has more than {LARGEST_FILE} bytes")])
    return parse(text, path)


def parse(text: str, path: Path) -> ConfigFile:
    """Check the text of a file; `path` is for errors.

    Raises:
        InvalidConfigFile: as `read` says.

    """
    document, places = _document(text, path), _places(text)
    faults = [*_unknown(document, places)]
    rule_tables, mapping_tables = (_tables(document, places, kind, faults) for kind in KINDS)
    rules: list[Rule] = []
    for table in rule_tables:
        with collected(faults, table):
            rules.append(parse_rule(table.data))
    for table in mapping_tables:
        with collected(faults, table):
            mapping_of(table.data)
    if not faults:
        whole = Table("/mappings", {}, 1, {str(place): table.line for place, table in enumerate(mapping_tables)})
        with collected(faults, whole):
            catalogue = Catalogue(table.data for table in mapping_tables)
    if faults:
        raise InvalidConfigFile(path.name, sorted(faults))
    return ConfigFile(path, Rules(tuple(rules)), rule_tables, catalogue, mapping_tables)


@contextmanager
def collected(faults: list[LineFault], table: Table) -> Iterator[None]:
    """Add what is found invalid in a table to `faults`, each with its line; pointers are relative to the table."""
    try:
        yield
    except InvalidInput as error:
        for pointer, detail in error.faults or (Fault("", str(error)),):
            key = pointer.split("/")[1].replace("~1", "/").replace("~0", "~") if pointer else ""
            faults.append(LineFault(table.lines.get(key, table.line), table.pointer + pointer, detail))


def _document(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1  # at the end of the document its message has none
        raise InvalidConfigFile(path.name, [(line, "", f"is no TOML: {error}")]) from None


def _unknown(document: Mapping[str, Any], places: Sequence[_Place]) -> Iterator[LineFault]:
    known = " and ".join(f"[[{name}]]" for name in KINDS)
    for key in document:
        if key not in KINDS:
            headers = [place.line for place in places[1:] if place.name.split(".")[0].strip("\"'") == key]
            line = headers[0] if headers else places[0].lines.get(key, 1)
            yield LineFault(line, f"/{key}", f"is unknown; there are {known}")


def _tables(
    document: Mapping[str, Any], places: Sequence[_Place], kind: str, faults: list[LineFault]
) -> tuple[Table, ...]:
    """Return the tables of one kind, or add to `faults` that they are none."""
    found = document.get(kind, [])
    own = [place for place in places if place.name == kind]
    elsewhere = places[0]._replace(line=places[0].lines.get(kind, 1), lines={})
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        faults.append(LineFault((own or [elsewhere])[0].line, f"/{kind}", f"must be tables [[{kind}]]"))
        return ()
    own += [elsewhere] * (len(found) - len(own))  # written as an array of inline tables
    return tuple(
        Table(f"/{kind}/{number}", data, place.line, place.lines)
        for number, (data, place) in enumerate(zip(found, own, strict=False))
    )


class _Place(NamedTuple):
    """A table's header in the text, and the lines of its keys; the first one is the document's own, without a name."""

    name: str
    line: int
    lines: dict[str, int]


def _places(text: str) -> list[_Place]:
    """Find where tables and their keys are; tables within a table, as [mappings.states], count as its keys."""
    places = [_Place("", 1, {})]
    for number, line in enumerate(_OPAQUE.sub(_blanked, text).split("\n"), 1):
        if header := _HEADER.match(line):
            name = header[1].strip()
            outer, _, inner = name.partition(".")
            if inner and places[-1].name == outer.strip():
                places[-1].lines.setdefault(inner.split(".")[0].strip().strip("\"'"), number)
            else:
                places.append(_Place(name, number, {}))
        elif key := _KEY.match(line):
            places[-1].lines.setdefault(key[1].strip("\"'"), number)
    return places


def _blanked(found: re.Match[str]) -> str:
    """Keep the line breaks of a comment or a text of several lines, and short texts as they are: they may be keys."""
    text = found[0]
    if text.startswith(('"""', "'''", "#")):
        return "\n" * text.count("\n")
    return text
