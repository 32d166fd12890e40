"""The adapters' backends: a `Normalizer`, or a stream of a service by its handle in the SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from streamnorm.engine.reading import Array
from streamnorm.normalizer import Normalizer

if TYPE_CHECKING:
    import pandas as pd


class Remote(Protocol):
    """The interface of the SDK's `Stream`, which documents it; repeated because the service does not import the SDK."""

    def observe(self, values: Any) -> Any: ...  # noqa: D102

    def normalize(self, values: Any, *, stats: bool = False) -> Any: ...  # noqa: D102

    def denormalize(self, values: Any) -> Any: ...  # noqa: D102

    def bulk(self, rows: Any, *, features: Sequence[str] | None = None, learn: bool = True) -> Any: ...  # noqa: D102

    def configure(self, **config: Any) -> Any: ...  # noqa: D102

    def reset(self) -> Any: ...  # noqa: D102

    def info(self) -> Any: ...  # noqa: D102


Handle = Normalizer | Remote


def begin(stream: Remote | None, config: Mapping[str, Any]) -> Handle:
    """Return a freshly configured backend without statistics."""
    if stream is None:
        return Normalizer(**config)
    stream.configure(**config)
    stream.reset()
    return stream


def observe_block(handle: Handle, rows: Array, features: Sequence[str]) -> Array:
    """Learn from a block of `rows` (rows × `features`) with the backend `handle`, and return it normalized."""
    if isinstance(handle, Normalizer):
        return np.asarray(handle.observe_block(rows, features=features).values)
    return np.asarray(handle.bulk(rows, features=features).values)


def normalize_block(handle: Handle, rows: Array, features: Sequence[str]) -> Array:
    """Normalize a block of `rows` (rows × `features`) with the backend `handle`, without learning."""
    if isinstance(handle, Normalizer):
        return np.asarray(handle.normalize_block(rows, features=features).values)
    return np.asarray(handle.bulk(rows, features=features, learn=False).values)


def observe_frame(handle: Handle, rows: pd.DataFrame) -> pd.DataFrame:
    """Learn from a data frame, whose column of datetimes is the time, and return it normalized."""
    answer = handle.observe_block(rows) if isinstance(handle, Normalizer) else handle.bulk(rows)
    found: pd.DataFrame = answer.values
    return found


def normalize_frame(handle: Handle, rows: pd.DataFrame) -> pd.DataFrame:
    """Normalize a data frame without learning; a column of datetimes stays."""
    answer = handle.normalize_block(rows) if isinstance(handle, Normalizer) else handle.bulk(rows, learn=False)
    found: pd.DataFrame = answer.values
    return found


def denormalize_block(handle: Handle, rows: Array, features: Sequence[str]) -> Array:
    """Convert normalized `rows` (rows × `features`) back with the backend `handle`, in three calls for any size.

    Raises:
        CannotInvert: as the engine, or the service, says of a value; a feature never seen gives NaN.

    """
    today = handle.normalize(dict.fromkeys(features, 0.0), stats=True)
    config = handle.config if isinstance(handle, Normalizer) else handle.info().config
    affine: Mapping[str, Mapping[str, float]] = config.get("affine", {})
    gamma = np.array([affine.get(name, {}).get("gamma", 1.0) for name in features])
    beta = np.array([affine.get(name, {}).get("beta", 0.0) for name in features])
    mean, std = (np.array([each[name] for name in features], dtype=np.float64) for each in (today.mean, today.std))
    known = ~np.isnan(mean)
    if known.any():  # a value of each feature, one that differs from β where there is one, tells whether it can be
        differs = (rows != beta) & ~np.isnan(rows)
        chosen = rows[differs.argmax(axis=0), np.arange(len(features))]
        asked = np.where(np.isnan(chosen), beta, chosen)
        handle.denormalize({name: float(asked[place]) for place, name in enumerate(features) if known[place]})
    back: Array = (rows - beta) / np.where(known, gamma, 1.0) * std + mean
    return back
