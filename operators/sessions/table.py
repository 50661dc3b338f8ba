"""Sessions of a calendar: a table of them, for a stretch of time of which all are known."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from operators.sessions.meaning import digest
from operators.sessions.sessions import CalendarError, Spans
from schemas.batch import Int64s
from schemas.clocks import NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SessionTable:
    """The sessions of one venue from `from_ns` on until before `until_ns`; a moment besides is an error.

    `name`      of the calendar, and `version`: with it they are what it means.  The rows are not: days are
                added to a table, and days to come are corrected before anything happens on them, neither of
                which changes a value that has been computed.  Who corrects a day that has been raises the
                version.
    `spans`     the sessions; int64 UTC ns, whole seconds, in order, `end_ns` exclusive.
    `from_ns`   the table has all sessions of the moments from here on ...
    `until_ns`  ... to here, exclusive.
    `home`      where the table stands, for messages.
    """

    name: str
    version: int
    spans: Spans
    from_ns: int
    until_ns: int
    home: str = ""
    meaning: str = field(init=False)

    def __post_init__(self) -> None:
        assert first_fault(self.spans, self.from_ns, self.until_ns) is None, "the rows are checked before"
        object.__setattr__(self, "meaning", digest("calendar", self.name, self.version))
        for column in self.spans:
            column.setflags(write=False)

    def describe(self) -> str:
        """As of `Sessions`: `calendar XNYS@1`."""
        return f"calendar {self.name}@{self.version}"

    def ids(self, time_ns: Int64s) -> Int64s:
        """As of `Sessions`; raises CalendarError for a moment before or after those the table is about."""
        self._require_known(time_ns)
        return self.spans.ids(time_ns)

    def ends(self, time_ns: Int64s) -> Int64s:
        """As of `Sessions`; raises CalendarError as `ids`."""
        self._require_known(time_ns)
        return self.spans.ends(time_ns)

    def _require_known(self, time_ns: Int64s) -> None:
        for moment_ns in (int(time_ns.min()), int(time_ns.max())) if time_ns.size else ():
            if not self.from_ns <= moment_ns < self.until_ns:
                raise CalendarError(self._beyond(moment_ns))

    def _beyond(self, moment_ns: int) -> str:
        home = f" ({self.home})" if self.home else ""
        side, option = ("earlier", "from") if moment_ns < self.from_ns else ("later", "to")
        return (
            f"the calendar {self.name}{home} has the sessions from {moment_text(self.from_ns)} to "
            f"{moment_text(self.until_ns)}, and a row is of {moment_text(moment_ns)}: add the {side} "
            f"sessions, such as with `python -m app calendar {self.name}` and another --{option}, and start "
            "again"
        )


def first_fault(spans: Spans, from_ns: int, until_ns: int) -> tuple[int, str] | None:
    """The first session that a table cannot have, by its place, and why; None where all are good."""
    start_ns, end_ns = spans
    before_ns = np.concatenate([[np.iinfo(np.int64).min], end_ns[:-1]])
    faults = (
        ((start_ns % NS_PER_S != 0) | (end_ns % NS_PER_S != 0), "a session begins and ends on whole seconds"),
        (start_ns >= end_ns, "a session ends after it begins"),
        (start_ns < before_ns, "a session begins no earlier than the one before it ends"),
        (start_ns < from_ns, "a session of the table begins no earlier than its `from`"),
        (end_ns > until_ns, "a session of the table ends no later than its `to`"),
    )
    wrong = [(int(np.argmax(bad)), why) for bad, why in faults if bad.any()]
    return min(wrong, key=lambda fault: fault[0], default=None)


def moment_text(time_ns: int) -> str:
    """A moment as ISO 8601, UTC, as exact as it is: `2024-01-02T14:30:00Z`."""
    whole, rest = divmod(time_ns, NS_PER_S)
    text = f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"
    return f"{text}.{rest:09}Z" if rest else f"{text}Z"
