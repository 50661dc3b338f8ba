"""What replay promises, said so slowly that it is obviously right."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


def merge_slowly(
    times_ns: Sequence[Sequence[int]], starts: Sequence[int], rows_max: int, below_ns: int | None
) -> list[int]:
    """Where each stream stands after the next rows, taken one at a time: the earliest, the first on a tie."""
    stands = list(starts)
    for _ in range(rows_max):
        nexts = [
            (times[stand], stream)
            for stream, (times, stand) in enumerate(zip(times_ns, stands, strict=True))
            if stand < len(times) and (below_ns is None or times[stand] < below_ns)
        ]
        if not nexts:
            break
        stands[min(nexts)[1]] += 1
    return stands


def disorder_slowly(times_ns: Sequence[int]) -> int:
    """How far a row trails any row before it, at most."""
    return max((max(times_ns[: i + 1]) - time_ns for i, time_ns in enumerate(times_ns)), default=0)


def local_date_slowly(time_ns: int, zone: str) -> date:
    """The calendar date of a moment in a zone, by the standard library."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1_000)
    return moment.astimezone(ZoneInfo(zone)).date()
