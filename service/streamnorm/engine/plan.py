"""A plan: a configuration worked out for the hot path, shared by all streams that are configured alike."""

from __future__ import annotations

import functools
import math
from typing import Any

from streamnorm.engine.config import Configuration, from_key, key_of, to_json
from streamnorm.kernels import base_statistics as base
from streamnorm.kernels import kernel_for

#: what `finish` is told where a method compensates nothing: no bound, no layer scaling
NO_COMPENSATION = (math.inf, -1.0)
#: readings that have an order
SHORTEST_ORDER = 2


class Plan:
    """What observing needs to know of a configuration; immutable, one for all equal configurations."""

    __slots__ = (
        "clamp",
        "compensation",
        "config",
        "finishes",
        "kernel",
        "key",
        "missing",
        "most_weight",
        "observe",
        "p",
        "patience",
        "rule",
        "stride",
        "timed",
        "warmup",
    )

    def __init__(self, config: Configuration) -> None:
        self.config = config
        self.key = key_of(config)
        self.kernel = kernel_for(config.method)
        self.observe = self.kernel.observe
        self.p = config.pack()
        self.timed = config.time_constant is not None
        forgets = self.kernel.method.name != "cumulative" and config.horizon is not None
        decay = 1.0 - 1.0 / config.horizon if forgets and config.horizon else 1.0
        #: that readings can add up to; by time there is no such weight
        self.most_weight = (config.horizon or math.inf) if forgets else math.inf
        self.rule = (decay, config.time_constant or 0.0, float(config.warmup), config.robust or 0.0)
        self.stride = base.SIZE + self.kernel.own_size(self.p) + self.timed
        self.warmup = config.warmup
        #: late readings in a row, in order among themselves, that tell of a clock that was set back
        self.patience = float(max(config.warmup, SHORTEST_ORDER))
        self.missing = 0.0 if config.missing == "mean" else math.nan
        self.clamp = config.clamp or math.inf
        compensation = self.kernel.method.compensation
        self.compensation = compensation(self.p) if compensation else NO_COMPENSATION
        self.finishes = bool(
            config.affine or config.clamp or config.missing == "mean" or self.compensation != NO_COMPENSATION
        )

    def gamma_beta(self, name: str) -> tuple[float, float]:
        """Return a feature's affine map."""
        affine = self.config.affine.get(name)
        return (affine.gamma, affine.beta) if affine else (1.0, 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as plain JSON data."""
        return to_json(self.config)


@functools.lru_cache(maxsize=4096)
def of_key(key: str) -> Plan:
    """Return the plan of a configuration's key."""
    return Plan(from_key(key))


def plan(config: Configuration) -> Plan:
    """Return the plan of a configuration."""
    return of_key(key_of(config))
