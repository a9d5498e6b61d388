"""Log lines: JSON for machines, plain text for a terminal, personal data in neither.

Callers log ids and member numbers only (as `extra`); the redaction here is the net under them, for texts that come
from libraries and exceptions.
"""

import logging
import re
import sys
from types import TracebackType
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


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is at that moment, as a progress bar puts itself in its place."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute there
        return sys.stderr


def set_up(level: Literal["DEBUG", "INFO", "WARNING", "ERROR"], run_id: str) -> None:
    """Send all log lines to standard error, each with the run's id."""
    handler = _Stderr()
    handler.setFormatter(
        _RedactingText("%(levelname)s %(message)s")
        if sys.stderr.isatty()
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
    sys.excepthook = _log_crash


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody caught goes through the redaction, too: its text may quote a row."""
    logging.getLogger(__name__).critical("crashed", exc_info=(kind, error, trace))
