"""Log lines: JSON for machines, plain text for a terminal, personal data in neither.

Callers log ids and member numbers only (as `extra`); the redaction here is the net under them, for texts that come
from libraries and exceptions.
"""

import logging
import re
import sys
from typing import Literal, TextIO

from pythonjsonlogger.json import JsonFormatter

_EMAIL = re.compile(r"[^\s@<>\"'=(,;:]+(@|%40)[\w.-]+\.\w+", re.IGNORECASE)
# At least ten digits with the usual separators; a lead of word characters means an id, not a phone number.
_PHONE = re.compile(r"(?<![\w.-])(\+|%2B)?\(?\d(?:[\s().-]*\d){9,14}(?![\w-])")


def redact(text: str) -> str:
    """The text with email addresses and phone numbers replaced."""
    return _PHONE.sub("[phone]", _EMAIL.sub("[email]", text))


class _RedactingJson(JsonFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _RedactingText(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def set_up(level: Literal["DEBUG", "INFO", "WARNING", "ERROR"], run_id: str, stream: TextIO = sys.stderr) -> None:
    """Send all log lines to `stream`, each with the run's id."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        _RedactingText("%(levelname)s %(message)s")
        if stream.isatty()
        else _RedactingJson(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            static_fields={"run_id": run_id},
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # httpx logs every URL, and a URL may hold an email address.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
