"""Days as somebody types them: one, or the first and the last of several."""

from datetime import date, timedelta
from typing import Final

from app.errors import UsageError

BETWEEN: Final = ".."
DAYS_MAX: Final = 3_660  # ten years: more is a slip of the pen


def require_date(text: str) -> date:
    """Return the day of `YYYY-MM-DD`; raises UsageError for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise UsageError(f"DATE={text!r} is not a date; write it as YYYY-MM-DD{_hint(text)}")
    return day


def days_between(text: str) -> list[str]:
    """Return every calendar day of `FIRST..LAST`, both included; raises UsageError where it is none."""
    first, last = map(require_date, text.split(BETWEEN, 1))
    if first > last:
        raise UsageError(f"DATE={text!r} ends before it begins: write DATE={last}{BETWEEN}{first}")
    count = (last - first).days + 1
    if count > DAYS_MAX:
        raise UsageError(f"DATE={text!r} is {count:,} days; at most {DAYS_MAX:,} are replayed at once")
    return [(first + timedelta(days=number)).isoformat() for number in range(count)]


def _hint(text: str) -> str:
    """How to write several days, for somebody who tried."""
    for sign in (":", "/", ",", " "):
        first, found, last = text.partition(sign)
        try:
            date.fromisoformat(first), date.fromisoformat(last)
        except ValueError:
            continue
        if found:
            return f", and several days as {first}{BETWEEN}{last}"
    return ""
