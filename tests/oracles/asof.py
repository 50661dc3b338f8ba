"""The as-of join in words: for each left row look at every right row, keep those allowed, take the right one.

Columns are lists, times are whole nanoseconds or None; slow, and meant to be read.
"""

from collections.abc import Sequence

Columns = dict[str, list[object]]


def asof_oracle(
    left: Columns,
    rights: dict[str, Columns],
    *,
    on: str = "event_ns",
    by: Sequence[str] = ("symbol",),
    direction: str = "backward",
    tolerance_ns: int | None = None,
    allow_exact: bool = True,
    carry: str = "row",
    sequence: str | None = None,
) -> Columns:
    """Return the columns of the joined table, in order."""
    output = {name: list(values) for name, values in left.items()}
    for stream, right in rights.items():
        names = [name for name in right if name != on and name not in by]
        rows = in_order(right, on, sequence)
        for name in [*names, on]:
            output[f"{stream}_{name}"] = []
        output[f"{stream}_age_ns"] = []
        for i, now in enumerate(left[on]):
            group = [left[name][i] for name in by]
            allowed = [
                row
                for row in rows
                if isinstance(now, int)
                and None not in group
                and group == [right[name][row] for name in by]
                and is_allowed(now, time_of(right, on, row), direction, tolerance_ns, allow_exact)
            ]
            found = choose(now, allowed, [time_of(right, on, row) for row in allowed], direction)
            for name in names:
                output[f"{stream}_{name}"].append(
                    carried(right[name], allowed) if carry == "column" else value(right[name], found)
                )
            output[f"{stream}_{on}"].append(value(right[on], found))
            age = None if found is None or not isinstance(now, int) else now - time_of(right, on, found)
            output[f"{stream}_age_ns"].append(age)
    return output


def in_order(right: Columns, on: str, sequence: str | None) -> list[int]:
    """The right rows that have a time: by time, then by sequence, then as they stand."""
    rows = [row for row, time_ns in enumerate(right[on]) if time_ns is not None]
    ties = right[sequence] if sequence is not None else [0] * len(right[on])
    return sorted(rows, key=lambda row: (right[on][row], ties[row], row))


def time_of(right: Columns, on: str, row: int) -> int:
    """The time of a row that has one."""
    time_ns = right[on][row]
    assert isinstance(time_ns, int)
    return time_ns


def is_allowed(now: int, then: int, direction: str, tolerance_ns: int | None, allow_exact: bool) -> bool:
    """Whether a right row lies on the side asked for and not too far away."""
    if tolerance_ns is not None and abs(now - then) > tolerance_ns:
        return False
    if now == then:
        return allow_exact
    return direction == "nearest" or (then < now if direction == "backward" else then > now)


def choose(now: object, rows: list[int], times: list[int], direction: str) -> int | None:
    """The closest row: before rather than after, of equal times before the last, after the first."""
    if not rows or not isinstance(now, int):
        return None
    closest = min(abs(now - then) for then in times)
    before = [row for row, then in zip(rows, times, strict=True) if now - then == closest]
    after = [row for row, then in zip(rows, times, strict=True) if then - now == closest]
    if direction != "forward" and before:
        return before[-1]
    return after[0]


def carried(values: list[object], rows: list[int]) -> object:
    """The last value that is not null."""
    known = [values[row] for row in rows if values[row] is not None]
    return known[-1] if known else None


def value(values: list[object], row: int | None) -> object:
    """The value of a row, or null."""
    return None if row is None else values[row]
