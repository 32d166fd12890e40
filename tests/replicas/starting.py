"""What the replicas' tests are given to start replicas with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from streamnorm.stores.replicated import Replicated

#: Starts a replica, on the test's own keys where no other prefix is given.
Start = Callable[..., Awaitable[Replicated]]
