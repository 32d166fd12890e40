"""Reads the file `streamnorm.toml` at the start, on SIGHUP, and when a caller asks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from streamnorm import config_file
from streamnorm.api.dependencies import ConfigReport
from streamnorm.engine.streams.rulebook import Rulebook
from streamnorm.errors import InvalidConfiguration, StreamnormError
from streamnorm.platforms import RELOAD

if TYPE_CHECKING:
    from pathlib import Path

    from streamnorm.config_file import ConfigFile
    from streamnorm.engine.ports.stream_repository import StreamRepository
    from streamnorm.mappings import Catalogue

log = logging.getLogger(__name__)


class ConfigReloader:
    """Keeps streams and mappings as a file says; None for no file.

    Raises:
        InvalidConfigFile: the file is invalid at the start.

    """

    def __init__(self, path: Path | None, streams: StreamRepository, mappings: Catalogue) -> None:
        self._path = path
        self._streams = streams
        self._mappings = mappings
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._listening = False
        #: the file that is in force
        self.file: ConfigFile | None = None
        if path is not None:
            self.file = config_file.read(path)
            streams.rulebook = Rulebook(streams.rulebook.default_plan, self.file.rules)
            mappings.become(self.file.mappings)

    async def reload(self) -> ConfigReport:
        """Read the file anew; it takes effect as a whole, or nothing changes.

        Raises:
            InvalidConfiguration: it is invalid, or the service has none.

        """
        if self._path is None:
            raise InvalidConfiguration.at("", "the service was started without a file of rules (STREAMNORM_CONFIG)")
        async with self._lock:
            self.file = file = await asyncio.to_thread(config_file.read, self._path)
            rulebook = Rulebook(self._streams.rulebook.default_plan, file.rules)
            self._mappings.become(file.mappings)
            changed = await self._streams.apply_rules(rulebook)
        report = ConfigReport(len(file.rules.rules), len(file.mappings), changed)
        log.info("%s: %d rules, %d mappings; %d streams configured anew", self._path.name, *report)
        return report

    def listen(self) -> None:
        """Reload on SIGHUP, where there is a file and signals can be handled."""
        if self._path is None or RELOAD is None:
            return
        # only the main thread may listen
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(RELOAD, self._on_signal)
            self._listening = True

    def stop(self) -> None:
        """Stop listening."""
        if self._listening and RELOAD is not None:
            asyncio.get_running_loop().remove_signal_handler(RELOAD)
            self._listening = False

    def _on_signal(self) -> None:
        self._task = asyncio.create_task(self._reload_or_log(), name="streamnorm reload")

    async def _reload_or_log(self) -> None:
        try:
            await self.reload()
        except StreamnormError as error:
            log.error("the rules stay as they were:\n%s", error)  # noqa: TRY400 - the fault is the file's
