"""Structured logs: readable on a terminal, JSON for machines; everything goes to stderr.

A service (worker, console, feed) writes the records of its libraries too; a command only the project's own.

An event that repeats is written 20 times a minute at most; the next line of it counts those that were left out.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

import structlog

#: Lines of one event within the span (seconds).
_LINES, _SPAN_S = 20, 60.0
#: Events that are remembered; those that are over are forgotten beyond it.
_EVENTS = 1_000


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes lines of JSON, for machines."""


def is_json() -> bool:
    """Whether this process writes its log as JSON: then nothing else may be on stderr."""
    return any(isinstance(handler, JsonHandler) for handler in logging.getLogger().handlers)


def configure_command() -> None:
    """Write the project's own records to stderr, for a command whose output another program may read."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def configure(level: str, form: str) -> None:
    """Route the project's and every library's records through structlog."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if form == "json"
        # The renderer's own tracebacks show local variables, also those that contain secrets.
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = (JsonHandler if form == "json" else logging.StreamHandler)(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
        )
    )
    handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Faust and aiokafka log a lot; what matters of it are warnings. At debug they print every byte that they
    # send, so also a password that SASL's PLAIN mechanism sends. httpx prints every address, with user and query.
    for noisy in ("faust", "aiokafka", "mode", "kafka", "asyncio", "httpx"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


@dataclass(slots=True)
class _Repeats:
    since: float
    lines: int = 0
    left_out: int = 0


class RepeatFilter(logging.Filter):
    """Lets lines of one event pass, 20 a minute; values differ from line to line, the event is the same."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, int, str], _Repeats] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line is written."""
        now = self._clock()
        if len(self._seen) >= _EVENTS:
            self._seen = {k: v for k, v in self._seen.items() if v.left_out or now - v.since < _SPAN_S}
        event = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
        repeats = self._seen.setdefault((record.name, record.levelno, str(event)), _Repeats(now))
        if now - repeats.since >= _SPAN_S:
            repeats.since, repeats.lines = now, 0
            if repeats.left_out:
                _count(record, repeats.left_out)
                repeats.left_out = 0
        repeats.lines += 1
        repeats.left_out += repeats.lines > _LINES
        return repeats.lines <= _LINES


def _count(record: logging.LogRecord, left_out: int) -> None:
    """Write into a line how many of its event were left out before it."""
    if isinstance(record.msg, dict):
        record.msg = record.msg | {"lines_left_out": left_out}
    else:
        record.msg, record.args = f"{record.getMessage()} ({left_out} such lines were left out)", ()
