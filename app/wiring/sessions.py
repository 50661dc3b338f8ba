"""The sessions that a graph's anchor names: by its rule, or read from a calendar's table."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from app.config import Settings
from app.errors import UsageError
from app.settings.mistakes import told
from app.settings.sessions import CalendarTable, PlacedError
from operators.graph.render import render_value
from operators.sessions.sessions import DAYS_OF_UTC, Sessions


def graph_sessions(settings: Settings) -> Sessions:
    """The sessions of the graph; raises UsageError with the place of what is wrong in a calendar's file."""
    anchor = settings.graph.anchor
    if anchor is None:
        return DAYS_OF_UTC
    if anchor.calendar is None:
        return anchor.rule()
    table = settings.calendars[anchor.calendar]
    if table.file is None:
        return table.table(anchor.calendar, settings.source()[0])
    return read_calendar(table.file, anchor.calendar).table(anchor.calendar, str(table.file))


def read_calendar(path: Path, name: str) -> CalendarTable:
    """The calendar in a file, for the table `[calendars.NAME]`; raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as missing:
        raise UsageError(
            f"calendars.{name}.file: {path.absolute()} cannot be read: {missing.strerror}; "
            "`python -m app calendar` writes one"
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as broken:
        raise UsageError(f"calendars.{name}.file: {path.absolute()} is no valid TOML: {broken}") from None
    if "file" in values:
        message = f"calendars.{name}.file: a calendar's file holds its sessions, and names no other file"
        raise UsageError(render_value(str(path), text, ("file",), message))
    try:
        return CalendarTable.model_validate(values)
    except ValidationError as invalid:
        error = invalid.errors()[0]
        cause = error.get("ctx", {}).get("error")
        location = (*error["loc"], *(cause.inside if isinstance(cause, PlacedError) else ()))
        message = told({**error, "loc": ("calendars", name, *location)}, Settings)
        raise UsageError(render_value(str(path), text, location, message)) from None
