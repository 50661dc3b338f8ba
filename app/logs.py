"""Structured logs: for people on a terminal, JSON lines anywhere else."""

import sys
from pathlib import Path
from typing import TextIO

import structlog


def log_to_stderr() -> None:
    """Log to standard error."""
    _log_to(sys.stderr, pretty=sys.stderr.isatty())


def log_to_file(path: Path) -> None:
    """Log to a new file, for a run whose terminal shows something else."""
    _log_to(path.open("w", buffering=1), pretty=False)


def _log_to(sink: TextIO, *, pretty: bool) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sink),
    )
