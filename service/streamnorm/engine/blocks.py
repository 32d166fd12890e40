"""Blocks of many streams at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamnorm.engine.block import Block, BlockAnswer, observe_block
from streamnorm.errors import InvalidInput, StaleSequence
from streamnorm.kernels.kernel import share

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    each = list(blocks.items())
    answers: list[BlockAnswer] = [None] * len(each)  # type: ignore[list-item]

    def work(first: int, last: int) -> None:
        for place in range(first, last):
            stream_id, block = each[place]
            try:
                answers[place] = observe_block(drafts[stream_id], block, now, limits)
            except StaleSequence as error:
                raise StaleSequence(error.seq, error.last_seq, stream_id) from None
            except InvalidInput as error:
                raise error.within(f"/{stream_id}") from None

    share(len(each), sum(block.values.size for block in blocks.values()), work, least=MANY)
    return dict(zip(blocks, answers, strict=True))
