"""Logging to standard error: one line of text, or one JSON object, per event, with the request id.

Messages may contain client input. So every event starts a line and nothing else does: control characters are escaped,
and the lines of a traceback are indented.
"""

from __future__ import annotations

import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

#: The id of the current request.
request_id: ContextVar[str] = ContextVar("request_id", default="")

#: Extra fields of a record, passed by `log.info(…, extra={…})`.
MEMBERS = ("method", "path", "status", "milliseconds", "key")
#: Control characters, line and paragraph separators, bidirectional formatting characters, and surrogates.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
INDENT = "    "
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s%(request)s"


def printable(text: str) -> str:
    r"""Return a text with line breaks and terminal control characters escaped.

    >>> print(printable("/x\n2026-01-01 CRITICAL \x1b[2J"))
    /x\n2026-01-01 CRITICAL \x1b[2J
    """
    return UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class Text(logging.Formatter):
    """Formats a record as a line of text; a traceback follows it, indented."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        current = request_id.get()
        record.request = f" [{current}]" if current else ""
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as the base has it
        """Format the line without a traceback."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - as the base has it
        """Format a traceback."""
        return "\n".join(INDENT + printable(line) for line in super().formatException(ei).split("\n"))


class Json(logging.Formatter):
    """Formats a record as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current := request_id.get():
            fields["request"] = current
        fields |= {name: getattr(record, name) for name in MEMBERS if hasattr(record, name)}
        fields = {name: printable(value) if isinstance(value, str) else value for name, value in fields.items()}
        if record.exc_info:  # JSON escapes its line breaks
            fields["error"] = "\n".join(map(printable, self.formatException(record.exc_info).split("\n")))
        return orjson.dumps(fields, default=str).decode()


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Configure logging to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if form == "json" else Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":  # the service logs its own start and stop
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
