"""The streams of a pipe: a normalizer each, in a file between two runs if there is one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamnorm.errors import InvalidSnapshot, StoreUnavailable
from streamnorm.normalizer import Normalizer

VERSION = 1
#: seconds; what a kill may lose of what was learned
SAVE_INTERVAL = 60.0


class Streams:
    """Normalizers by their streams' ids; those of the file go on where they were."""

    def __init__(self, config: Mapping[str, Any], file: Path | None = None) -> None:
        self._config = config
        self._file = file
        self._streams: dict[str, Normalizer] = {}
        self._saved = time.monotonic()
        Normalizer(**config)  # a wrong configuration is told at once
        if file is not None and file.exists():
            self._streams = _loaded(file)
        self.save()  # so is a file that cannot be written

    def stream(self, stream_id: str) -> Normalizer:
        """Return a stream, which is made where there is none."""
        found = self._streams.get(stream_id)
        if found is None:
            found = self._streams[stream_id] = Normalizer(**self._config)
        return found

    def tick(self) -> None:
        """Save, if it is time to."""
        if time.monotonic() - self._saved >= SAVE_INTERVAL:
            self.save()

    def save(self) -> None:
        """Put all streams into the file: all of them, or the file stays as it was.

        Raises:
            StoreUnavailable: it cannot be written.

        """
        self._saved = time.monotonic()
        if self._file is None:
            return
        snapshots = {stream_id: normalizer.snapshot() for stream_id, normalizer in self._streams.items()}
        beside = self._file.with_name(self._file.name + ".new")
        try:
            beside.write_text(json.dumps({"version": VERSION, "streams": snapshots}))
            beside.replace(self._file)
        except OSError as error:
            raise StoreUnavailable(f"cannot write {self._file}: {error.strerror}") from None


def _loaded(file: Path) -> dict[str, Normalizer]:
    try:
        data = json.loads(file.read_text())
        if data["version"] != VERSION:
            raise InvalidSnapshot.at("/version", f"must be {VERSION}, not {data['version']!r}")
        return {stream_id: Normalizer.restore(snapshot) for stream_id, snapshot in data["streams"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidSnapshot.at("", f"{file} holds no streams: {error}") from None
