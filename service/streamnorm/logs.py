"""Logs, on standard error: a line of text an event, or a JSON object; with the id of the request it belongs to.

What is logged may hold what a client sent. So an event begins a line and nothing else does: control characters are
written as escapes, and the lines of a traceback are indented.
"""

from __future__ import annotations

import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

#: The id of the request that is being worked on.
request_id: ContextVar[str] = ContextVar("request_id", default="")

#: What a record may carry besides, by `log.info(…, extra={…})`.
MEMBERS = ("method", "path", "status", "milliseconds", "key")
#: Control characters, line and paragraph separators, what turns the direction of writing, and halves of characters.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
INDENT = "    "
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s%(request)s"


def printable(text: str) -> str:
    r"""Return a text with escapes in place of what would end a line, or command a terminal.

    >>> print(printable("/x\n2026-01-01 CRITICAL \x1b[2J"))
    /x\n2026-01-01 CRITICAL \x1b[2J
    """
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Text(logging.Formatter):
    """One line of words; a traceback follows it, indented."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        found = request_id.get()
        record.request = f" [{found}]" if found else ""
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as the base has it
        """Write the line itself."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - as the base has it
        """Write a traceback."""
        return "\n".join(INDENT + printable(line) for line in super().formatException(ei).split("\n"))


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
        told = {name: printable(value) if isinstance(value, str) else value for name, value in told.items()}
        if record.exc_info:  # whose line ends JSON escapes
            told["error"] = "\n".join(map(printable, self.formatException(record.exc_info).split("\n")))
        return orjson.dumps(told, default=str).decode()


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Send what is logged to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if form == "json" else Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level != "debug":  # of its start and its end the service tells itself
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
