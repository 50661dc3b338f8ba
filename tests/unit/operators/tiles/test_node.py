"""What a function gives is checked, why it is null is said, and what it needs is held within a bound."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest

from operators.node import NodeStateError
from operators.sealed import Sealed
from operators.tiles.calls import TileError
from operators.tiles.held import HeldRows
from operators.tiles.settings import UserFunction
from schemas.batch import Int64s
from tests.oracles.tiles import Row, Way
from tests.stage.tile_nodes import UPSTREAM, batch_of, new_node, planned_of, sealed_of, valued_of

WAY = Way(tile_ns=10, rows=1, ns=0)
ROWS = [Row(1, "A", 1.0, 0), Row(2, "A", 2.0, 1), Row(3, None, 3.0, 2), Row(4, "B", 4.0, 3)]


def times_of(rows: list[Row]) -> Int64s:
    return np.array([row.time_ns for row in rows], np.int64)


def giving(column: pa.Array | None) -> UserFunction:
    made: Mapping[str, pa.Array] = {} if column is None else {"y": column}
    return UserFunction(lambda _: made, "0" * 16, "rows 1", "my_nodes.py:1")


def run(function: UserFunction) -> tuple[Sealed, list[str]]:
    node, groups = new_node(planned_of(function, WAY))
    sealed = node.take((sealed_of(ROWS, 10, groups),))
    return sealed, [failed.reason for failed in node.failures()]


def test_nulls_are_warming_null_in_or_domain_and_a_row_without_a_symbol_is_null() -> None:
    values = pa.array([None, None, float("inf")], pa.float64())
    sealed, failed = run(giving(values))
    # The second row of A has the row before it that the context wants.
    assert valued_of(sealed) == [(None, "warming"), (None, "null_in"), (None, "null_in"), (None, "domain")]
    assert failed == []


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (None, "ValueError: it gave no column y"),
        (pa.array([1.0]), "ValueError: it gave 1 values of y for 3 rows"),
        (pa.array([1, 2, 3]), "it gave y as int64, and returns says double"),
        (pa.array(["a", "b", "c"]), "it gave y as string, and returns says double"),
    ],
    ids=["no column", "another length", "whole numbers", "text"],
)
def test_a_column_that_is_not_what_returns_says_fails_its_tile(column: pa.Array | None, reason: str) -> None:
    sealed, failed = run(giving(column))
    assert valued_of(sealed) == [(None, "failed")] * len(ROWS)
    assert len(failed) == 1
    assert reason in failed[0]


def test_a_column_of_nulls_of_no_type_is_one_of_nulls() -> None:
    sealed, failed = run(giving(pa.nulls(3)))
    assert {value for value, _ in valued_of(sealed)} == {None}
    assert failed == []


def test_a_file_that_is_missing_stops_and_does_not_null() -> None:
    def read(_: pa.RecordBatch) -> Mapping[str, pa.Array]:
        raise FileNotFoundError("weights.npy")

    with pytest.raises(TileError, match=r"my_nodes.py:1: node smooth, tile 0 to 10: FileNotFoundError"):
        run(UserFunction(read, "0" * 16, "rows 1", "my_nodes.py:1"))


def test_more_rows_than_rows_max_stop_with_the_ways_out() -> None:
    node, groups = new_node(planned_of(giving(None), WAY, rows_max=3))
    with pytest.raises(TileError, match=r"graph.smooth.rows_max is 3: shorten the tile or the context"):
        node.take((sealed_of(ROWS, 9, groups),))


def test_rows_of_context_are_forgotten_once_they_are_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.tiles.held.LOOSE_ROWS", 16)
    held = HeldRows(UPSTREAM, rows=0, ns=20)
    for tile in range(200):
        rows = [Row(10 * tile + n, f"S{(tile + n) % 50}", 1.0, n) for n in range(3)]
        held.add(batch_of(rows), np.array([(tile + n) % 50 for n in range(3)], np.int32), times_of(rows))
        (one,) = held.tiles(10 * tile + 10, 10)
        assert held.store.time_ns[one.rows].tolist() == times_of(rows).tolist()
        assert (held.store.time_ns[one.context] > 10 * tile - 20).all()
        held.forget()
    assert held.count <= 40


def test_a_damaged_state_is_refused_with_the_name_of_the_node() -> None:
    ones = UserFunction(lambda rows: {"y": pa.array(np.ones(rows.num_rows))}, "0" * 16, "", "my_nodes.py:1")
    planned = planned_of(ones, WAY)
    node, groups = new_node(planned)
    node.take((sealed_of(ROWS, 5, groups),))
    entries = dict(node.snapshot().puts)
    for damaged in (
        {key: value for key, value in entries.items() if key != b"h"},
        {**entries, b"h": entries[b"h"][:-1]},
        {**entries, b"x" * 12: b""},
        {key: value[:-1] if key != b"h" else value for key, value in entries.items()},
    ):
        with pytest.raises(NodeStateError, match="node smooth"):
            new_node(planned)[0].restore(damaged.items())
