"""Blocks of many streams at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from streamnorm.engine.block import Block, BlockAnswer, begin, end, is_retry, observe_block
from streamnorm.errors import InvalidInput, StaleSequence
from streamnorm.kernels.kernel import share

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from streamnorm.engine.limits import Limits
    from streamnorm.engine.stream import Stream

#: Streams that are worth a thread: of fewer, each is large enough to be shared out itself.
MANY = 16


def observe_blocks(
    drafts: Mapping[str, Stream], blocks: Mapping[str, Block], now: float, limits: Limits
) -> dict[str, BlockAnswer]:
    """Normalize a block of each stream and learn from it, on all of the machine's cores.

    Raises:
        StaleSequence, InvalidReading, LimitExceeded: as `observe_block` says; pointers begin with the stream's id.

    """
    if all_on_one_device(drafts, blocks):
        return observe_on_device(drafts, blocks, now, limits)
    each = list(blocks.items())
    answers: list[BlockAnswer] = [None] * len(each)  # type: ignore[list-item]

    def work(first: int, last: int) -> None:
        for place in range(first, last):
            stream_id, block = each[place]
            with told(stream_id):
                answers[place] = observe_block(drafts[stream_id], block, now, limits)

    share(len(each), sum(block.values.size for block in blocks.values()), work, least=MANY)
    return dict(zip(blocks, answers, strict=True))


@contextmanager
def told(stream_id: str) -> Iterator[None]:
    """Have errors tell the stream."""
    try:
        yield
    except StaleSequence as error:
        raise StaleSequence(error.seq, error.last_seq, stream_id) from None
    except InvalidInput as error:
        raise error.within(f"/{stream_id}") from None


def all_on_one_device(drafts: Mapping[str, Stream], blocks: Mapping[str, Block]) -> bool:
    """Tell whether blocks are alike, new, and together enough for a CUDA device."""
    plans = {draft.plan for draft in drafts.values()}
    sizes = {block.values.shape for block in blocks.values()}
    times = {id(block.times) for block in blocks.values()}
    if len(plans) > 1 or len(sizes) > 1 or len(times) > 1:
        return False
    enough = next(iter(plans)).kernel.device_from
    if sum(block.values.size for block in blocks.values()) < enough:
        return False
    return not any(is_retry(drafts[stream_id], block) for stream_id, block in blocks.items())


def observe_on_device(
    drafts: Mapping[str, Stream], blocks: Mapping[str, Block], now: float, limits: Limits
) -> dict[str, BlockAnswer]:
    """Observe blocks that are alike, all of them in one piece on a CUDA device."""
    works = []
    for stream_id, block in blocks.items():
        with told(stream_id):
            works.append(begin(drafts[stream_id], block, now, limits))
    plan = next(iter(drafts.values())).plan
    values = np.stack([work.values for work in works])
    states = [np.frombuffer(draft.state) for draft in drafts.values()]
    places = [np.arange(plan.stride)[:, None] + np.array(work.starts)[None, :] for work in works]
    state = np.hstack([one[place] for one, place in zip(states, places, strict=True)])
    ys = plan.kernel.device.observe_table(values, works[0].times, plan.rule, plan.p, state)
    for one, place, after in zip(states, places, np.hsplit(state, len(works)), strict=True):
        one[place] = after
    each = zip(blocks.items(), works, ys, strict=True)
    return {stream_id: end(drafts[stream_id], block, work, y, now) for (stream_id, block), work, y in each}
