"""The entries of compiled loops: functions of addresses and numbers, which C has too, around the loops of a method.

`streamnorm.kernels.cpu.loops` and `stacks` call them: Numba compiled them in this process, or a build did before it.

An argument is the address of what the loop's parameter of that name is: `values`, `times`, `rule`, `p`, `state`,
`starts`, `ends`, `span`, `begins`, `tile`, `out`, `gamma`, `beta`, `compensation`; or a number: `rows`, `columns`,
`size`, `limit`, `missing`, `clamp`; `call` is what `streamnorm.kernels.cpu.loops.row_call` packs. `label` is a part of
the functions' names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit as numba_njit

from streamnorm.kernels import templates
from streamnorm.kernels.base_statistics import SIZE, update_base
from streamnorm.kernels.cpu.loops import CALL_SIZE
from streamnorm.kernels.cpu.pointers import doubles, integers, lanes_of, singles
from streamnorm.kernels.method import Buffer, Method, Packed
from streamnorm.kernels.specialize import Decorate, bound_observe, bound_step, specialize

njit: Any = numba_njit  # its types do not know every option


def numbers(_address: int) -> Buffer:
    """Stand in for `doubles` or `singles`, whichever the values are."""
    raise NotImplementedError


def parameters(_address: int) -> Packed:
    """Stand in for `doubles`, or for `counted` with a number of parts."""
    raise NotImplementedError


# Each stands in for the loop of `streamnorm.kernels.templates` that it is bound to.
row_loop, rows_loop, lanes_loop = templates.observe_row, templates.observe_rows, templates.observe_lanes
beside_loop = templates.observe_beside
finish_loop, wild_loop = templates.finish_rows, templates.first_out_of_range


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function into those that call it; no fast-math: the bits stay the interpreter's."""
    # nothing but compiled code calls it
    compiler = njit(nogil=True, error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
    return compiler(function)


@inlined
def two(address: int) -> tuple[float, float]:
    """Read two numbers."""
    at = doubles(address)
    return at[0], at[1]


@inlined
def four(address: int) -> tuple[float, float, float, float]:
    """Read four numbers; of those that stay in memory, each write to a state could change one, for all LLVM knows."""
    at = doubles(address)
    return at[0], at[1], at[2], at[3]


def counted(count: int) -> Any:
    """Build what reads the parameters of a method whose blocks have so many parts: their number is a constant."""

    def read(address: int) -> tuple[float, float, float, float]:
        at = doubles(address)
        return float(count), at[1], at[2], at[3]

    return inlined(read)


@inlined
def four_integers(address: int) -> tuple[int, int, int, int]:
    """Read four whole numbers."""
    at = integers(address)
    return at[0], at[1], at[2], at[3]


def row(call: int) -> bool:
    """Run `templates.observe_row`."""
    values, count, _, states = four_integers(call)
    constants = integers(integers(call)[4])
    rule, p, stride = constants[0], constants[1], constants[2]
    return row_loop(doubles(values), count, doubles(call)[2], four(rule), doubles(p), doubles(states), 0, stride)


def readings(calls: int, count: int) -> None:
    """Run `row` on one call after the other; what it returns replaces the number of values in a call."""
    for place in range(count):
        call = calls + CALL_SIZE * place
        integers(call)[1] = row(call)


def rows(values: int, times: int, rule: int, p: int, state: int, starts: int, ends: int, span: int, out: int) -> None:
    """Run `templates.observe_rows`."""
    rows_loop(
        numbers(values),
        doubles(times),
        four(rule),
        doubles(p),
        doubles(state),
        integers(starts),
        integers(ends),
        four_integers(span),
        numbers(out),
    )


def lanes(values: int, rule: int, p: int, state: int, span: int, tile: int, out: int) -> None:
    """Run `templates.observe_lanes`."""
    at = four_integers(span)
    lanes_loop(numbers(values), four(rule), parameters(p), doubles(state), at, doubles(tile), numbers(out))


def beside(values: int, rule: int, p: int, state: int, span: int, begins: int, tile: int, out: int) -> None:
    """Run `templates.observe_beside`."""
    at = four_integers(span)
    beside_loop(
        numbers(values), four(rule), doubles(p), doubles(state), at, integers(begins), doubles(tile), numbers(out)
    )


def finish(
    out: int, rows: int, columns: int, missing: float, clamp: float, gamma: int, beta: int, compensation: int
) -> None:
    """Run `templates.finish_rows`."""
    finish_loop(doubles(out), rows, columns, missing, clamp, doubles(gamma), doubles(beta), two(compensation))


def wild(values: int, size: int, limit: float) -> int:
    """Run `templates.first_out_of_range`."""
    return wild_loop(numbers(values), size, limit)


def entries(method: Method | None, decorate: Callable[[str], Decorate], label: str = "") -> dict[str, Any]:
    """Return a method's entries by name, or those that all methods share; `decorate` compiles the one of a name."""

    def inner(loop: Callable[..., Any], **names: Any) -> Any:
        return specialize(loop, names, decorate=inlined, label="")

    def entry(name: str, function: Any, numbers: Any = doubles, **names: Any) -> Any:
        return specialize(function, {"numbers": numbers, **names}, decorate=decorate(name), label=f"{label}-{name}")

    if method is None:
        loop = inner(templates.first_out_of_range)
        return {
            "finish": entry("finish", finish, finish_loop=inner(templates.finish_rows)),
            "wild": entry("wild", wild, wild_loop=loop),
            "wild_of_singles": entry("wild_of_singles", wild, singles, wild_loop=loop),
        }
    observe = bound_observe(method, decorate=inlined, label="")
    alike = {
        "update_unturned": inner(update_base, turn=inner(templates.no_turn)),
        "step": bound_step(method, decorate=inlined, label=""),
    }
    block = inner(templates.observe_rows, observe=observe)
    one = inner(templates.observe_row, observe=observe)
    found = {
        "row": entry("row", row, row_loop=one),
        "readings": entry("readings", readings, row=inner(row, row_loop=one)),
        "rows": entry("rows", rows, rows_loop=block),
        "rows_of_singles": entry("rows_of_singles", rows, singles, rows_loop=block),
    }
    for count in method.counts:
        size = SIZE if method.base else SIZE + method.size((count, 0.0, 0.0, 0.0))
        lane, keep_lane = lanes_of(size)
        names = {"lane": lane, "keep_lane": keep_lane}
        names["observe_tile"] = inner(templates.observe_tile, observe=observe, **names)
        names["observe_alike"] = inner(templates.observe_alike, **alike, **names)
        loop = inner(templates.observe_lanes, SIZE=size, UNIFORM=method.base, **names)
        several = inner(templates.observe_beside, UNIFORM=method.base, **names)
        for end, kind in (("", doubles), ("_of_singles", singles)):
            p = doubles if method.base else counted(count)
            found[f"lanes_{count}{end}"] = entry(f"lanes_{count}{end}", lanes, kind, lanes_loop=loop, parameters=p)
            if method.base:
                found[f"beside{end}"] = entry(f"beside{end}", beside, kind, beside_loop=several)
    return found
