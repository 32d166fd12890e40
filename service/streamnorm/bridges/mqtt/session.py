"""The persistent state of the MQTT session: the client id, and the filters that are subscribed to."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

from streamnorm.bridges.files import replace_file

log = logging.getLogger(__name__)

FILE = "mqtt.json"


class Session:
    """A small file in the data folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._own = ""
        #: by client id: the filters that the broker's session may contain
        self._filters: dict[str, list[str]] = {}

    def load(self) -> None:
        """Read the file; if it is missing or unreadable, the installation gets a new client id."""
        try:
            data = json.loads(self._path.read_bytes())
            self._own = str(data["client_id"])
            self._filters = {str(name): [str(item) for item in items] for name, items in data["filters"].items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("MQTT: %s cannot be read (%s): the service gets a new client id", self._path.name, error)
        if not self._own:
            self._own = f"streamnorm-{secrets.token_hex(4)}"
            if not self._save():  # then derive a stable one from the machine and the folder
                seed = f"{socket.gethostname()}\0{self._path.absolute()}"
                self._own = f"streamnorm-{hashlib.blake2b(seed.encode(), digest_size=4).hexdigest()}"

    @property
    def client_id(self) -> str:
        """The installation's own client id."""
        return self._own

    def outdated(self, client_id: str, filters: Iterable[str]) -> list[str]:
        """Return the filters that the broker's session may contain and should not."""
        return sorted(set(self._filters.get(client_id, ())) - set(filters))

    def keep(self, client_id: str, filters: Iterable[str]) -> None:
        """Store the filters that the broker's session may contain from now on."""
        wanted = sorted(set(filters))
        if self._filters.get(client_id) != wanted:
            self._filters[client_id] = wanted
            self._save()

    def _save(self) -> bool:
        data = {"client_id": self._own, "filters": self._filters}
        try:
            replace_file(self._path, json.dumps(data, ensure_ascii=False).encode())
        except OSError as error:
            log.warning("MQTT: %s cannot be written: %s", self._path.name, error)
            return False
        return True
