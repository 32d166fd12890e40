"""Decimal points and commas, told apart by all numbers of a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from streamnorm.backfill.cells.rows import unquoted
from streamnorm.backfill.unreadable import Unreadable

#: One odd cell (a version number, a date cut short) does not change how a table writes numbers.
FEW = 0.02

_DIGITS = re.compile(r"[+\-\u2212]?[\d.,' \u00a0]*\d[\d.,' \u00a0]*(?:[eE][+-]?\d+)?", re.ASCII)
_OTHERS = re.compile(r"[,'\u00a0]|\d \d{3}|\d\.\d{3}\.\d")
_GROUPS = re.compile(r"[+\-\u2212]?\d{1,3}(?:([.,' \u00a0])\d{3})(?:\1\d{3})*", re.ASCII)
_DECIMAL = re.compile(r"[+\-\u2212]?\d*([.,])\d*(?:[eE][+-]?\d+)?", re.ASCII)
_BOTH = re.compile(r"[+\-\u2212]?\d{1,3}(?:([.,' \u00a0])\d{3})+([.,])\d*", re.ASCII)


def found(columns: Iterable[Sequence[str]], decimal: str = "", thousands: str | None = None) -> tuple[str, str]:
    """Find the decimal sign and the sign between thousands ("" for none), which columns of numbers agree about.

    >>> found([["1,5", "1.234,0"]]), found([["20.125", "21.5"]]), found([["1,234", "12,345.5"]])
    ((',', '.'), ('.', ''), ('.', ','))

    Raises:
        Unreadable: columns contradict each other, or 1,234 may be both; the message names the option.

    """
    if decimal and thousands is not None:
        return decimal, thousands
    marks = {".": 0, ",": 0}
    groups: dict[str, int] = {}
    unsure: dict[str, str] = {}
    listed = list(columns)
    if not decimal and thousands is None and not any(_OTHERS.search("\n".join(column)) for column in listed):
        return ".", ""  # as in nearly all files: there is no sign but the point
    for column in listed:
        _count([text for cell in column if (text := unquoted(cell)) and _DIGITS.fullmatch(text)], marks, groups, unsure)
    if not decimal and thousands in {".", ","}:
        decimal = "." if thousands == "," else ","
    if not decimal:
        decimal = _decided(marks, groups, unsure)
    other = "," if decimal == "." else "."
    if thousands is None:
        candidates = {sign: count for sign, count in groups.items() if sign != decimal}
        if other in unsure:
            candidates[other] = candidates.get(other, 0) + 1
        thousands = max(candidates, key=lambda sign: candidates[sign]) if candidates else ""
    return decimal, thousands


def _count(texts: Sequence[str], marks: dict[str, int], groups: dict[str, int], unsure: dict[str, str]) -> None:
    """Count a column's marks; a column whose numbers all have three digits behind a single mark says nothing."""
    here = {".": 0, ",": 0}
    grouped: dict[str, str] = {}
    for text in texts:
        both, group, single = _BOTH.fullmatch(text), _GROUPS.fullmatch(text), _DECIMAL.fullmatch(text)
        if both and both[1] != both[2]:
            here[both[2]] += 1
            groups[both[1]] = groups.get(both[1], 0) + 1
        elif group and (group[1] not in ".," or text.count(group[1]) > 1):
            groups[group[1]] = groups.get(group[1], 0) + 1
        elif group and not text.startswith(("0", "-0", "+0")):
            grouped.setdefault(group[1], text)
        elif single:
            here[single[1]] += 1
    for mark, count in here.items():
        marks[mark] += count
    for mark, text in grouped.items():
        if here[mark] <= FEW * len(texts):
            unsure.setdefault(mark, text)


def _decided(marks: dict[str, int], groups: dict[str, int], unsure: dict[str, str]) -> str:
    points, commas = marks["."], marks[","]
    if points and commas and min(points, commas) > FEW * (points + commas):
        message = (
            f"{points} numbers have decimal points and {commas} decimal commas: --decimal . or --decimal , says which"
        )
        raise Unreadable(message)
    if points or commas:
        return "." if points >= commas else ","
    if groups.get(",") or groups.get("."):
        return "." if groups.get(",", 0) >= groups.get(".", 0) else ","
    if "," in unsure:
        message = f"{unsure[',']!r} may be a decimal comma or thousands: --decimal , or --thousands , says which"
        raise Unreadable(message)
    return "."
