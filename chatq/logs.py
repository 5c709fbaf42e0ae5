"""Logging of one process: structlog, and through it what libraries log, as lines on stderr.

Code says ``log = structlog.get_logger("chatq.worker")`` and ``log.info("lane taken", lane=3)``; people on a
terminal see text, everything else gets one JSON object a line.
"""

from __future__ import annotations

import logging
import os
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from chatq.settings import LogFormat, Settings
from chatq.settings.colour import in_colour


def configure(settings: Settings) -> None:
    """Send all that this process logs to stderr, as the settings say."""
    common: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.UnicodeDecoder(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings.log_format)],
        )
    )
    # What a library says below a warning is of use to nobody but who looks for a fault.
    foreign = "DEBUG" if settings.log_level == "DEBUG" else max(settings.log_level, "WARNING", key=_severity)
    logging.basicConfig(handlers=[handler], level=foreign, force=True)
    logging.getLogger("chatq").setLevel(settings.log_level)


def _severity(level: str) -> int:
    return logging.getLevelNamesMapping()[level]


def _rendering(log_format: LogFormat) -> list[Processor]:
    if log_format == "json":
        return [
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _add_process,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(
            colors=in_colour(sys.stderr),
            pad_event_to=0,
            pad_level=False,
            exception_formatter=structlog.dev.plain_traceback,
        ),
    ]


def _add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["process"] = os.getpid()
    return event
