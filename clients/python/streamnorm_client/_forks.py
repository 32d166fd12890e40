"""What a forked child must not share with its parent: connections, locks held by threads that are gone, and numbers."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """Something that begins anew in a forked child."""

    def after_fork(self) -> None:
        """Replace, in the child, what belongs to the parent."""


_LIVING: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def register(owner: ForkAware) -> None:
    """Have `owner.after_fork` called in every child that is forked while the owner lives."""
    _LIVING.add(owner)


def _after_fork_in_child() -> None:
    for owner in list(_LIVING):
        owner.after_fork()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
