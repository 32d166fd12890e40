"""The command's options, put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from streamnorm.backfill.cells.rows import BLANKS
from streamnorm.backfill.findings.dialects import Wanted
from streamnorm.backfill.findings.findings import Reading
from streamnorm.backfill.findings.roles import Asked
from streamnorm.backfill.unreadable import Unreadable
from streamnorm.backfill.work.conduct import Order
from streamnorm.engine.configuration.text import parse_configuration
from streamnorm.formats.states import parse_states

DELIMITERS = {"tab": "\t", "\\t": "\t", "blank": BLANKS, "blanks": BLANKS, " ": BLANKS, "comma": ",", "semicolon": ";"}


def order_of(given: Mapping[str, Any]) -> Order:
    """Build what is asked for of the command's options by their names.

    Raises:
        Unreadable: an option's value cannot be understood.

    """
    if given["on_bad_row"] not in {"null", "skip", "stop"}:
        message = f"--on-bad-row: {given['on_bad_row']!r} is none of null, skip, stop"
        raise Unreadable(message)
    for name in ("decimal", "comment", "quote"):
        if given[name] and len(given[name]) > (2 if name == "comment" else 1):
            message = f"--{name}: {given[name]!r} is not one character"
            raise Unreadable(message)
    words, codes = missing_of(given["missing"] or ())
    delimiter = DELIMITERS.get(given["delimiter"], given["delimiter"])
    wanted = Wanted(delimiter, given["quote"], given["comment"], given["skip_rows"], no_header=given["no_header"])
    asked = Asked(
        _listed(given["columns"]), _listed(given["exclude"]), given["stream"], given["stream_column"],
        given["feature_column"], given["value_column"], tuple(given["time_column"] or ()), given["time_format"],
        given["time_zone"], given["time_unit"],
    )  # fmt: skip
    preset = given["preset"] or ("none" if given["skip_rows"] or given["no_header"] else "")
    reading = Reading(
        given["input_format"], preset, given["encoding"], wanted, _listed([given["names"]]), given["decimal"],
        given["thousands"], words, codes, parse_states(given["state"] or ()), asked,
    )  # fmt: skip
    return Order(
        reading, Path(given["out"]) if given["out"] else None, given["suffix"], given["precision"], given["format"],
        given["on_bad_row"], given["again"], given["sheet"], given["data_dir"], given["url"],
        parse_configuration(given["config"]),
    )  # fmt: skip


def missing_of(given: Iterable[str]) -> tuple[tuple[str, ...], dict[str, frozenset[float]]]:
    """Read what means that there is no value: texts, and codes by the column they are of ("": all).

    >>> missing_of(["-200", "T=85,-127", "ERR"])
    (('ERR',), {'': frozenset({-200.0}), 'T': frozenset({-127.0, 85.0})})
    """
    words: list[str] = []
    codes: dict[str, set[float]] = {}
    for each in given:
        column, equals, values = each.rpartition("=")
        for value in values.split(","):
            try:
                codes.setdefault(column if equals else "", set()).add(float(value))
            except ValueError:
                words.append(value)
    return tuple(words), {column: frozenset(values) for column, values in codes.items()}


def _listed(given: Iterable[str] | None) -> tuple[str, ...]:
    """Read names: a comma stands between them, unless a name is quoted."""
    import csv  # noqa: PLC0415

    return tuple(name.strip() for line in csv.reader(given or ()) for name in line if name.strip())
