"""The streams in a data folder, without a server, as the place where readings go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from streamnorm.backfill.reading.readings import Part
from streamnorm.backfill.sinks.sink import Sink
from streamnorm.engine.blocks.block import Block, BlockAnswer
from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.reading import Array
from streamnorm.engine.streams.feature_profile import profile
from streamnorm.engine.streams.rulebook import Rulebook
from streamnorm.errors import StreamNotFound
from streamnorm.ingest import IngestService
from streamnorm.settings import Settings
from streamnorm.stores.local.open import open_store
from streamnorm.stores.local.write_behind import WriteBehindStreams


class Local:
    """The streams in a data folder."""

    remote = False

    def __init__(
        self, runner: asyncio.Runner, residents: WriteBehindStreams, service: IngestService, config: Mapping[str, Any]
    ) -> None:
        self._runner = runner
        self._residents = residents
        self._service = service
        self._config = config

    def last_seq(self, stream: str) -> int:
        """Return a stream's last number."""
        return self._runner.run(self._last_seq(stream))

    def observe(self, part: Part, first_seq: int) -> tuple[Array, int]:
        """Observe a block."""
        block = Block(part.names, part.values, part.times, first_seq)
        answer = self._runner.run(self._service.observe_block(part.stream, block))
        return _as_given(part.names, answer), answer.gap

    def commit(self) -> None:
        """Save the streams."""
        self._runner.run(self._residents.flush())

    def kinds(self, stream: str) -> dict[str, str]:
        """Return the kinds of a stream's features."""
        found = self._runner.run(self._service.streams.read(stream, profile))
        return {name: each.kind for name, each in found.items()}

    async def _last_seq(self, stream: str) -> int:
        try:
            return await self._service.streams.read(stream, lambda found: found.last_seq) or 0
        except StreamNotFound:
            await self._service.configure(stream, self._config)
            return 0


def _as_given(names: tuple[str, ...], answer: BlockAnswer) -> Array:
    """Return a block's answer by the columns that were given; what became of an angle has none."""
    if answer.names is None:
        return answer.values
    made = dict(zip(answer.names, answer.values.T, strict=True))
    none = np.full(len(answer.values), np.nan)
    return np.column_stack([made.get(name, none) for name in names])


@contextmanager
def local(folder: Path, config: Mapping[str, Any]) -> Iterator[Sink]:
    """Open a data folder.

    Raises:
        StoreInUse: a service works there; give its URL.
        InvalidConfigFile: the file of rules is invalid.

    """
    settings = Settings(data_dir=folder)
    store = open_store(settings.store, folder, "no", expiring=settings.stream_ttl > 0)
    residents = WriteBehindStreams(store, plan(configuration({}, settings.stream_defaults)), durability="no")
    limits = replace(settings.limits, max_ahead=None)  # what is recorded is believed
    service = IngestService(residents, limits=limits)
    if settings.config:
        from streamnorm import config_file  # noqa: PLC0415 - a tenth of the start, and most have none

        residents.rulebook = Rulebook(residents.rulebook.default_plan, config_file.read(Path(settings.config)).rules)
    with asyncio.Runner() as runner:
        runner.run(residents.start())
        try:
            yield Local(runner, residents, service, config)
        finally:
            runner.run(residents.stop())
