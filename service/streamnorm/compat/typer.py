"""Typer's validators of options, of which a command needs one a type rather than one an option.

Typer builds a validator of pydantic for each option, which takes a millisecond; `streamnorm backfill` has 35 options.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from typer import _adapters
from typer.models import OptionInfo, ParameterInfo

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: the types of options of which a validator knows nothing but the type, if the option has no `parser`
SHARED = (str, bool, list[str])
_build = _adapters.build_adapter


def share_validators() -> None:
    """Let options of the same type share their validator."""
    _adapters.build_adapter = _built


def _built(annotation: Any, parameter_info: ParameterInfo) -> TypeAdapter[Any]:
    if parameter_info.parser is None and annotation in SHARED:
        return _shared(annotation)
    return _build(annotation, parameter_info)


@functools.cache
def _shared(annotation: Any) -> TypeAdapter[Any]:
    return _build(annotation, OptionInfo())
