"""A river transformer: `preprocessing.StandardScaler` with a horizon, and every other method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from river import base

from streamnorm.adapters import handle

if TYPE_CHECKING:
    import pandas as pd


class StreamNormalizer(base.MiniBatchTransformer):
    """Normalize features by exponentially weighted statistics of the readings learned so far.

    `config` is that of a stream: `horizon=500`, `method="adaptive"` and so on. With `stream`, a handle of the SDK,
    the statistics are in a service. An unknown feature is normalized to 0, as by river's own scalers.

    >>> scaler = StreamNormalizer(config={"horizon": 100})
    >>> for x in ({"temp": 20.0}, {"temp": 22.0}):
    ...     scaler.learn_one(x)
    >>> round(scaler.transform_one({"temp": 22.0})["temp"], 2)
    0.99
    """

    def __init__(self, config: Mapping[str, Any] | None = None, stream: handle.Remote | None = None) -> None:
        self.config = config
        self.stream = stream
        self._handle = handle.begin(stream, config or {})

    def learn_one(self, x: dict[base.typing.FeatureName, Any]) -> None:
        """Learn from one reading."""
        if x:
            self._handle.observe(_named(x))

    def transform_one(self, x: dict[base.typing.FeatureName, Any]) -> dict[base.typing.FeatureName, Any]:
        """Normalize one reading by today's statistics."""
        if not x:
            return {}
        ys = self._handle.normalize(_named(x)).values
        return {name: _number(x[name], ys[str(name)]) for name in x}

    def learn_many(self, X: pd.DataFrame) -> None:  # noqa: N803 - river's name
        """Learn from the rows of a frame, in order."""
        handle.observe_frame(self._handle, X)

    def transform_many(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803
        """Normalize the rows of a frame by the current statistics."""
        ys = handle.normalize_frame(self._handle, X)
        return ys.mask(ys.isna() & X.notna(), 0.0)


def _named(x: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in x.items()}


def _number(x: Any, y: Any) -> Any:
    if y is not None:
        return y
    return math.nan if x is None or x != x else 0.0  # noqa: PLR0124 - NaN
