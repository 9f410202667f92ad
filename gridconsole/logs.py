"""Structured logs: readable on the console, JSON lines in a file, secrets masked, request and order ids bound."""

import logging.config
import logging.handlers
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

MAX_FILE_BYTES: Final = 10_000_000
KEPT_FILES: Final = 3
SECRET_NAME: Final = re.compile(r"password|passwd|secret|token|authorization|api_?key|signature|cookie", re.IGNORECASE)
MASK: Final = "***"
# Frames without their local variables: those hold keys, and rendering them held the trading loops up for half a second.
TRACEBACK: Final = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, use_rich=False)

Event = MutableMapping[str, Any]


def mask_secrets(_logger: object, _method: str, event: Event) -> Event:
    """Replace the value of every key that names a secret."""
    for name in event:
        if SECRET_NAME.search(name):
            event[name] = MASK
    return event


SHARED: Final[list[Any]] = [
    structlog.contextvars.merge_contextvars,  # request_id, order_id and whatever a loop has bound
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    mask_secrets,
]


class JsonFileHandler(logging.handlers.RotatingFileHandler):
    """A rotating file whose folder is made when the first line is written."""

    def __init__(self, filename: str) -> None:
        super().__init__(filename, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8", delay=True)

    def _open(self) -> Any:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()


class NotWhileStarting(logging.Filter):
    """Drops "Service Unavailable: /readyz": its 503 is an answer, asked for many times while the loops start."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is worth keeping."""
        return not (getattr(record, "status_code", 0) == 503 and "/readyz" in record.getMessage())


def logging_config(*, log_dir: Path, process: str, level: str) -> dict[str, Any]:
    """Return the logging dictionary of one process.

    `process` names the JSON file (`web` writes web.jsonl); without a name only the console is written, so that a
    one-off command never shares a rotating file with a running process.
    """
    handlers: dict[str, Any] = {"console": {"class": "logging.StreamHandler", "formatter": "readable"}}
    if process:
        handlers["file"] = {
            "()": "gridconsole.logs.JsonFileHandler",
            "filename": str(log_dir / f"{process}.jsonl"),
            "formatter": "json",
        }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"not_while_starting": {"()": "gridconsole.logs.NotWhileStarting"}},
        "formatters": {
            "readable": _formatter(
                structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
            ),
            "json": _formatter(structlog.processors.ExceptionRenderer(TRACEBACK), structlog.processors.JSONRenderer()),
        },
        "handlers": handlers,
        "root": {"handlers": list(handlers), "level": level if process else "WARNING"},
        "loggers": {
            "django.request": {"filters": ["not_while_starting"]},
            # uvicorn configures its own handlers before it loads the application: take its lines back.
            "uvicorn": {"level": "WARNING", "handlers": [], "propagate": True},
            "uvicorn.error": {"level": "WARNING", "handlers": [], "propagate": True},
            "ccxt": {"level": "WARNING"},
        },
    }


def configure(config: dict[str, Any]) -> None:
    """Apply the logging dictionary and send structlog through it (Django calls this as LOGGING_CONFIG)."""
    logging.config.dictConfig(config)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _formatter(*renderers: Any) -> dict[str, Any]:
    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": SHARED,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    }


class RequestIdMiddleware:
    """Bind a fresh `request_id` to every log line of a request and return it as X-Request-ID."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._handle(request)
        request_id = uuid.uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            return _marked(self.get_response(request), request_id)

    async def _handle(self, request: HttpRequest) -> HttpResponseBase:
        request_id = uuid.uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            return _marked(await self.get_response(request), request_id)


def _marked(response: HttpResponse, request_id: str) -> HttpResponse:
    response["X-Request-ID"] = request_id
    return response
