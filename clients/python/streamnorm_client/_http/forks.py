"""Fork safety: a child must not share connections, locks and sequence numbers with its parent."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """An object that resets itself in a forked child."""

    def after_fork(self) -> None:
        """Replace, in the child, the resources of the parent."""


_REGISTERED: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def register(owner: ForkAware) -> None:
    """Call `owner.after_fork` in every child forked during the owner's lifetime."""
    _REGISTERED.add(owner)


def _after_fork_in_child() -> None:
    for owner in list(_REGISTERED):
        owner.after_fork()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
