"""Log lines: JSON for machines, plain text for a terminal, personal data in neither.

Callers log ids and member numbers only (as `extra`); the redaction here is the net under them, for texts that come
from libraries and exceptions.
"""

import json
import logging
import re
import sys
import time
from functools import lru_cache
from types import TracebackType
from typing import Any, Literal, TextIO

from pythonjsonlogger.json import JsonFormatter

_EMAIL = re.compile(r"[^\s@<>\"'=(,;:]+(@|%40)[\w.%-]+\.[\w%]+", re.IGNORECASE)
# At least ten digits with what people and URLs put between them, and an extension. Moments are none, nor are
# digits within or behind a word, as in ids.
_PHONE = re.compile(
    r"(?<!\w)(?<!\w-)(?<!\d:)(?!\d{4}-\d\d-\d\d[T ]\d\d:)(?:\+|\(|%2B|%28)*"
    r"\d(?:(?:[\s().\-/+\u2010-\u2015]|%2[089BDEF])*\d){9,14}(?:\s?(?:x|ext\.?)\s?\d{1,6})?(?![\w-])",
    re.IGNORECASE,
)
_IDS = ("run_id", "key_name", "contact_id", "contact_ids", "member_number", "member_numbers")


@lru_cache(maxsize=512)  # of a line most texts are those of the line before: names, levels, paths
def redact(text: str) -> str:
    """The text with email addresses and phone numbers replaced."""
    return _PHONE.sub("[phone]", _EMAIL.sub("[email]", text))


def _redacted(value: Any) -> Any:
    """A JSON value with all its texts redacted."""
    if isinstance(value, dict):
        return {redact(key): each if key in _IDS else _redacted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_redacted(each) for each in value]
    return redact(value) if isinstance(value, str) else value


class _RedactingJson(JsonFormatter):
    """Redacts text by text: in the finished line, a number or an escape sequence would look like part of a phone."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def serialize_log_record(self, log_data: dict[str, Any]) -> str:
        """One line."""
        return super().serialize_log_record(_redacted(json.loads(self.jsonify_log_record(log_data))))


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
