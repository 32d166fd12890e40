"""A scikit-learn transformer: `StandardScaler` for streaming data with drift."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from streamnorm.adapters import handle
from streamnorm.engine.configuration.config import DEFAULT_HORIZON, DEFAULT_WARMUP
from streamnorm.engine.reading import Array
from streamnorm.errors import InvalidReading
from streamnorm.normalizer import frames


class StreamNormalizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Normalize columns by exponentially weighted statistics of the rows seen so far.

    `partial_fit` learns from rows in order, `fit` resets the statistics first. `transform` uses the current statistics
    without learning. `observe` learns and normalizes row by row, as the service does. NaN is a missing value.

    Parameters are those of a stream's configuration; `parameters` holds further ones, such as those of a method. With
    `stream`, a handle of the SDK, the statistics are in a service.

    >>> import numpy as np
    >>> scaler = StreamNormalizer(horizon=100).partial_fit(np.array([[20.0, 0.0], [22.0, 1.0]]))
    >>> scaler.transform(np.array([[22.0, 0.0]])).round(2)
    array([[ 0.99, -1.01]])
    """

    def __init__(
        self,
        *,
        method: str = "online",
        horizon: float = DEFAULT_HORIZON,
        warmup: int = DEFAULT_WARMUP,
        clamp: float | None = None,
        robust: float | None = None,
        missing: str = "null",
        parameters: dict[str, Any] | None = None,
        stream: handle.Remote | None = None,
    ) -> None:
        self.method = method
        self.horizon = horizon
        self.warmup = warmup
        self.clamp = clamp
        self.robust = robust
        self.missing = missing
        self.parameters = parameters
        self.stream = stream

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803, ARG002 - scikit-learn's names
        """Reset the statistics, then learn from the rows in order."""
        rows = self._checked(X, reset=True)
        self._begin()
        handle.observe_block(self.normalizer_, rows, self._names())
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803, ARG002
        """Learn from further rows, in order."""
        self._learn(X)
        return self

    def observe(self, X: Any) -> Array:  # noqa: N803
        """Learn from further rows and return them normalized, each by the statistics that include it."""
        return self._learn(X)

    def transform(self, X: Any) -> Array:  # noqa: N803
        """Normalize rows by the current statistics."""
        check_is_fitted(self)
        rows = self._checked(X, reset=False)
        return handle.normalize_block(self.normalizer_, rows, self._names())

    def inverse_transform(self, X: Any) -> Array:  # noqa: N803
        """Convert normalized rows back to the sensors' units, by the current statistics."""
        check_is_fitted(self)
        rows = self._checked(X, reset=False)
        return handle.denormalize_block(self.normalizer_, rows, self._names())

    def _learn(self, rows: Any) -> Array:
        first = not hasattr(self, "normalizer_")
        checked = self._checked(rows, reset=first)
        if first:
            self._begin()
        return handle.observe_block(self.normalizer_, checked, self._names())

    def _begin(self) -> None:
        named = {name: getattr(self, name) for name in ("method", "horizon", "warmup", "clamp", "robust", "missing")}
        config = named | (self.parameters or {})
        if "time_constant" in config:
            del config["horizon"]
        self.normalizer_: Any = handle.begin(self.stream, config)

    def _checked(self, rows: Any, *, reset: bool) -> Array:
        if frames.is_frame(rows):
            frame = frames.parse_frame(rows)
            if frame.times is not None and len(frame.names) < rows.shape[1]:
                kept = set(map(str, rows.columns)) - set(frame.names)
                message = (
                    f"{', '.join(map(repr, kept))} holds times, which are no features: drop it, or make it the index"
                )
                raise InvalidReading.at("/values", message)
        checked: Array = validate_data(self, rows, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        return checked

    def _names(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        return list(map(str, range(self.n_features_in_) if names is None else names))

    def __sklearn_tags__(self) -> Tags:
        """Declare that NaN is allowed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
