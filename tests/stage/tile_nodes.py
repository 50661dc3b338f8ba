"""Nodes with a function, rows for them, and a node fed in cuts with restarts between them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from operators.tiles.calls import FailedTile
from operators.tiles.node import PlannedTiles, TileNode
from operators.tiles.settings import TileSettings, UserFunction
from schemas.reasons import REASONS
from tests.oracles.tiles import Function, Row, Valued, Way

UPSTREAM: Final = pa.schema(
    [
        pa.field("event_ns", pa.int64()),
        pa.field("symbol", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("number", pa.int64()),
        pa.field("note", pa.dictionary(pa.int32(), pa.string())),
    ]
)


class Cut(NamedTuple):
    """How many rows come, and how much of the time to the next one is complete; what happens then."""

    rows: int
    share: float
    dies: bool = False
    keeps: bool = False


class Fed(NamedTuple):
    """What a node gave: values with their reasons, the numbers of rows, how far it was complete, failures."""

    valued: list[Valued]
    numbers: list[int]
    complete_ns: list[tuple[int, int]]
    failed: list[FailedTile]


def as_function(function: Function) -> UserFunction:
    """A function over plain rows as a node calls it."""

    def run(rows: pa.RecordBatch) -> Mapping[str, pa.Array]:
        taken = [Row(**{name: row[key] for name, key in NAMES.items()}) for row in rows.to_pylist()]
        return {"y": pa.array(function(taken), pa.float64())}

    return UserFunction(run, "0" * 16, "rows 1", "my_nodes.py:1")


NAMES: Final = {"time_ns": "event_ns", "symbol": "symbol", "value": "value", "number": "number"}


def planned_of(
    function: UserFunction, way: Way, upstream: pa.Schema = UPSTREAM, **more: object
) -> PlannedTiles:
    settings = TileSettings(
        text="my_nodes.py:f",
        returns={"y": "float64"},
        tile_ns=way.tile_ns,
        rows=way.rows,
        ns=way.ns,
        failures_max=way.failures_max,
        **more,  # type: ignore[arg-type]
    )
    layout = upstream.append(pa.field("y", pa.float64()))
    return PlannedTiles(settings, function, upstream, layout, tuple(upstream.names))


def new_node(planned: PlannedTiles) -> tuple[TileNode, Groups]:
    """A node with symbols of its own, numbered in another order than by its rows."""
    groups = Groups()
    groups.codes(pa.array([b"Z", b"B"], pa.binary()), np.arange(2, dtype=np.int32))
    return TileNode("smooth", "0" * 16, planned, groups), groups


def batch_of(rows: Sequence[Row]) -> pa.RecordBatch:
    """Rows as a node's input has them."""
    notes = pa.array([f"note {row.number % 3}" for row in rows], pa.string()).dictionary_encode()
    columns = [[getattr(row, name) for row in rows] for name in ("time_ns", "symbol", "value", "number")]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, UPSTREAM, strict=False)]
    return pa.RecordBatch.from_arrays([*arrays, notes], schema=UPSTREAM)


def sealed_of(rows: Sequence[Row], complete_ns: int, groups: Groups) -> Sealed:
    """Rows as a node takes them."""
    names = sorted({row.symbol for row in rows if row.symbol is not None})
    codes = [-1 if row.symbol is None else names.index(row.symbol) for row in rows]
    group = groups.codes(pa.array(names, pa.string()).cast(pa.binary()), np.array(codes, np.int32))
    keys = RowKeys(group, np.array([row.time_ns for row in rows], np.int64))
    return Sealed(batch_of(rows) if rows else None, complete_ns, keys=keys)


def valued_of(sealed: Sealed) -> list[Valued]:
    """The values of the function's column, and why they are null."""
    assert sealed.rows is not None
    values = sealed.rows.column("y").to_pylist()
    whys = sealed.reasons.get("y", np.zeros(len(values), np.uint8)).tolist()
    return [(value, REASONS[why]) for value, why in zip(values, whys, strict=True)]


def feed(
    make: Callable[[], tuple[TileNode, Groups]], rows: Sequence[Row], of_cuts: Sequence[Cut], complete_ns: int
) -> Fed:
    """Give rows to a node in cuts, the rest at once; it dies and comes back as these say."""
    node, groups = make()
    entries: dict[bytes, bytes] = {}
    fed = Fed([], [], [], [])
    taken = kept_at = kept_rows = kept_failed = 0
    for cut in [*of_cuts, Cut(len(rows), 1.0)]:
        upper = min(taken + cut.rows, len(rows))
        ends_ns = rows[upper].time_ns if upper < len(rows) else complete_ns
        begins_ns = rows[upper - 1].time_ns if upper else 0
        bound_ns = begins_ns + int(cut.share * max(ends_ns - begins_ns, 0))
        sealed = node.take((sealed_of(rows[taken:upper], bound_ns, groups),))
        taken = upper
        fed.failed.extend(node.failures())
        if sealed.rows is not None:
            fed.valued.extend(valued_of(sealed))
            fed.numbers.extend(sealed.rows.column("number").to_pylist())
            notes = sealed.rows.column("note").to_pylist()
            assert notes == [f"note {number % 3}" for number in fed.numbers[-len(notes) :]]
        fed.complete_ns.append((len(fed.valued), sealed.complete_ns))
        if cut.keeps:
            snapshot = node.snapshot()
            entries.update(snapshot.puts)
            for key in snapshot.deletes:
                entries.pop(key, None)
            kept_at, kept_rows, kept_failed = taken, len(fed.valued), len(fed.failed)
        if cut.dies:
            node, groups = make()
            node.restore(entries.items())
            taken = kept_at
            del fed.valued[kept_rows:], fed.numbers[kept_rows:], fed.failed[kept_failed:]
    return fed
