"""The entries of compiled loops as C sees them; `streamnorm.kernels.cpu.entries` says what they do."""

from __future__ import annotations

from collections.abc import Sequence

#: What each takes and, last, returns: an address or whole number, bytes, a float64, a truth value, nothing.
SIGNATURES = {
    "row": "b?",
    "readings": "ii-",
    "rows": "iiiiiiiii-",
    "rows_of_singles": "iiiiiiiii-",
    "finish": "iiiddiii-",
    "wild": "iidi",
    "wild_of_singles": "iidi",
}
#: of methods that keep the base block alone
BESIDE = {"beside": "iiiiiiii-", "beside_of_singles": "iiiiiiii-"}
#: those that do not depend on a method
ALL_METHODS = ("finish", "wild", "wild_of_singles")
#: `lanes_0`, of methods that keep the base block alone, and of a block of so many parts
LANES = "iiiiiii-"


def signature(name: str) -> str:
    """Return the letters of an entry; see `SIGNATURES`.

    >>> signature("row"), signature("lanes_3_of_singles")
    ('b?', 'iiiiiii-')
    """
    return LANES if name.startswith("lanes_") else (SIGNATURES | BESIDE)[name]


def names_for(counts: Sequence[int]) -> list[str]:
    """List the entries of a method whose blocks have one of these numbers of parts.

    >>> names_for([0])[-4:]
    ['beside', 'beside_of_singles', 'lanes_0', 'lanes_0_of_singles']
    """
    beside = BESIDE if 0 in counts else ()
    return [*SIGNATURES, *beside, *(f"lanes_{count}{kind}" for count in counts for kind in ("", "_of_singles"))]


def symbol(method: str | None, name: str) -> str:
    """Return the name in a library of a method's entry, or of one that all methods share.

    >>> symbol("online-2019", "row"), symbol(None, "wild")
    ('streamnorm_online_2019_row', 'streamnorm_wild')
    """
    return f"streamnorm_{name}" if method is None else f"streamnorm_{method}_{name}".replace("-", "_")
