"""The entries of compiled loops as C sees them; `streamnorm.kernels.cpu.entries` says what they do."""

from __future__ import annotations

#: What each takes and, last, returns: an address or whole number, bytes, a float64, a truth value, nothing.
SIGNATURES = {
    "row": "b?",
    "rows": "iiiiiiiii-",
    "rows_of_singles": "iiiiiiiii-",
    "lanes": "iiiiii-",
    "lanes_of_singles": "iiiiii-",
    "finish": "iiiddiii-",
    "wild": "iidi",
    "wild_of_singles": "iidi",
}
#: those that do not depend on a method, and those of methods that keep the base block alone
ALL_METHODS = ("finish", "wild", "wild_of_singles")
LANES_ONLY = ("lanes", "lanes_of_singles")


def symbol(method: str | None, name: str) -> str:
    """Return the name in a library of a method's entry, or of one that all methods share.

    >>> symbol("online-2019", "row"), symbol(None, "wild")
    ('streamnorm_online_2019_row', 'streamnorm_wild')
    """
    return f"streamnorm_{name}" if method is None else f"streamnorm_{method}_{name}".replace("-", "_")
