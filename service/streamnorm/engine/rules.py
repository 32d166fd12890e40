"""Rules: how some features of some streams are treated.

Rules:

1. All rules that match are laid over each other in their order; a stream's own configuration lies on top, and its
   `features` on top of that. What is said twice holds as it was said last.
2. A parameter that a feature's method does not have is left out: a rule may speak to many.
3. Globs are those of file names, and case matters: `*`, `?`, `[abc]`, `[!abc]`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from streamnorm.engine.config import CONFIGURATIONS, TIMED, Configuration, configuration, to_json
from streamnorm.errors import Fault, InvalidConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: matches all
ALL = "*"
#: what a rule has beside parameters
GLOBS = ("streams", "features")
LONGEST_GLOB = 256


class Layer(NamedTuple):
    """Parameters of the features that a glob matches."""

    features: str
    parameters: Mapping[str, Any]


class Rule(NamedTuple):
    """Parameters of the features that a glob matches, in the streams that another one matches."""

    streams: str
    layer: Layer


class Rules(NamedTuple):
    """All rules of a service, in order."""

    rules: tuple[Rule, ...] = ()

    def layers(self, stream_id: str) -> list[Layer]:
        """Return the layers of a stream, the lowest first."""
        return [rule.layer for rule in self.rules if fnmatchcase(stream_id, rule.streams)]


def parse_rule(data: Mapping[str, Any]) -> Rule:
    """Check a rule: `streams` and `features`, which are globs, and any parameters of a configuration.

    >>> parse_rule({"features": "door*", "horizon": 20000})
    Rule(streams='*', layer=Layer(features='door*', parameters={'horizon': 20000}))

    Raises:
        InvalidConfiguration: naming every fault.

    """
    faults: list[Fault] = []
    globs = []
    for key in GLOBS:
        glob = data.get(key, ALL)
        if not isinstance(glob, str) or not 0 < len(glob) <= LONGEST_GLOB:
            faults.append(Fault(f"/{key}", f"must be a glob of 1 to {LONGEST_GLOB} characters, not {glob!r}"))
        globs.append(str(glob))
    parameters = {key: value for key, value in data.items() if key not in GLOBS}
    if not parameters:
        faults.append(Fault("", "has no parameter"))
    try:
        check_parameters(parameters)
    except InvalidConfiguration as error:
        faults += error.faults
    if faults:
        raise InvalidConfiguration.of(faults)
    return Rule(globs[0], Layer(globs[1], parameters))


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


def parameters_of(config: Configuration) -> dict[str, Any]:
    """Return a configuration's parameters as they lie under others."""
    return to_json(config)
