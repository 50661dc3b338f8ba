"""The joins that the as-of bench measures, and seeded tables for them.

Right times are multiples of 4 and left times one more than such a multiple, all distinct per table: no two
right rows tie and none is equally far on both sides, so engines with other tie rules must agree.
"""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One join.

    `keys` is int, dictionary, string, or none for no groups; with `hot` nine of ten rows have one symbol.
    `settings` are those of `asof_join`.
    """

    name: str
    left_rows: int = 1_000_000
    right_rows: int = 500_000
    right_count: int = 1
    symbols: int = 1_000
    keys: str = "int"
    hot: bool = False
    settings: dict[str, object] = field(default_factory=dict)


SCENARIOS = (
    Scenario(name="grouped, int keys"),
    Scenario(name="grouped, dictionary keys", keys="dictionary"),
    Scenario(name="grouped, string keys", keys="string"),
    Scenario(name="ungrouped", keys="none"),
    Scenario(name="tolerance", settings={"tolerance_ns": 2_000}),
    Scenario(name="forward", settings={"direction": "forward"}),
    Scenario(name="nearest", settings={"direction": "nearest"}),
    Scenario(name="4 right tables", right_rows=250_000, right_count=4),
    Scenario(name="8 right tables", right_rows=250_000, right_count=8),
    Scenario(name="5 M x 10 M x 2,000", left_rows=5_000_000, right_rows=10_000_000, symbols=2_000),
    Scenario(name="hot symbol", hot=True),
)


def tables(scenario: Scenario, scale: float) -> tuple[pa.Table, dict[str, pa.Table]]:
    """Return the left table and the right ones, with `scale` times the scenario's rows."""
    rng = np.random.default_rng(20240115)
    left_rows, right_rows = int(scenario.left_rows * scale), int(scenario.right_rows * scale)
    span = 4 * max(left_rows, right_rows)
    left = {"event_ns": times(rng, left_rows, span, 1), "price": rng.random(left_rows)}
    rights = {}
    for number in range(scenario.right_count):
        right = {"event_ns": times(rng, right_rows, span, 0)}
        right |= {"bid": rng.random(right_rows), "ask": rng.random(right_rows)}
        rights[f"s{number}"] = with_symbols(scenario, rng, right)
    return with_symbols(scenario, rng, left), rights


def times(rng: np.random.Generator, rows: int, span: int, remainder: int) -> pa.Array:
    """Return distinct times in order, all with one remainder when divided by four."""
    return pa.array(np.sort(rng.choice(span, rows, replace=False)) * 4 + remainder)


def with_symbols(scenario: Scenario, rng: np.random.Generator, columns: dict[str, object]) -> pa.Table:
    """Return a table with the scenario's keys, all symbols about equally frequent unless one is hot."""
    table = pa.table(columns)
    if scenario.keys == "none":
        return table
    codes = rng.integers(0, scenario.symbols, table.num_rows).astype(np.int32)
    if scenario.hot:
        codes[rng.random(codes.size) < 0.9] = 7
    names = pa.array([f"SYM{code:04d}" for code in range(scenario.symbols)])
    keys = pa.array(codes.astype(np.int64))
    if scenario.keys != "int":
        keys = pa.DictionaryArray.from_arrays(pa.array(codes), names)
    if scenario.keys == "string":
        keys = keys.cast(pa.string())
    return table.add_column(1, "symbol", keys)
