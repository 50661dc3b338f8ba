"""The sessions of a venue: `anchor` of `[graph]`, and the calendars that it can name, `[calendars.NAME]`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import AwareDatetime, Field, field_validator, model_validator

from app.settings.section import Section
from operators.sessions.daily import DailySessions, read_days, read_hours, zone_of
from operators.sessions.sessions import CalendarError, Spans
from operators.sessions.table import SessionTable, first_fault
from schemas.batch import Int64s
from schemas.clocks import NS_PER_US

FORMS: Final = (
    'expected the name of a calendar, or { session = "09:30-16:00", timezone = "America/New_York" }'
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class PlacedError(CalendarError):
    """What is wrong with one value of a table; `inside` leads to it from the table, by keys and places."""

    def __init__(self, message: str, *inside: str | int) -> None:
        super().__init__(message)
        self.inside = inside


class AnchorTable(Section):
    """The key `anchor` of `[graph]`: a calendar, or hours of days; a text alone is a calendar's name."""

    calendar: str | None = None  # a table [calendars.NAME]
    session: str | None = None  # hours from and to, as 09:30-16:00; over midnight as 18:00-17:00
    timezone: str | None = None  # where the clocks show them: America/New_York
    days: str | None = None  # of the week, on which a session opens: Mon-Fri; none: every day

    @model_validator(mode="before")
    @classmethod
    def _a_text_is_a_calendar(cls, value: object) -> object:
        if isinstance(value, str):
            return {"calendar": value}
        if not isinstance(value, dict | AnchorTable):
            raise ValueError(FORMS)
        return value

    @field_validator("session")
    @classmethod
    def _is_hours(cls, text: str | None) -> str | None:
        if text is not None:
            read_hours(text)
        return text

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, text: str | None) -> str | None:
        if text is not None:
            zone_of(text)
        return text

    @field_validator("days")
    @classmethod
    def _are_days(cls, text: str | None) -> str | None:
        if text is not None:
            read_days(text)
        return text

    @model_validator(mode="after")
    def _is_one_form(self) -> "AnchorTable":
        by_rule = (self.session, self.timezone, self.days)
        if (self.calendar is None) == (by_rule == (None, None, None)):
            raise ValueError(FORMS)
        if self.calendar is None and (self.session is None or self.timezone is None):
            missing = "timezone" if self.timezone is None else "session"
            raise ValueError(f"{missing} is missing: {FORMS}")
        return self

    def rule(self) -> DailySessions:
        """The sessions of hours and days; `calendar` names others."""
        assert self.session is not None, "it is a rule"
        assert self.timezone is not None, "it is a rule"
        days = read_days(self.days or "Mon-Sun")
        return DailySessions(*read_hours(self.session), self.timezone, days)


class CalendarTable(Section):
    """The table `[calendars.NAME]`, or what the file that it names holds."""

    file: Path | None = None  # a TOML file with the keys below, as `python -m app calendar` writes it
    name: Annotated[str, Field(min_length=1)] | None = None  # of the calendar; none: NAME
    version: Annotated[int, Field(ge=1)] = 1  # to be raised when a session that has been is corrected
    from_: Annotated[AwareDatetime | None, Field(alias="from")] = None  # all sessions from here on are known
    to: AwareDatetime | None = None  # ... to here; none: the beginning of the first, the end of the last
    sessions: tuple[tuple[AwareDatetime, AwareDatetime], ...] = ()  # each from and to, in order

    @model_validator(mode="after")
    def _has_sessions_or_a_file(self) -> "CalendarTable":
        if self.file is not None:
            if own := sorted(self.model_fields_set - {"file"}):
                raise PlacedError("the file has it: leave it out here", own[0].removesuffix("_"))
            return self
        if not self.sessions:
            raise ValueError("expected a file, or sessions as [[2024-01-02T14:30:00Z, 2024-01-02T21:00:00Z]]")
        fault = first_fault(self._spans(), *self._ends_ns())
        if fault is not None:
            raise PlacedError(fault[1], "sessions", fault[0])
        return self

    def table(self, name: str, home: str) -> SessionTable:
        """The sessions, of a calendar called `name` where it has no name of its own."""
        from_ns, until_ns = self._ends_ns()
        return SessionTable(
            name=self.name or name,
            version=self.version,
            spans=self._spans(),
            from_ns=from_ns,
            until_ns=until_ns,
            home=home,
        )

    def _spans(self) -> Spans:
        starts, ends = zip(*self.sessions, strict=True)
        return Spans(_moments(starts), _moments(ends))

    def _ends_ns(self) -> tuple[int, int]:
        first, last = self.from_ or self.sessions[0][0], self.to or self.sessions[-1][1]
        from_ns, until_ns = _moments([first, last]).tolist()
        return from_ns, until_ns


def _moments(moments: Sequence[datetime]) -> Int64s:
    """int64, ns since the epoch."""
    return np.array([(moment - _EPOCH) // _MICROSECOND for moment in moments], dtype=np.int64) * NS_PER_US
