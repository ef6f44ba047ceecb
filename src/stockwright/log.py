"""Log set-up: one line per happening, for people or as JSON, from our code and from libraries alike.

Must never be given secrets, payloads or addresses of customers.
"""

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Libraries that report every step; their warnings are wanted.
_TALKATIVE = ("procrastinate", "alembic", "httpx2", "httpcore2", "uvicorn.access", "psycopg.pool")
_FROM_RECORDS = structlog.stdlib.ProcessorFormatter


def set_up(
    *,
    level: Literal["debug", "info", "warning", "error"],
    style: Literal["console", "json"],
    stream: TextIO | None = None,
) -> None:
    """Send everything that is logged in this process to `stream` (stderr), from `level` up."""
    out = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _name_of_logger,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, _FROM_RECORDS.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        _FROM_RECORDS(
            foreign_pre_chain=shared,
            processors=[_FROM_RECORDS.remove_processors_meta, *_last_steps(style, out)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _last_steps(style: Literal["console", "json"], out: TextIO) -> list[Processor]:
    if style == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # The plain form of a traceback: the other two print local variables, and so secrets.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=plain)]


def _name_of_logger(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    event["logger"] = record.name if record else getattr(logger, "name", "")
    return event
