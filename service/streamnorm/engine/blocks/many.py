"""Blocks of many streams at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamnorm.engine.blocks.block import Block, BlockAnswer, begin_block, end_block, is_replay, observe_block
from streamnorm.engine.blocks.stack import BlockStack, naming, observe_stack
from streamnorm.engine.state.layout import HEADER_SIZE, TIME
from streamnorm.kernels.cpu.thread_pool import MANY, parallel_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamnorm.engine.limits import Limits
    from streamnorm.engine.reading import Array
    from streamnorm.engine.streams.stream import Stream

#: Values that are sent to a CUDA device at once: half a gigabyte of float64.
PIECE = 1 << 26


def observe_blocks(
    drafts: Mapping[str, Stream], blocks: Mapping[str, Block], now: float, limits: Limits
) -> Mapping[str, BlockAnswer]:
    """Normalize a block of each stream and learn from it, on all of the machine's cores.

    `drafts` and `blocks` have the same ids; `now` and `limits` are as in `observe_block`.

    Raises:
        StaleSequence, InvalidReading, LimitExceeded: as `observe_block` says; pointers begin with the stream's id.

    """
    if isinstance(blocks, BlockStack):
        answered = observe_stack(drafts, blocks, now, limits)
        if answered is not None:
            return answered
        blocks = dict(blocks)
    if share_one_device(drafts, blocks):
        done = observe_on_device(drafts, blocks, now, limits)
        if done is not None:
            return done
    each = list(blocks.items())
    answers: list[BlockAnswer] = [None] * len(each)  # type: ignore[list-item]

    def work(first: int, last: int) -> None:
        for place in range(first, last):
            stream_id, block = each[place]
            with naming(stream_id):
                answers[place] = observe_block(drafts[stream_id], block, now, limits)

    parallel_for(len(each), sum(block.values.size for block in blocks.values()), work, least=MANY)
    return dict(zip(blocks, answers, strict=True))


def share_one_device(drafts: Mapping[str, Stream], blocks: Mapping[str, Block]) -> bool:
    """Return whether blocks are alike, new, and together enough for a CUDA device."""
    plans = {draft.plan for draft in drafts.values()}
    if any(plan.mixed for plan in plans):
        return False
    sizes = {block.values.shape for block in blocks.values()}
    times = {id(block.times) for block in blocks.values()}
    if len(plans) > 1 or len(sizes) > 1 or len(times) > 1:
        return False
    rows, columns = next(iter(sizes))
    if not next(iter(plans)).kernel.should_offload(len(blocks) * rows * columns, len(blocks) * columns):
        return False
    if next(iter(plans)).timed and len({draft.state[TIME:HEADER_SIZE].tobytes() for draft in drafts.values()}) > 1:
        return False  # their devices' clocks make different times of the same stamps
    for stream_id, block in blocks.items():
        with naming(stream_id):
            if is_replay(drafts[stream_id], block):
                return False
    return True


def observe_on_device(
    drafts: Mapping[str, Stream], blocks: Mapping[str, Block], now: float, limits: Limits
) -> dict[str, BlockAnswer] | None:
    """Observe blocks that are alike, many of them in one piece, on a CUDA device; None where it failed.

    `drafts` and `blocks` have the same streams' ids; `now` and `limits` are as in `observe_block`. Where it failed, no
    state has changed: features that are new have their room and no readings yet.
    """
    ids, each, plan = list(blocks), list(blocks.values()), next(iter(drafts.values())).plan
    works = []
    for stream_id, block in blocks.items():
        with naming(stream_id):
            works.append(begin_block(drafts[stream_id], block, now, limits))
    states = [np.frombuffer(drafts[stream_id].state) for stream_id in ids]
    places = [np.arange(plan.stride)[:, None] + np.array(work.starts)[None, :] for work in works]
    done: list[tuple[Array, Array]] = []
    most = max(1, PIECE // each[0].values.size)
    for first in range(0, len(ids), most):
        some = slice(first, first + most)
        values = np.stack([work.values for work in works[some]])
        state = np.hstack([one[place] for one, place in zip(states[some], places[some], strict=True)])
        answered = plan.kernel.observe_table(values, works[0].times, plan.rule, plan.p, state)
        if answered is None:
            return None
        ys, after = answered
        done += zip(ys, np.hsplit(after, len(ys)), strict=True)
    for state, place, (_, after) in zip(states, places, done, strict=True):
        state[place] = after
    answers = zip(ids, each, works, done, strict=True)
    return {
        stream_id: end_block(drafts[stream_id], block, work, ys, now) for stream_id, block, work, (ys, _) in answers
    }
