"""A Gymnasium wrapper: observations at zero mean and unit variance, by running statistics with a horizon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict

from streamnorm.adapters import handle

ONE_AXIS = 1


class NormalizeObservation(gymnasium.ObservationWrapper[Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Normalize the observations of an environment (`env`), and learn from them while `learn` is true.

    Of a flat Box every element is a feature; a Box of more axes, such as a picture, is one channel, whose elements
    share a mean and a variance. In a Dict every entry is a feature or a channel, one in a Dict within it
    under both names, such as `camera.left`. `config` is that of a stream; with
    `stream`, a handle of the SDK, the statistics live in a service, where a fleet of environments can share them.

    Raises:
        ValueError: the observations are neither a Box nor a Dict of Boxes.

    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        config: Mapping[str, Any] | None = None,
        stream: handle.Remote | None = None,
    ) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, config=config, stream=stream)
        super().__init__(env)
        space = env.observation_space
        self.observation_space = _unbounded(space)
        self.normalizer: Any = handle.begin(stream, config or {})
        #: set it to False for evaluation, with the statistics frozen
        self.learn = True
        self._flat = isinstance(space, Box) and len(space.shape) == ONE_AXIS

    def observation(self, observation: Any) -> Any:
        """Normalize one observation; unknown features, and those without variance yet, are 0."""
        call = self.normalizer.observe if self.learn else self.normalizer.normalize
        if isinstance(observation, Mapping):
            flat = dict(_flattened(observation))
            return _nested(observation, call({name: _plain(value) for name, value in flat.items()}).values)
        if self._flat:
            return _array(call(np.asarray(observation, dtype=np.float64)).values, np.shape(observation))
        return _array(call({"observation": _plain(observation)}).values["observation"], np.shape(observation))


def _unbounded(space: gymnasium.Space[Any]) -> gymnasium.Space[Any]:
    if isinstance(space, Dict):
        return Dict({name: _unbounded(inner) for name, inner in space.spaces.items()})
    if not isinstance(space, Box):
        message = f"observations must be a Box or a Dict of Boxes, not {space}"
        raise ValueError(message)  # noqa: TRY004 - its value is at fault
    return Box(-np.inf, np.inf, space.shape, np.float32)


def _flattened(observation: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """List the entries of an observation, those of a Dict in it under both names: `camera.left`."""
    for name, value in observation.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _nested(observation: Mapping[str, Any], ys: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    return {
        name: _nested(value, ys, f"{prefix}{name}.")
        if isinstance(value, Mapping)
        else _array(ys[prefix + name], np.shape(value))
        for name, value in observation.items()
    }


def _plain(value: Any) -> Any:
    array = np.asarray(value, dtype=np.float64)
    return array if array.ndim else float(array)


def _array(ys: Any, shape: tuple[int, ...]) -> Any:
    array = np.zeros(shape) if ys is None else np.asarray(ys, dtype=np.float64).reshape(shape)
    return np.asarray(np.nan_to_num(array, nan=0.0), dtype=np.float32)
