"""What compiled loops see of memory: pointers made of addresses, and a column of a state that is laid out by value.

A plain pointer, which has no negative indices to look out for, makes a loop 2.6 times as fast as a NumPy array does.
float32 is widened where it is read and rounded where it is written, so that a step is compiled for float64 alone.

A feature's state lies in one piece, which suits one reading at a time. In a block, the processor's wide registers want
the same number of neighbouring columns side by side. `lane` takes one column of a state of that layout into variables
of the loop's body and `keep_lane` puts it back: between them nothing is written to memory, so a step's branches become
selections, which LLVM's vectorizer can do for several columns with one instruction, on processors without masked
stores, too. Every operation is still rounded for itself, as in one column alone: the bits are the same.
"""

from __future__ import annotations

import operator
from typing import Any

from numba.core import cgutils, types
from numba.core.typing import templates
from numba.extending import intrinsic, lower_builtin, models, register_model

from streamnorm.kernels.templates import LANES

_types: Any = types  # their functions have no annotations
_templates: Any = templates
_cgutils: Any = cgutils
_models: Any = models
_intrinsic: Any = intrinsic
_lower: Any = lower_builtin
_pointer: Any = _types.CPointer(_types.float64)


class Singles(_types.Type):  # type: ignore[misc]
    """The type of a pointer to float32 that is read and written as float64."""

    def __init__(self) -> None:
        super().__init__(name="Singles")


SINGLES = Singles()


@register_model(Singles)
class _Model(_models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, manager.lookup(_types.CPointer(_types.float32)).get_value_type())


@_templates.infer_global(operator.getitem)
class _Get(_templates.AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, _kws: Any) -> Any:
        return _templates.signature(_types.float64, SINGLES, _types.intp) if args[0] is SINGLES else None


@_templates.infer_global(operator.setitem)
class _Set(_templates.AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, _kws: Any) -> Any:
        signature = _templates.signature(_types.none, SINGLES, _types.intp, _types.float64)
        return signature if args[0] is SINGLES else None


def _get(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    pointer, at = arguments
    value = builder.load(builder.gep(pointer, [at], inbounds=True))
    return builder.fpext(value, target.get_value_type(signature.return_type))


def _set(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
    pointer, at, value = arguments
    narrow = builder.fptrunc(value, target.get_value_type(_types.float32))
    builder.store(narrow, builder.gep(pointer, [at], inbounds=True))
    return target.get_dummy_value()


_lower(operator.getitem, SINGLES, _types.intp)(_get)
_lower(operator.setitem, SINGLES, _types.intp, _types.float64)(_set)


def _pointer_to(kind: Any) -> Any:
    def pointer(_context: Any, address: Any) -> Any:
        def build(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], target.get_value_type(signature.return_type))

        return kind(address), build

    return _intrinsic(pointer)


doubles: Any = _pointer_to(_pointer)
singles: Any = _pointer_to(SINGLES)
integers: Any = _pointer_to(_types.CPointer(_types.int64))


def lanes_of(size: int) -> tuple[Any, Any]:
    """Build `lane` and `keep_lane` for states of `size` numbers.

    The first takes the column of a number out of a state of `LANES` columns, by the pointer to it; the other puts it
    back.
    """

    def places(target: Any, builder: Any, state: Any, number: Any) -> Any:
        """Yield each place in a state, and where that of a column's lies; the distance is a constant."""
        kind = target.get_value_type(_types.intp)
        for place in range(size):
            yield kind(place), builder.gep(state, [builder.add(kind(place * LANES), number)], inbounds=True)

    def lane(_context: Any, _state: Any, _number: Any) -> Any:
        def build(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            own = _cgutils.alloca_once(builder, target.get_value_type(_types.float64), size=size)
            for place, there in places(target, builder, *arguments):
                builder.store(builder.load(there), builder.gep(own, [place], inbounds=True))
            return own

        return _pointer(_pointer, _types.intp), build

    def keep_lane(_context: Any, _own: Any, _state: Any, _number: Any) -> Any:
        def build(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            own, state, number = arguments
            for place, there in places(target, builder, state, number):
                builder.store(builder.load(builder.gep(own, [place], inbounds=True)), there)
            return target.get_dummy_value()

        return _types.none(_pointer, _pointer, _types.intp), build

    return _intrinsic(lane), _intrinsic(keep_lane)
