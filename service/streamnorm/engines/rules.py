"""How streams are configured in Flink and Spark: as by a service, whose rulebook this is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streamnorm import config_file
from streamnorm.engine.configuration.plan import Plan, of_configuration
from streamnorm.engine.configuration.rules import Rules
from streamnorm.engine.streams.rulebook import Rulebook
from streamnorm.errors import InvalidConfiguration

#: A configuration of new streams, which may have `features`; or the rules of a `streamnorm.toml`: the file, what was
#: read of it, or a rulebook.
AnyRules = Mapping[str, Any] | str | os.PathLike[str] | config_file.ConfigFile | Rules | Rulebook


def rulebook_of(rules: AnyRules) -> Rulebook:
    """Return the rulebook of `rules`, of whichever kind; a rulebook can be pickled.

    Of a `streamnorm.toml` its rules hold for every stream that they match, over the defaults of a configuration, at its
    next reading; its mappings are a service's business. Without such rules, streams keep the configuration that they
    were made with.

    >>> rulebook_of({"horizon": 500}).new("boiler-7").plan.config.horizon
    500.0

    Raises:
        InvalidConfiguration: the configuration is invalid.
        InvalidConfigFile: the file is invalid.

    """
    if isinstance(rules, Rulebook):
        return rules
    if isinstance(rules, (str, os.PathLike)):
        rules = config_file.read(Path(rules))
    if isinstance(rules, config_file.ConfigFile):
        rules = rules.rules
    if isinstance(rules, Rules):
        return Rulebook(of_configuration({}), rules)
    return Rulebook(of_configuration(rules))


def refuse_circular(plan: Plan, columns: Sequence[str]) -> None:
    """Refuse a plan that makes two values of a feature in `columns`, which have room for one each.

    Raises:
        InvalidConfiguration: naming the feature.

    """
    if not plan.mixed:
        return
    for name in columns:
        preparation = plan.of(name).preparation
        if preparation is not None and len(preparation.names(name)) > 1:
            detail = f"circular makes two values of {name!r}, whose column has room for one: put features into a map"
            raise InvalidConfiguration.at("/transform", detail)
