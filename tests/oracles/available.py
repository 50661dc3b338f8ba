"""When a row could have been in a reader's hands, from whole logs: slow and obvious."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class LogRow(NamedTuple):
    """A row of a log; `known_ns` is None where it has none, then it counts with its time."""

    time_ns: int
    known_ns: int | None


class LogRecord(NamedTuple):
    """A progress record of a log."""

    upper_ns: int


Log = Sequence[LogRow | LogRecord]


def available_slowly(
    logs: Mapping[str, Log], grace_ns: Mapping[str, int], time_ns: int, *, reaches: bool
) -> int | None:
    """The latest of what first carried each input beyond a row's time; None where an input never went there.

    `reaches` says that the time itself is enough: of a strict match, which no row of that time can change.
    """
    moments = []
    for name, log in logs.items():
        for entry in log:
            bound_ns = entry.upper_ns if isinstance(entry, LogRecord) else entry.time_ns - grace_ns[name]
            if bound_ns > time_ns or (reaches and bound_ns == time_ns):
                if isinstance(entry, LogRecord):
                    moments.append(entry.upper_ns)
                else:
                    moments.append(entry.time_ns if entry.known_ns is None else entry.known_ns)
                break
        else:
            return None
    return max(moments)
