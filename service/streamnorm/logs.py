"""Logs, on standard error: a line of text an event, or a JSON object; with the id of the request it belongs to."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

#: The id of the request that is being worked on.
request_id: ContextVar[str] = ContextVar("request_id", default="")

#: What a record may carry besides, by `log.info(…, extra={…})`.
MEMBERS = ("method", "path", "status", "milliseconds", "key")
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s%(request)s"


class Text(logging.Formatter):
    """One line of words."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        found = request_id.get()
        record.request = f" [{found}]" if found else ""
        return super().format(record)


class Json(logging.Formatter):
    """One JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the object."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if found := request_id.get():
            told["request"] = found
        told |= {name: getattr(record, name) for name in MEMBERS if hasattr(record, name)}
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return orjson.dumps(told, default=str).decode()


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Send what is logged to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if form == "json" else Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":  # of its start and its end the service tells itself
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
