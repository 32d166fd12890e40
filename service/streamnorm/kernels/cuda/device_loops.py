"""What the threads of a CUDA device do: templates that `streamnorm.kernels.cuda.device` binds to a method and compiles.

A thread works on one column, its state in registers while it goes down the rows. State lies in global memory value by
value (stride × columns), and a reading's columns lie side by side, so that neighbouring threads touch neighbouring
words. Places in blocks are unsigned: they need no look at whether they are negative. What is 0 in a rule is a constant
to the compiler, which then leaves out what it would do: of 555 instructions a value, `online` keeps 138.

All arrays are flat: `values` and `out` (or `ys`) are rows × columns, `times` one a row, `state` stride × columns;
`rule` and `p` are those of `streamnorm.kernels.templates`. `rows` and `inner` shape a block, and a stretch has `length`
rows, its sums in `parts`. `missing`, `clamp`, `beta` and `compensation` are those of `templates.finish_rows`.
"""

from __future__ import annotations

from typing import Any

from numba import cuda as numba_cuda
from numba import float64 as numba_float64
from numba import uint64 as numba_uint64

from streamnorm.kernels import templates
from streamnorm.kernels.cuda import prefix_scan
from streamnorm.kernels.method import Buffer, Packed

cuda: Any = numba_cuda  # they have no annotations
float64: Any = numba_float64
uint64: Any = numba_uint64

# Each is bound anew: the length of a feature's state, whether the rule has a time constant, whether it has `robust`.
STRIDE, TIMED, ROBUST = 0, False, False
PART = prefix_scan.SIZE
observe, finish_rows = templates.observe, templates.finish_rows
note, join = prefix_scan.note, prefix_scan.join


def begin(column: int, rows: int, inner: int) -> int:
    """Tell where a column of (…, rows, inner) begins."""
    block = column // inner
    return uint64(block * rows * inner + (column - block * inner))  # type: ignore[no-any-return]


def through(
    values: Buffer, at: int, end: int, hop: int, times: Buffer, rule: Packed, p: Packed, own: Buffer, out: Buffer
) -> None:
    """Take the values of a column in, `hop` apart from `at` to `end`; `own` is its state."""
    known = (rule[0], rule[1] if TIMED else 0.0, rule[2], rule[3] if ROBUST else 0.0)
    ahead = values[at]
    row = 0
    while at < end:
        x = float64(ahead)
        place = at
        at += hop
        if at < end:
            ahead = values[at]  # on its way while x is worked on
        out[place] = observe(x, 0.0, x, x, times[row] if TIMED else 0.0, known, p, own, 0, STRIDE)[0]
        row += 1


def columns(
    values: Buffer, times: Buffer, rule: Packed, p: Packed, state: Buffer, rows: int, inner: int, out: Buffer
) -> None:
    """Take every column in, a thread each: `values` are (…, rows, inner), flat; `state` is stride × columns."""
    column = cuda.grid(1)
    if column < state.shape[1]:
        own = cuda.local.array(STRIDE, float64)
        for place in range(STRIDE):
            own[place] = state[place, column]
        at, hop = begin(column, rows, inner), uint64(inner)
        through(values, at, at + uint64(rows) * hop, hop, times, rule, p, own, out)
        for place in range(STRIDE):
            state[place, column] = own[place]


def long_columns(
    values: Buffer, times: Buffer, rule: Packed, p: Packed, state: Buffer, rows: int, inner: int, out: Buffer
) -> None:
    """Do what `columns` does, with states too long for registers: they stay where they are."""
    column = cuda.grid(1)
    if column < state.shape[1]:
        at, hop = begin(column, rows, inner), uint64(inner)
        through(values, at, at + uint64(rows) * hop, hop, times, rule, p, state[:, column], out)


def stretches(values: Buffer, rule: Packed, p: Packed, parts: Buffer, rows: int, inner: int, length: int) -> None:
    """Sum up every stretch of every column from nothing, a thread each; `parts` is SIZE × stretches × columns."""
    thread = cuda.grid(1)
    stretch = thread // parts.shape[2]
    if stretch < parts.shape[1]:
        column = thread - stretch * parts.shape[2]
        own = cuda.local.array(PART, float64)
        for place in range(PART):
            own[place] = 0.0
        known = (rule[0], 0.0, rule[2], 0.0)
        at, hop = begin(column, rows, inner), uint64(inner)
        at += uint64(stretch * length) * hop
        for _ in range(min(length, rows - stretch * length)):
            x = float64(values[at])
            note(x, rule[0], own, 0)
            observe(x, 0.0, x, x, 0.0, known, p, own, 0, STRIDE)
            at += hop
        for place in range(PART):
            parts[place, stretch, column] = own[place]


def folded(parts: Buffer, group: int, sums: Buffer) -> None:
    """Join every `group` neighbouring parts of a column to one, a thread each; `sums` is SIZE × groups × columns."""
    thread = cuda.grid(1)
    many = thread // sums.shape[2]
    if many < sums.shape[1]:
        column = thread - many * sums.shape[2]
        own = cuda.local.array(PART, float64)
        part = cuda.local.array(PART, float64)
        for place in range(PART):
            own[place] = 0.0
        for stretch in range(many * group, min((many + 1) * group, parts.shape[1])):
            for place in range(PART):
                part[place] = parts[place, stretch, column]
            join(own, 0, part, 0)
        for place in range(PART):
            sums[place, many, column] = own[place]


def begun(parts: Buffer, group: int, before: Buffer) -> None:
    """Turn parts into the states in which they begin; `before` holds those in which every `group` of them begins."""
    thread = cuda.grid(1)
    many = thread // before.shape[2]
    if many < before.shape[1]:
        column = thread - many * before.shape[2]
        own = cuda.local.array(PART, float64)
        part = cuda.local.array(PART, float64)
        for place in range(PART):
            own[place] = before[place, many, column] if place < STRIDE else 0.0
        for stretch in range(many * group, min((many + 1) * group, parts.shape[1])):
            for place in range(PART):
                part[place] = parts[place, stretch, column]
            for place in range(STRIDE):
                parts[place, stretch, column] = own[place]
            join(own, 0, part, 0)


def answered(
    values: Buffer,
    times: Buffer,
    rule: Packed,
    p: Packed,
    parts: Buffer,
    state: Buffer,
    rows: int,
    inner: int,
    length: int,
    out: Buffer,
) -> None:
    """Go through every stretch again, from the state in which it begins; the last one's end is the column's."""
    thread = cuda.grid(1)
    stretch = thread // parts.shape[2]
    if stretch < parts.shape[1]:
        column = thread - stretch * parts.shape[2]
        own = cuda.local.array(STRIDE, float64)
        for place in range(STRIDE):
            own[place] = parts[place, stretch, column]
        first, hop = begin(column, rows, inner), uint64(inner)
        at = first + uint64(stretch * length) * hop
        end = first + uint64(min(rows, (stretch + 1) * length)) * hop
        through(values, at, end, hop, times, rule, p, own, out)
        if stretch == parts.shape[1] - 1:
            for place in range(STRIDE):
                state[place, column] = own[place]


def wild(values: Buffer, limit: float, found: Buffer) -> None:
    """Find the first value beyond ±limit: `found` becomes the least of itself and its place."""
    place = cuda.grid(1)
    if place < values.size:
        x = float64(values[place])
        if x > limit or x < -limit:
            cuda.atomic.min(found, 0, place)


def finish(
    ys: Buffer, width: int, missing: float, clamp: float, gamma: Buffer, beta: Buffer, compensation: Packed
) -> None:
    """Turn raw z-scores into answers, in place; a thread has `width` of them, 1 or a row, `gamma` a row's."""
    first = cuda.grid(1) * width
    if first < ys.size:
        column = first % gamma.size
        end = column + width
        own = ys[first : first + width]
        finish_rows(own, 1, width, missing, clamp, gamma[column:end], beta[column:end], compensation)


def copy(values: Buffer, out: Buffer) -> None:
    """Copy values into an array of another type."""
    place = cuda.grid(1)
    if place < values.size:
        out[place] = values[place]
