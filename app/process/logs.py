"""Structured logs: for people on a terminal, JSON lines anywhere else."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
import structlog
from structlog.typing import EventDict

from schemas.clocks import BEGINNING_NS


def log_to_stderr() -> None:
    """Log to standard error."""
    _log_to(sys.stderr, pretty=sys.stderr.isatty())


@contextmanager
def logged_to_file(path: Path) -> Iterator[None]:
    """Log to a new file meanwhile, for a run whose terminal shows something else."""
    before = structlog.get_config()
    with path.open("w", buffering=1) as sink:
        _log_to(sink, pretty=False)
        try:
            yield
        finally:
            structlog.configure(**before)


@contextmanager
def only_warnings() -> Iterator[None]:
    """Log no news meanwhile, for who only tries something out."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)


def _with_frontier_in_words(_logger: object, _level: str, event: EventDict) -> EventDict:
    """A frontier as a person reads it, in UTC; programs get it as int64 nanoseconds."""
    frontier_ns = event.pop("frontier_ns", None)
    if frontier_ns is not None:
        none = frontier_ns == BEGINNING_NS
        event["frontier"] = "none yet" if none else str(np.datetime64(frontier_ns, "ns")).replace("T", " ")
    return event


def _log_to(sink: TextIO, *, pretty: bool) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(
                [_with_frontier_in_words, structlog.dev.ConsoleRenderer()]
                if pretty
                else [structlog.processors.JSONRenderer()]
            ),
        ],
        logger_factory=structlog.PrintLoggerFactory(sink),
    )
