"""Random as-of joins over all settings, each compared with the oracle and, where it has a rule, with pandas.

`python -m tests.property.asof_cases --cases 100000 --seed 0` runs many; hypothesis shrinks them too.
"""

import argparse
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa

from operators.asof import find_positions, join
from operators.tables.settings import read_settings
from tests.oracles.asof import Columns, asof_oracle

Draw = Callable[[int, int], int]  # a whole number between two, both inclusive

TILE_ROWS = 8  # the fewest there can be: most cases cross borders of tiles
NS_PER_UNIT = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
TEXTS = ["", "A", "B", "ABCDEFGH", "ABCDEFGHI", "ABCDEFGHIJKLMNOPQ", "Ä"]
NUMBERS = [0, 1, 2, 3, -1, 100_000, -(2**31)]
TEXT_TYPES = [
    pa.string(),
    pa.large_string(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int8(), pa.large_string()),
]
NUMBER_TYPES = [pa.int64(), pa.int32(), pa.dictionary(pa.int32(), pa.int64())]
NAIVE_TYPES = [pa.int64(), pa.timestamp("ns"), pa.timestamp("s")]
ZONED_TYPES = [
    pa.int64(),
    pa.timestamp("ns", "Asia/Tokyo"),
    pa.timestamp("us", "UTC"),
    pa.timestamp("s", "UTC"),
]


@dataclass(frozen=True)
class Case:
    """One join: its tables, the same rows for the oracle, and its settings."""

    left: pa.Table
    rights: dict[str, pa.Table]
    left_columns: Columns
    right_columns: dict[str, Columns]
    by: tuple[str, ...]
    settings: dict[str, Any]


def draw_case(draw: Draw, rows_max: int) -> Case:
    """Draw a case: small numbers everywhere, so that ties, misses and nulls are common."""
    by = [(), ("symbol",), ("symbol",), ("code",), ("symbol", "code")][draw(0, 4)]
    direction = ["backward", "forward", "nearest"][draw(0, 2)]
    settings: dict[str, Any] = {
        "direction": direction,
        "tolerance_ns": None if draw(0, 1) else draw(0, 4) * [1, 1_000][draw(0, 1)],
        "allow_exact": draw(0, 2) > 0,
        "carry": ["row", "column"][draw(0, 1)] if direction == "backward" else "row",
        "sequence": [None, None, "seq"][draw(0, 2)],
    }
    unit_ns = [1, 1_000, 1_000_000_000][draw(0, 2)]
    times = [NAIVE_TYPES, ZONED_TYPES][draw(0, 1)]
    left, left_columns = draw_table(draw, rows_max, unit_ns, times, left=True)
    tables = [draw_table(draw, rows_max, unit_ns, times, left=False) for _ in range(draw(1, 5))]
    streams = ["quote", "bar", "signal", "depth", "news"][: len(tables)]
    return Case(
        left,
        {stream: table for stream, (table, _) in zip(streams, tables, strict=True)},
        left_columns,
        {stream: columns for stream, (_, columns) in zip(streams, tables, strict=True)},
        by,
        settings,
    )


def draw_table(
    draw: Draw, rows_max: int, unit_ns: int, times: list[pa.DataType], *, left: bool
) -> tuple[pa.Table, Columns]:
    """Draw a table, its times of one of these types, and the same rows as lists, times in nanoseconds."""
    rows = draw(0, rows_max)
    odds = [0, 0, 4][draw(0, 2)]  # of nulls: never, or one in four
    key_range = draw(0, 6)
    values = partial(draw_values, draw, rows)
    columns: Columns = {
        "event_ns": values(odds, lambda: draw(-3, 12) * unit_ns),
        "symbol": values(odds, lambda: TEXTS[draw(0, key_range)]),
        "code": values(odds, lambda: NUMBERS[draw(0, key_range)]),
    }
    if draw(0, 1):
        columns["event_ns"].sort(key=lambda time_ns: (time_ns is None, time_ns))
    kinds = {"event_ns": fitting(times, draw, unit_ns)}
    kinds |= {"symbol": TEXT_TYPES[draw(0, 3)], "code": NUMBER_TYPES[draw(0, 2)]}
    kinds |= {
        "price": pa.int64(),
        "seq": pa.int64(),
        "bid": pa.float64(),
        "venue": pa.string(),
        "open": pa.bool_(),
    }
    if left:
        columns["price"] = values(0, lambda: draw(0, 3))
    else:
        columns["seq"] = values(0, lambda: draw(0, 2))
        columns["bid"] = values(2, lambda: draw(0, 9) / 4)
        columns["venue"] = values(odds, lambda: TEXTS[draw(0, 6)])
        columns["open"] = values(odds, lambda: draw(0, 1) == 1)
    arrays = {name: column_of(column, kinds[name], draw) for name, column in columns.items()}
    return pa.table(arrays), columns


def draw_values(draw: Draw, rows: int, odds: int, value: Callable[[], object]) -> list[object]:
    """Draw a column; one value in `odds` is null."""
    return [None if odds and draw(1, odds) == 1 else value() for _ in range(rows)]


def fitting(kinds: list[pa.DataType], draw: Draw, unit_ns: int) -> pa.DataType:
    """Draw a time type that can hold whole units."""
    fine = [kind for kind in kinds if kind == pa.int64() or NS_PER_UNIT[kind.unit] <= unit_ns]
    return fine[draw(0, len(fine) - 1)]


def column_of(values: list[object], kind: pa.DataType, draw: Draw) -> pa.ChunkedArray:
    """Return an Arrow column of one piece, or of two when drawn, sometimes with rows cut off in front."""
    if pa.types.is_timestamp(kind):
        per_unit = NS_PER_UNIT[kind.unit]
        values = [None if ns is None else int(str(ns)) // per_unit for ns in values]
    if pa.types.is_dictionary(kind):
        array = pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    else:
        array = pa.array(values, kind)
    if draw(0, 3) == 0:
        array = pa.concat_arrays([array, array]).slice(len(array))
    if draw(0, 3) > 0:
        return pa.chunked_array([array])
    middle = draw(0, len(array))
    return pa.chunked_array([array[:middle], array[middle:]], array.type)


def difference(case: Case) -> str | None:
    """Compare a case with the oracle and pandas; return what differs, or None."""
    settings = read_settings(on="event_ns", by=case.by, threads=1, **case.settings)
    settings = replace(settings, tile_rows=TILE_ROWS)
    joined = join(case.left, case.rights, settings)
    joined.validate(full=True)
    expected = asof_oracle(case.left_columns, case.right_columns, by=case.by, **case.settings)
    actual = {name: plain_values(joined.column(name)) for name in joined.schema.names}
    if actual != expected:
        names = [name for name in expected if actual.get(name) != expected[name]]
        return "\n".join(f"{name}: {actual.get(name)}, the oracle says {expected[name]}" for name in names)
    found = find_positions(case.left, case.rights, settings)
    for stream, own in found.positions.items():
        matched = positions_by_pandas(case, stream)
        if matched is not None and own.tolist() != matched:
            return f"{stream}: matched rows {own.tolist()}, pandas says {matched}"
    return None


def plain_values(column: pa.ChunkedArray) -> list[object]:
    """Return a column as Python values, timestamps as nanoseconds."""
    if not pa.types.is_timestamp(column.type):
        return list(column.to_pylist())
    per_unit = NS_PER_UNIT[column.type.unit]
    return [None if value is None else value * per_unit for value in column.cast(pa.int64()).to_pylist()]


def positions_by_pandas(case: Case, stream: str) -> list[int] | None:
    """Return the matched rows of one stream as pandas finds them, or None where it has no rule.

    It has none for unsorted or null times, a sequence, or null keys, which it takes for equal to each other.
    """
    left, right = case.left_columns, case.right_columns[stream]
    for columns in (left, right):
        times = columns["event_ns"]
        if None in times or times != sorted(times, key=lambda ns: int(str(ns))):
            return None
        if any(None in columns[name] for name in case.by):
            return None
    if case.settings["sequence"] is not None or not left["event_ns"]:
        return None
    names = ["event_ns", *case.by]
    frame = pd.merge_asof(
        pandas_frame(left, names),
        pandas_frame(right, names).assign(place=range(len(right["event_ns"]))),
        on="event_ns",
        by=list(case.by) or None,
        direction=str(case.settings["direction"]),
        tolerance=case.settings["tolerance_ns"],
        allow_exact_matches=case.settings["allow_exact"],
    )
    return [int(place) for place in frame["place"].fillna(-1)]


def pandas_frame(columns: Columns, names: list[str]) -> pd.DataFrame:
    """Return the named columns with the same types for all tables, empty ones too."""
    kinds = {"event_ns": "int64", "code": "int64", "symbol": "object"}
    return pd.DataFrame({name: pd.Series(columns[name], dtype=kinds[name]) for name in names})


def describe(case: Case) -> str:
    """Return a case compactly enough to read and to paste into a test."""
    rows = "\n".join(f"  {stream}: {columns}" for stream, columns in case.right_columns.items())
    types = {name: table.schema.types for name, table in {"left": case.left, **case.rights}.items()}
    return f"by={case.by} {case.settings}\n  left: {case.left_columns}\n{rows}\n  types: {types}"


def main() -> int:
    """Run the cases of one seed; exit 1 at the first that differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000, help="how many to run")
    parser.add_argument("--seed", type=int, default=0, help="case k of seed s is always the same")
    parser.add_argument("--rows", type=int, default=10, help="the most rows of a table")
    arguments = parser.parse_args()
    for number in range(arguments.cases):
        case = draw_case(random.Random(f"{arguments.seed}:{number}").randint, arguments.rows)
        found = difference(case)
        if found is not None:
            sys.stdout.write(f"seed {arguments.seed}, case {number}:\n{describe(case)}\n{found}\n")
            return 1
    sys.stdout.write(f"{arguments.cases} cases of seed {arguments.seed}: no difference\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
