"""A plan: a configuration worked out for the hot path, shared by all streams that are configured alike.

A stream's plan is the one of its features, unless rules or its own configuration speak of some of them: then `of` gives
a feature's part, which is a plan that speaks of all alike, and what is done to values before.
"""

from __future__ import annotations

import functools
import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from streamnorm.engine.configuration.config import PREPARATION, Configuration, configuration, key_of, to_json
from streamnorm.engine.configuration.preparation import Preparation
from streamnorm.engine.configuration.rules import ALL, LAYERS, OWN, Layer, layer_of, overlay, settled, split_features
from streamnorm.errors import InvalidConfiguration
from streamnorm.kernels import base_statistics as base
from streamnorm.kernels import kernel_for
from streamnorm.kernels.cpu.loops import RowConstants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: features whose parts a plan remembers
REMEMBERED = 4096
#: Rules that speak of one stream, and what is set for it.
MOST_LAYERS = 4096
#: what `finish` is told where a method compensates nothing: no bound, no layer scaling
NO_COMPENSATION = (math.inf, -1.0)
#: readings that have an order
SHORTEST_ORDER = 2


class Part(NamedTuple):
    """How a feature is treated: its plan, and what is done to its values before."""

    plan: Plan
    preparation: Preparation | None
    unit: str | None


class Plan:
    """What observing needs to know of a configuration; immutable, one for all equal configurations.

    `config` is what holds for features of which no layer speaks. `layers` are those that made it, the lowest first;
    there are none where only a stream's own configuration and the service's defaults did. `own` is what was set for
    the stream itself; None where nothing was, or where it is not known.
    """

    __slots__ = (
        "_parts",
        "clamp",
        "clocked",
        "common",
        "compensation",
        "config",
        "finishes",
        "kernel",
        "key",
        "layers",
        "missing",
        "mixed",
        "most_weight",
        "observe",
        "own",
        "p",
        "patience",
        "row",
        "rule",
        "stride",
        "timed",
        "warmup",
    )

    def __init__(self, config: Configuration, layers: Sequence[Layer] = (), own: Sequence[Layer] | None = None) -> None:
        self.config = config
        self.layers = tuple(layers)
        self.own = None if own is None else tuple(own)
        self.key = _key(config, self.layers, own)
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
        #: what compiled code is given of this plan with each reading
        self.row = RowConstants(self.rule, self.p, self.stride)
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

        preparation = Preparation.of(config)
        bare = preparation is None and config.unit is None and not self.layers and own is None
        self._parts: dict[str, Part] = {}
        #: the part of a feature of which no layer speaks
        self.common = Part(self, None, None) if bare else _part(config)
        #: whether features may differ, or are prepared
        self.mixed = preparation is not None or any(layer.features != ALL for layer in self.layers)
        #: whether the time of a reading matters
        self.clocked = self.timed or any(
            map(_is_clocked, (to_json(config), *(layer.parameters for layer in self.layers)))
        )

    def __reduce__(self) -> tuple[Callable[[str], Plan], tuple[str]]:
        """Pickle as the key, so that equal plans are one also where they are unpickled."""
        return of_key, (self.key,)

    def of(self, name: str) -> Part:
        """Return how a feature of this name is treated.

        Raises:
            InvalidConfiguration: the layers that speak of it do not go together.

        """
        if not self.mixed:
            return self.common
        part = self._parts.get(name)
        if part is None:
            part = self.common
            if any(layer.features != ALL and layer.matches(name) for layer in self.layers):
                part = _part(self.config_of(name))
            if len(self._parts) < REMEMBERED:
                self._parts[name] = part
        return part

    def config_of(self, name: str) -> Configuration:
        """Return a feature's whole configuration, with what is done to its values before.

        Raises:
            InvalidConfiguration: as for `of`.

        """
        if not self.mixed or not self.layers:
            return self.config
        return settled(overlay([layer.parameters for layer in self.layers if layer.matches(name)]))

    def gamma_beta(self, name: str) -> tuple[float, float]:
        """Return a feature's affine map."""
        affine = self.config.affine.get(name)
        return (affine.gamma, affine.beta) if affine else (1.0, 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as plain JSON data; `features` are what differs by feature, as far as it holds."""
        features: dict[str, dict[str, Any]] = {}
        for glob, parameters in self.layers:
            if glob != ALL:
                features[glob] = overlay([features.pop(glob, {}), parameters])
                continue
            for name, before in [*features.items()]:  # what is said last holds
                both = overlay([before, parameters])
                features[name] = {key: value for key, value in before.items() if key in both and key not in parameters}
                if not features[name]:
                    del features[name]
        return to_json(self.config) | ({"features": features} if features else {})

    def to_snapshot(self) -> dict[str, Any]:
        """Return all that made the plan as plain JSON data, for `of_snapshot`."""
        data: dict[str, Any] = json.loads(self.key)
        return data


def of_snapshot(data: Mapping[str, Any]) -> Plan:
    """Return the plan of what `Plan.to_snapshot` returned.

    Raises:
        InvalidConfiguration: something in it is invalid.

    """
    layers, own = (_layers(data.get(key), f"/{key}") for key in (LAYERS, OWN))
    config = configuration({key: value for key, value in data.items() if key not in {LAYERS, OWN}}, {})
    return of_key(_key(from_layers(layers) if layers else config, layers or (), own))


def of_configuration(config: Mapping[str, Any]) -> Plan:
    """Return the plan of a flat configuration that may have `features`, where there are no rules beneath it.

    Raises:
        InvalidConfiguration: naming every fault.

    """
    if "features" not in config:
        return plan(configuration(config, {}))
    own = split_features(config, {})
    return of_layers([Layer(ALL, {"method": "online"}), *own], own)


def of_layers(layers: Sequence[Layer], own: Sequence[Layer] | None) -> Plan:
    """Return the plan of layers, the lowest first; those that were set for the stream itself are among them.

    Where none is a rule and none speaks of some features only, the plan is that of a flat configuration.

    Raises:
        InvalidConfiguration: they do not go together.

    """
    plain = len(layers) <= 1 + len(own or ()) and all(layer.features == ALL for layer in layers)
    return of_key(_key(from_layers(layers), () if plain else layers, own))


def from_layers(layers: Sequence[Layer]) -> Configuration:
    """Return what holds for features of which no layer speaks by name."""
    return settled(overlay([layer.parameters for layer in layers if layer.features == ALL]))


def _layers(data: Any, pointer: str) -> list[Layer] | None:
    if data is None:
        return None
    if not isinstance(data, list) or len(data) > MOST_LAYERS or not all(isinstance(item, dict) for item in data):
        raise InvalidConfiguration.at(pointer, f"must be an array of at most {MOST_LAYERS} objects")
    layers = []
    for place, item in enumerate(data):
        try:
            layers.append(layer_of(item))
        except InvalidConfiguration as error:
            raise error.within(f"{pointer}/{place}") from None
    return layers


def _key(config: Configuration, layers: Sequence[Layer], own: Sequence[Layer] | None) -> str:
    """Return the text by which equal plans are equal."""
    data = to_json(config)
    if layers:
        data[LAYERS] = [layer.to_json() for layer in layers]
    if own is not None:
        data[OWN] = [layer.to_json() for layer in own]
    return json.dumps(data, sort_keys=True)


def _part(config: Configuration) -> Part:
    fields = type(config).model_fields
    plain = config.model_copy(update={key: fields[key].get_default() for key in PREPARATION if _is_ours(config, key)})
    return Part(of_key(key_of(plain)), Preparation.of(config), config.unit)


def _is_ours(config: Configuration, key: str) -> bool:
    return not (key == "period" and config.method == "streaming")


def _is_clocked(parameters: Mapping[str, Any]) -> bool:
    return parameters.get("time_constant") is not None or parameters.get("transform") == "rate"


@functools.lru_cache(maxsize=4096)
def of_key(key: str) -> Plan:
    """Return the plan of a configuration's key."""
    data = json.loads(key)
    layers = [layer_of(item) for item in data.pop(LAYERS, ())]
    own = [layer_of(item) for item in data.pop(OWN)] if OWN in data else None
    return Plan(configuration(data, {}), layers, own)


def plan(config: Configuration) -> Plan:
    """Return the plan of a configuration."""
    return of_key(key_of(config))
