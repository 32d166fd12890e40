"""The loops that run a step: one reading of one feature, and a block of rows.

They are templates: `step` is a name that `streamnorm.kernels.dispatch` binds to a method's step, in plain Python or
compiled, so there is one source for all methods and machines. A feature's state is its base block (`profile`), then
the method's own block, and where a time constant is used, last, the time of its latest reading.

Parameters of the same name are the same in all loops. `values` is flat, row by row, `rows` × `columns` or of `size`, as
is `out`; a time `t` is in seconds since 1970. `rule` is (decay, time constant in s or 0, warmup in readings, bound of
robust or 0), `p` the method's packed parameters, `state` the buffer of all features, each `stride` floats long; `span`
is (rows, columns, first column, end). `x`, `v`, `lam`, `omega`, `clip` and `at` are those of a
`streamnorm.kernels.method.Step`, `low` and `high` a reading's least and greatest element. A tile is some columns whose
states are laid out value by value: `width` of them, their state beginning at `at`; a `tile` is also a copy of some rows
of their values, one of which begins at `row`, and its answers in `out` at `place`.
"""

from __future__ import annotations

import math

from streamnorm.kernels.base_statistics import (
    AGE,
    COUNT,
    EARLY,
    SIZE,
    WEIGHT,
    clip_of,
    decay_and_weight,
    least_weight,
    update_base,
    weight_at,
)
from streamnorm.kernels.method import Buffer, Packed, Span
from streamnorm.kernels.methods import online

base_step = online.step
INFINITE = math.inf
NAN = math.nan
#: columns of a tile, whose states are laid out value by value, and of which registers hold a group
LANES, GROUP = 64, 8
#: rows that a tile goes down before the next one's turn: a processor reads ahead within a page, as long as a wide row
DEPTH = 32
#: values that are looked through before the question whether one of them is out of range
STRETCH = 512
#: whether columns that are alike have loops of their own; a long step gains too little by it for twice the code
UNIFORM = True


def step(
    _x: float, _v: float, _lam: float, _omega: float, _clip: float, _p: Packed, _state: Buffer, _at: int
) -> tuple[float, float]:
    """Stand in for the method's step until a loop is bound to one."""
    raise NotImplementedError


def step_behind_base(
    x: float, v: float, lam: float, omega: float, clip: float, p: Packed, state: Buffer, at: int
) -> tuple[float, float]:
    """Run a method that keeps a block of its own behind the base block."""
    base_step(x, v, lam, omega, clip, p, state, at)
    return step(x, v, lam, omega, clip, p, state, at + SIZE)


def observe(
    x: float, v: float, low: float, high: float, t: float, rule: Packed, p: Packed, state: Buffer, at: int, end: int
) -> tuple[float, float]:
    """Take one value of one feature in: `x`, or for a channel its elements' mean, variance, least and greatest.

    `t` is the reading's time in seconds, `rule` is (λ, time constant or 0, warmup, robust or 0) and `state[at:end]`
    the feature's state. NaN is a missing value: it is counted and changes nothing else. Returns what the step does.
    """
    if x != x:  # noqa: PLR0124 - NaN; math.isnan costs twice as much interpreted
        state[at + 7] += 1.0
        return NAN, 0.0
    lam = rule[0]
    omega = 1.0
    if rule[1] > 0.0:
        last = state[end - 1]
        lam, omega = decay_and_weight(t, rule[1], last, state[at])
        if t > last or state[at] == 0.0:
            state[end - 1] = t
    clip = clip_of(rule[3], state, at) if rule[3] > 0.0 and state[at + 6] >= rule[2] else INFINITE
    update_base(x, low, high, lam, omega, clip, state, at)
    return step(x, v, lam, omega, clip, p, state, at)


def observe_rows(
    values: Buffer,
    times: Buffer,
    rule: Packed,
    p: Packed,
    state: Buffer,
    starts: Buffer,
    ends: Buffer,
    span: Span,
    out: Buffer,
) -> None:
    """Take some columns of a block in, in the order of its rows.

    `values` and `out` (which may be the same) are flat, row by row, with a column for each of `starts` and `ends`;
    `times` has one a row.
    """
    rows, columns, first, last = span
    for row in range(rows):
        t = times[row]
        place = row * columns + first
        for column in range(first, last):
            x = values[place]
            out[place] = observe(x, 0.0, x, x, t, rule, p, state, starts[column], ends[column])[0]
            place += 1


def lane(state: Buffer, _number: int) -> Buffer:
    """Stand in for what takes one column out of a state that is laid out value by value."""
    raise NotImplementedError


def keep_lane(_own: Buffer, state: Buffer, _number: int) -> None:
    """Stand in for what puts it back."""
    raise NotImplementedError


def update_unturned(
    _x: float, _low: float, _high: float, _lam: float, _omega: float, _clip: float, _state: Buffer, _at: int
) -> None:
    """Stand in for `update_base` without `turn`, where no horizon ends."""
    raise NotImplementedError


def no_turn(_low: float, _high: float, _lam: float, _state: Buffer, _at: int) -> None:
    """Take the place of `turn` there."""


def observe_lanes(
    values: Buffer, rule: Packed, p: Packed, state: Buffer, span: Span, tile: Buffer, out: Buffer
) -> None:
    """Do what `observe_rows` does, for columns whose `state` is (tiles × size of a feature's state × LANES).

    There is no time constant and no `robust`: without what they would do, a processor can work on several columns with
    one instruction (`streamnorm.kernels.cpu.pointers`). `tile` is room for DEPTH × LANES values.
    """
    rows, columns, first, last = span
    plain = (rule[0], 0.0, rule[2], 0.0)
    for top in range(0, rows, DEPTH):
        height = min(DEPTH, rows - top)
        for left in range(first, last, LANES):
            at = (left - first) * SIZE
            width = min(LANES, last - left)
            begin = top * columns + left
            complete = take_tile(values, begin, columns, height, width, tile)
            alike = UNIFORM and complete and are_alike(state, at, width)
            for row in range(height):
                place = begin + row * columns
                if alike and state[at + COUNT * LANES] > 0.0 and is_within_horizon(rule[0], state[at + AGE * LANES]):
                    observe_alike(tile, row * width, plain, p, state, at, width, out, place)
                else:
                    observe_tile(tile, row * width, plain, p, state, at, width, out, place)


def observe_beside(
    values: Buffer, rule: Packed, p: Packed, state: Buffer, span: Span, begins: Span, tile: Buffer, out: Buffer
) -> None:
    """Do what `observe_lanes` does, for several blocks side by side: together they fill a tile.

    `span` is (rows, columns, blocks, 0), and `begins` has the place where each block begins. `out` may be `values`.
    """
    rows, columns, count, _ = span
    plain = (rule[0], 0.0, rule[2], 0.0)
    width = columns * count
    for top in range(0, rows, DEPTH):
        height = min(DEPTH, rows - top)
        complete = True
        for block in range(count):
            begin = begins[block] + top * columns
            for row in range(height):
                place = row * width + block * columns
                for number in range(columns):
                    x = values[begin + row * columns + number]
                    tile[place + number] = x
                    complete &= x == x  # noqa: PLR0124
        alike = UNIFORM and complete and are_alike(state, 0, width)
        for row in range(height):
            place = row * width
            if alike and state[COUNT * LANES] > 0.0 and is_within_horizon(rule[0], state[AGE * LANES]):
                observe_alike(tile, place, plain, p, state, 0, width, tile, place)
            else:
                observe_tile(tile, place, plain, p, state, 0, width, tile, place)
        for block in range(count):
            begin = begins[block] + top * columns
            for row in range(height):
                place = row * width + block * columns
                for number in range(columns):
                    out[begin + row * columns + number] = tile[place + number]


def take_tile(values: Buffer, begin: int, columns: int, height: int, width: int, tile: Buffer) -> bool:
    """Copy what a tile takes in, `height` rows from `begin` on, to `tile`; return whether no value is missing.

    So answers may take the place of the values, and LLVM still finds that they are in different memory.
    """
    complete = True
    length = width
    if columns == width:  # the rows are one
        height, length = 1, height * width
    for row in range(height):
        for number in range(length):
            x = values[begin + row * columns + number]
            tile[row * width + number] = x
            complete &= x == x  # noqa: PLR0124
    return complete


def are_alike(state: Buffer, at: int, width: int) -> bool:
    """Return whether all columns of a tile have one weight, count and age: so it is, where no value was missing."""
    alike = True
    for number in range(at, at + width):
        alike &= state[number + WEIGHT * LANES] == state[at + WEIGHT * LANES]
        alike &= state[number + COUNT * LANES] == state[at + COUNT * LANES]
        alike &= state[number + AGE * LANES] == state[at + AGE * LANES]
    return alike


def is_within_horizon(lam: float, age: float) -> bool:
    """Return whether a reading that decays the past by `lam` surely ends no horizon of this age."""
    return age + (1.0 - lam if lam < 1.0 else EARLY) < 1.0


def observe_tile(
    tile: Buffer, row: int, rule: Packed, p: Packed, state: Buffer, at: int, width: int, out: Buffer, place: int
) -> None:
    """Take the row of a tile in that begins at `row`; its answers begin at `place` in `out`."""
    for number in range(width):
        x = tile[row + number]
        own = lane(state, at + number)
        out[place + number] = observe(x, 0.0, x, x, 0.0, rule, p, own, 0, SIZE)[0]
        keep_lane(own, state, at + number)


def observe_alike(
    tile: Buffer, row: int, rule: Packed, p: Packed, state: Buffer, at: int, width: int, out: Buffer, place: int
) -> None:
    """Do what `observe_tile` does, where columns are alike, have had readings, miss none, and end no horizon.

    What follows from the weight alone, the gain with its division above all, then is one number for all columns, which
    LLVM works out ahead of the loop. The count is told as 1, a constant: what first readings do is left out.
    """
    weight = state[at + WEIGHT * LANES]
    count = state[at + COUNT * LANES]
    age = state[at + AGE * LANES]
    for number in range(width):
        x = tile[row + number]
        own = lane(state, at + number)
        own[WEIGHT] = weight
        own[COUNT] = 1.0
        own[AGE] = age
        update_unturned(x, x, x, rule[0], 1.0, INFINITE, own, 0)
        out[place + number] = step(x, 0.0, rule[0], 1.0, INFINITE, p, own, 0)[0]
        own[COUNT] += count - 1.0
        keep_lane(own, state, at + number)


def observe_row(
    values: Buffer, count: int, t: float, rule: Packed, p: Packed, state: Buffer, first: int, stride: int
) -> bool:
    """Take one reading of `count` plain features in whose states lie side by side, the first at `first`.

    `values` are replaced by the raw z-scores. Returns whether every feature has had its warmup and, where a time
    constant is used, still has weight at the time of the reading.
    """
    ready = True
    at = first
    for place in range(count):
        x = values[place]
        values[place] = observe(x, 0.0, x, x, t, rule, p, state, at, at + stride)[0]
        if state[at + 6] < rule[2]:
            ready = False
        elif rule[1] > 0.0:
            weight = weight_at(t, rule[1], state[at + stride - 1], state[at])
            ready = ready and weight >= least_weight(rule[2])
        at += stride
    return ready


def first_out_of_range(values: Buffer, size: int, limit: float) -> int:
    """Find the first value beyond ±limit, infinities too, and return its place; −1 where there is none.

    >>> first_out_of_range([1.0, NAN, -5.0], 3, 4.0), first_out_of_range([1.0], 1, 4.0)
    (2, -1)
    """
    for start in range(0, size, STRETCH):
        end = min(start + STRETCH, size)
        wild = False
        for place in range(start, end):  # without a way out, which the vectorizer would not take
            wild |= abs(values[place]) > limit
        if wild:
            for place in range(start, end):
                if abs(values[place]) > limit:
                    return place
    return -1


def finish_rows(
    out: Buffer,
    rows: int,
    columns: int,
    missing: float,
    clamp: float,
    gamma: Buffer,
    beta: Buffer,
    compensation: Packed,
) -> None:
    """Turn raw z-scores into answers, in place: missing value, clamp, affine map, compensation.

    `missing` is what a missing value becomes before the affine map (NaN to leave it missing), `clamp` a bound or
    infinity, `gamma` and `beta` have one a column. `compensation` is what `online-2019` does last: (bound or infinity,
    ε of layer scaling or −1 for none); layer scaling divides a row by the root mean square of what is not missing.
    """
    for row in range(rows):
        squares = 0.0
        present = 0
        for column in range(columns):
            y = out[row * columns + column]
            if y != y:  # noqa: PLR0124
                y = missing
            y = min(max(y, -clamp), clamp) if y == y else y  # noqa: PLR0124
            y = y * gamma[column] + beta[column]
            if y == y:  # noqa: PLR0124
                y = min(max(y, -compensation[0]), compensation[0])
                squares += y * y
                present += 1
            out[row * columns + column] = y
        if compensation[1] >= 0.0 and present > 0:
            scale = math.sqrt(squares / present + compensation[1])
            for column in range(columns):
                out[row * columns + column] /= scale
