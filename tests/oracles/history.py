"""What a history promises, said so slowly that it is obviously right."""

from collections.abc import Mapping, Sequence

Row = Mapping[str, object]


def rows_slowly(
    rows: Sequence[Row], from_ns: int | None, to_ns: int | None, keys: frozenset[bytes] | None, column: str
) -> list[Row]:
    """The rows that are wanted, in the order of a store whose order clock is the receiver's."""
    kept = []
    for row in rows:
        time_ns = row[column]
        if (from_ns is not None or to_ns is not None) and time_ns is None:
            continue
        if from_ns is not None and _number(time_ns) < from_ns:
            continue
        if to_ns is not None and _number(time_ns) >= to_ns:
            continue
        if keys is not None and str(row["symbol"]).encode() not in keys:
            continue
        kept.append(row)
    return sorted(kept, key=_order)


def _order(row: Row) -> tuple[int, ...]:
    known_ns = row["known_ns"]
    time_ns = row["event_ns"] if known_ns is None else known_ns
    places = (row["sequence"] or 0, row["_partition"], row["_offset"], row["_index"])
    return (_number(time_ns), *(_number(place) for place in places))


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value
