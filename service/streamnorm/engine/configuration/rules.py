"""Rules: how some features of some streams are treated.

Rules:

1. All rules that match are laid over each other in their order; a stream's own configuration lies on top, and its
   `features` on top of that. What is said twice holds as it was said last.
2. A parameter that a feature's method does not have is left out: a rule may speak to many.
3. Globs are those of file names, and case matters: `*`, `?`, `[abc]`, `[!abc]`.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from streamnorm.engine.configuration.config import CONFIGURATIONS, TIMED, Configuration, configuration
from streamnorm.engine.validation import escape_pointer
from streamnorm.errors import Fault, InvalidConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: matches all
ALL = "*"
LONGEST_GLOB = 256
#: A rule a device at a large site.
MOST_FEATURES = 1024
#: members of a plan's key beside the flat configuration
LAYERS, OWN = "layers", "own"


class Layer(NamedTuple):
    """Parameters of the features that a glob matches."""

    features: str
    parameters: Mapping[str, Any]

    def matches(self, name: str) -> bool:
        """Return whether it speaks of a feature."""
        return fnmatchcase(name, self.features)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {"features": self.features, **self.parameters}


class Rule(NamedTuple):
    """Parameters of the features that a glob matches, in the streams that another one matches."""

    streams: str
    layer: Layer

    def matches(self, stream_id: str) -> bool:
        """Return whether it speaks of a stream."""
        return fnmatchcase(stream_id, self.streams)


class Rules(NamedTuple):
    """All rules of a service, in order."""

    rules: tuple[Rule, ...] = ()


class RuleIndex:
    """Finds those of many `rules` that speak of a stream: only globs that begin as its id does are compared with it."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._places: dict[str, list[int]] = {}
        for place, rule in enumerate(rules):
            self._places.setdefault(literal_prefix(rule.streams), []).append(place)
        self._lengths = {len(prefix) for prefix in self._places}

    def find(self, stream_id: str) -> tuple[int, ...]:
        """Return the places of the rules that speak of a stream, in their order."""
        prefixes = [stream_id[:length] for length in self._lengths if length <= len(stream_id)]
        near = [place for prefix in prefixes for place in self._places.get(prefix, ())]
        return tuple(sorted(place for place in near if self._rules[place].matches(stream_id)))


def literal_prefix(glob: str) -> str:
    """Return what all texts begin with that a glob matches.

    >>> literal_prefix("roof-[12]-*"), literal_prefix("*")
    ('roof-', '')
    """
    return re.split(r"[*?[]", glob, maxsplit=1)[0]


def parse_rule(data: Mapping[str, Any]) -> Rule:
    """Check a rule: `streams` and `features`, which are globs, and any parameters of a configuration.

    >>> parse_rule({"features": "door*", "horizon": 20000})
    Rule(streams='*', layer=Layer(features='door*', parameters={'horizon': 20000}))

    Raises:
        InvalidConfiguration: naming every fault.

    """
    faults = [*_glob_faults("streams", data.get("streams", ALL))]
    try:
        layer = layer_of({key: value for key, value in data.items() if key != "streams"})
    except InvalidConfiguration as error:
        faults += error.faults
    if faults:
        raise InvalidConfiguration.of(faults)
    return Rule(data.get("streams", ALL), layer)


def layer_of(data: Mapping[str, Any]) -> Layer:
    """Check a layer: `features`, which is a glob, and any parameters of a configuration.

    Raises:
        InvalidConfiguration: naming every fault.

    """
    glob = data.get("features", ALL)
    faults = [*_glob_faults("features", glob)]
    parameters = {key: value for key, value in data.items() if key != "features"}
    if not parameters:
        faults.append(Fault("", "has no parameter"))
    try:
        check_parameters(parameters)
    except InvalidConfiguration as error:
        faults += error.faults
    if faults:
        raise InvalidConfiguration.of(faults)
    return Layer(glob, parameters)


def split_features(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[Layer, ...]:
    """Check what is set for one stream, a flat configuration and its `features`, and return it as layers.

    Raises:
        InvalidConfiguration: naming every fault.

    """
    common = {key: value for key, value in config.items() if key != "features"}
    configuration(common, defaults)
    layers = [Layer(ALL, common)] if common else []
    features = config.get("features", {})
    if not isinstance(features, dict) or len(features) > MOST_FEATURES:
        detail = f"must be an object of at most {MOST_FEATURES} globs, each with its parameters"
        raise InvalidConfiguration.at("/features", detail)
    faults: list[Fault] = []
    for glob, parameters in features.items():
        pointer = f"/features/{escape_pointer(str(glob))}"
        faults += [Fault(pointer, detail) for _, detail in _glob_faults("features", glob)]
        if not isinstance(parameters, dict):
            faults.append(Fault(pointer, "must be an object of parameters"))
            continue
        try:
            layers.append(_own_layer(glob, parameters, common))
        except InvalidConfiguration as error:
            faults += error.within(pointer).faults
    if faults:
        raise InvalidConfiguration.of(faults)
    return tuple(layers)


def _own_layer(glob: str, parameters: Mapping[str, Any], below: Mapping[str, Any]) -> Layer:
    """Check parameters of features against the method that is set for them, or for the stream below them."""
    layer = layer_of({**parameters, "features": glob})
    method = parameters.get("method", below.get("method"))
    if method is None:
        return layer  # a rule may say which
    strange = [key for key in parameters if key not in CONFIGURATIONS[method].model_fields]
    if strange:
        raise InvalidConfiguration.of([Fault(f"/{key}", f"is unknown to the method {method}") for key in strange])
    if parameters.get("time_constant") is not None and method not in TIMED:
        raise InvalidConfiguration.at("/time_constant", f"does not go with the method {method}, which counts readings")
    settled(overlay([below, parameters]))
    return layer


def _glob_faults(key: str, glob: object) -> Iterator[Fault]:
    if not isinstance(glob, str) or not 0 < len(glob) <= LONGEST_GLOB:
        yield Fault(f"/{key}", f"must be a glob of 1 to {LONGEST_GLOB} characters, not {glob!r}")


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check some parameters of a configuration, which need not name their method.

    Raises:
        InvalidConfiguration: no method has them, or a value is out of its limits.

    """
    if "method" in parameters:
        configuration(parameters, {})
        return
    known = {key for model in CONFIGURATIONS.values() for key in model.model_fields}
    unknown = [Fault(f"/{key}", "is unknown") for key in parameters if key not in known]
    if unknown:
        raise InvalidConfiguration.of(unknown)
    methods = [name for name, model in CONFIGURATIONS.items() if model.model_fields.keys() >= parameters.keys()]
    if not methods:
        own = sorted(key for key in parameters if key not in Configuration.model_fields)
        raise InvalidConfiguration.at(f"/{own[0]}", f"no method has {' and '.join(own)}")
    errors = []
    for method in methods:
        try:
            configuration({**parameters, "method": method}, {})
        except InvalidConfiguration as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def overlay(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Lay parameters over each other; `horizon` and `time_constant` replace each other."""
    laid: dict[str, Any] = {}
    for layer in layers:
        for one, other in (("horizon", "time_constant"), ("time_constant", "horizon")):
            if layer.get(one) is not None and layer.get(other) is None:
                laid.pop(other, None)
        laid.update(layer)
    return laid


def settled(parameters: Mapping[str, Any]) -> Configuration:
    """Return the configuration of parameters that were laid over each other, without those its method does not have.

    Raises:
        InvalidConfiguration: parameters that are valid each do not go together.

    """
    method = parameters.get("method", "online")
    fields = CONFIGURATIONS[method].model_fields
    kept = {key: value for key, value in parameters.items() if key in fields}
    if method not in TIMED:
        kept.pop("time_constant", None)
    return configuration(kept, {})
