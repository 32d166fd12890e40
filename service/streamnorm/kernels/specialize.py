"""Binds loops to a method's step: the same source, interpreted or compiled.

`decorate` compiles a function or leaves it as it is; `label` is a part of its name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

from streamnorm.kernels import templates
from streamnorm.kernels.method import Method

#: what the names of the modules begin with whose functions are kernels
KERNELS = __package__ + "."

Decorate = Callable[[Callable[..., Any]], Callable[..., Any]]


def specialize(function: Any, names: dict[str, Any], *, decorate: Decorate, label: str) -> Callable[..., Any]:
    """Build a function anew with some of its global names bound, and the kernels it calls decorated as it is.

    Numba caches compiled code on disk by a function's file, line and qualified name but not by its closure, which is
    why the loops are bound through globals, under a label of their own. Kernels that nothing is bound in are shared.
    """
    scope = {**function.__globals__, **names}
    for name in function.__code__.co_names:
        value = scope.get(name)
        if name not in names and isinstance(value, FunctionType) and value.__module__.startswith(KERNELS):
            scope[name] = _shared(value, decorate, label)
    copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__)
    copy.__module__ = function.__module__
    copy.__qualname__ = f"{label}.{function.__name__}"
    return decorate(copy)


@functools.cache
def _shared(function: Any, decorate: Decorate, label: str) -> Callable[..., Any]:
    return specialize(function, {}, decorate=decorate, label=label)


def bound_observe(method: Method, *, decorate: Decorate, label: str) -> Callable[..., Any]:
    """Bind `loops.observe` to a method's step."""
    step = bound_step(method, decorate=decorate, label=label)
    return specialize(templates.observe, {"step": step}, decorate=decorate, label=label)


def bound_step(method: Method, *, decorate: Decorate, label: str) -> Callable[..., Any]:
    """Return a method's step, behind that of the base block where it has a block of its own."""
    build = functools.partial(specialize, decorate=decorate, label=label)
    step = build(method.step, {})
    return step if method.base else build(templates.step_behind_base, {"step": step})


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function with nothing: it is interpreted."""
    return function
