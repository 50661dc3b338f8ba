"""What a node of formulas remembers: rings that grow, rows that are forgotten, entries that come back."""

import os
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest

from operators.formula.features import Features, read_features, root_source
from operators.node import NodeStateError
from operators.nodes import history
from operators.nodes.formula import FormulaNode, Nulls
from operators.nodes.history import BLOCK, HEADER, VERSION
from operators.nodes.stateful_kernel import look_back
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed

SCHEMA: Final = pa.schema([("x", pa.float64())])
NONE: Final = -1


def features_of(formulas: Mapping[str, str]) -> Features:
    features, errors = read_features("tick", root_source("aligned", SCHEMA), formulas)
    assert features is not None, errors
    return features


class Stage:
    """A node with symbols of its own, numbered in the order of their names here."""

    def __init__(self, formulas: Mapping[str, str], symbols: Sequence[bytes] = (b"A", b"B")) -> None:
        self.groups = Groups()
        self.groups.codes(pa.array(list(symbols), pa.binary()), np.arange(len(symbols), dtype=np.int32))
        self.node = FormulaNode("tick", features_of(formulas), self.groups)

    def take(
        self,
        values: Sequence[float | None],
        group: Sequence[int] | None = None,
        time_ns: Sequence[int] | None = None,
        session: Sequence[int] | None = None,
    ) -> pa.RecordBatch:
        """Rows with these values; of the first symbol, 1 ns apart, in one session unless it is said."""
        rows = len(values)
        keys = RowKeys(
            np.array([0] * rows if group is None else group, np.int32),
            np.array(range(rows) if time_ns is None else time_ns, np.int64),
            np.array([0] * rows if session is None else session, np.int64),
        )
        batch = pa.RecordBatch.from_arrays([pa.array(values, pa.float64())], schema=SCHEMA)
        out = self.node.take((Sealed(batch, 0, keys=keys),)).rows
        assert out is not None
        return out


def kept(node: FormulaNode) -> dict[bytes, bytes]:
    return dict(node.snapshot().puts)


def test_rows_before_there_are_enough_are_counted_as_warming_and_those_without_a_symbol_as_null() -> None:
    stage = Stage({"before": "lag(x, rows=2)", "total": "rolling_sum(x, rows=2)"})
    out = stage.take([1, 2, 3, None, 5, 6], [0, 0, NONE, 0, 0, 1])
    assert out["before"].to_pylist() == [None, None, None, 1, 2, None]
    assert stage.node.counts["before"] == Nulls(null_in=1, warming=3)
    assert out["total"].to_pylist() == [None, 3, None, None, None, None]
    assert stage.node.counts["total"] == Nulls(null_in=1, warming=4)


def test_with_reset_a_session_begins_empty_and_rows_outside_are_no_row_for_it() -> None:
    stage = Stage(
        {
            "before": "lag(x, reset='session')",
            "total": "rolling_sum(x, rows=2, min_count=1, reset='session')",
            "open": "rolling_sum(x, rows=2, min_count=1)",
        }
    )
    out = stage.take([1, 2, 3, 4, 5, 6], session=[7, 7, -1, 9, 9, -1])
    assert out["before"].to_pylist() == [None, 1, None, None, 4, None]
    assert out["total"].to_pylist() == [1, 3, None, 4, 9, None]
    assert out["open"].to_pylist() == [1, 3, 5, 7, 9, 11]
    assert stage.node.counts["total"] == Nulls(warming=2)


def test_a_session_may_begin_with_any_row_whatever_the_cuts() -> None:
    for first in range(8):
        for cut in range(8):
            stage = Stage({"total": "rolling_sum(x, rows=3, min_count=1, reset='session')"})
            sessions = [int(row >= first) for row in range(8)]
            out: list[Any] = []
            for rows in (range(cut), range(cut, 8)):
                if rows:
                    taken = stage.take(list(rows), time_ns=rows, session=[sessions[row] for row in rows])
                    out += taken["total"].to_pylist()
            begins = [0 if row < first else first for row in range(8)]
            assert out == [sum(range(max(begins[row], row - 2), row + 1)) for row in range(8)]


def test_rings_of_many_symbols_grow_one_beside_the_other_in_bursts() -> None:
    random = np.random.default_rng(2)
    symbols = [f"S{number}".encode() for number in range(300)]
    stage = Stage({"before": "lag(x, rows=5)", "total": "rolling_sum(x, '40ns')"}, symbols)
    rows: dict[int, list[tuple[int, float]]] = {}
    now_ns = 0
    for _ in range(12):
        burst = int(random.integers(300))
        group = np.where(random.random(400) < 0.5, burst, random.integers(0, 300, 400)).tolist()
        time_ns = (now_ns + np.cumsum(random.integers(0, 2, 400))).tolist()
        values = random.integers(-9, 9, 400).astype(float).tolist()
        out = stage.take(values, group, time_ns).to_pydict()
        for row, (number, at_ns, value) in enumerate(zip(group, time_ns, values, strict=True)):
            seen = rows.setdefault(number, [])
            seen.append((at_ns, value))
            assert out["before"][row] == (seen[-6][1] if len(seen) > 5 else None)
            assert out["total"][row] == sum(x for then_ns, x in seen if then_ns > at_ns - 40)
        now_ns = time_ns[-1]


def test_what_is_kept_of_a_sliding_window_does_not_grow_with_the_run() -> None:
    stage = Stage({"total": "rolling_sum(x, '1us')", "before": "lag(x, rows=9)"})
    remembered = stage.node.history
    assert remembered is not None
    sizes = []
    for part in range(200):
        times = range(part * 2_000, (part + 1) * 2_000)
        stage.take([1.0] * 2_000, [time_ns % 2 for time_ns in times], times)
        sizes.append(remembered.memory.kept_time.size)
    assert max(sizes) == max(sizes[:10])
    # Of each symbol there are 500 rows of the window and the one before; 1,000 more come in a batch.
    assert max(sizes) <= 2 * 2 * 4_096


def test_a_snapshot_has_what_changed_and_deletes_the_blocks_that_are_forgotten() -> None:
    stage = Stage({"before": "lag(x, rows=3)"})
    stage.take([1.0] * (BLOCK + 10))
    first = stage.node.snapshot()
    assert [key for key, _ in first.puts] == [b"sA", b"rA" + (1).to_bytes(8, "big")]
    assert not first.deletes
    assert stage.node.snapshot().puts == []
    stage.take([1.0], [1])
    assert [key for key, _ in stage.node.snapshot().puts] == [b"sB", b"rB" + bytes(8)]
    stage.take([1.0] * (5 * BLOCK))
    second = stage.node.snapshot()
    assert [key for key, _ in second.puts] == [b"sA", b"rA" + (6).to_bytes(8, "big")]
    assert second.deletes == [b"rA" + (1).to_bytes(8, "big")]


def damaged(entries: Mapping[bytes, bytes]) -> dict[str, tuple[dict[bytes, bytes], str]]:
    """Entries of a state with one fault each, and the symbol that the error names."""
    faults = {}
    for key, value in entries.items():
        symbol = repr(key[1:] if key[:1] == b"s" else key[1:-8])
        faults[f"{key!r} is missing"] = ({k: v for k, v in entries.items() if k != key}, symbol)
        for name, wrong in {
            "is empty": b"",
            "is cut": value[:-1],
            "has more": value + b"\0",
            "is of another version": bytes([VERSION + 1]) + value[1:],
        }.items():
            faults[f"{key!r} {name}"] = ({**entries, key: wrong}, symbol)
        if key[:1] == b"s":
            places = HEADER.unpack_from(value)
            for place, number in ((1, 0), (1, 2**60), (2, -1), (2, 2**60), (4, -1), (4, 2**60)):
                header = [*places]
                header[place] = number
                wrong = HEADER.pack(*header) + value[HEADER.size :]
                faults[f"{key!r} {place} {number}"] = ({**entries, key: wrong}, symbol)
        else:
            first, rows = struct.unpack_from("<qi", value, 1)
            for numbers in ((first + 1, rows), (first, rows + 1), (first - 1, rows)):
                wrong = value[:1] + struct.pack("<qi", *numbers) + value[13:]
                faults[f"{key!r} {numbers}"] = ({**entries, key: wrong}, symbol)
    return faults


def test_whatever_is_damaged_or_missing_is_named_with_node_and_symbol() -> None:
    formulas = {"mean": "ewma(x, alpha=0.5)", "total": "rolling_sum(x, rows=300)"}
    stage = Stage(formulas)
    stage.take([float(row) for row in range(600)], [row % 2 for row in range(600)])
    entries = kept(stage.node)
    assert len(entries) == 2 * (1 + 2)
    for fault, (wrong, symbol) in damaged(entries).items():
        with pytest.raises(NodeStateError) as error:
            Stage(formulas).node.restore(wrong.items())
        assert str(error.value).startswith("node tick: "), fault
        assert symbol in str(error.value), fault


def test_blocks_of_rows_forgotten_since_cost_no_state_and_are_deleted() -> None:
    stage = Stage({"before": "lag(x, rows=3)"})
    stage.take([1.0] * 10)
    entries = kept(stage.node)
    stage.take([2.0] * (3 * BLOCK))
    snapshot = stage.node.snapshot()
    assert snapshot.deletes  # and whoever was to delete them has died
    again = Stage({"before": "lag(x, rows=3)"})
    again.node.restore((entries | dict(snapshot.puts)).items())
    assert again.take([3.0])["before"].to_pylist() == [2.0]
    after = again.node.snapshot()
    assert set(after.deletes) == set(snapshot.deletes)
    assert set(after.deletes).isdisjoint(key for key, _ in after.puts)


@pytest.mark.parametrize("key", [b"", b"x", b"r", b"rA", b"r\0\0\0\0\0\0\0"])
def test_an_entry_that_no_node_writes_is_refused_by_its_key(key: bytes) -> None:
    with pytest.raises(NodeStateError, match="node tick: no entry of its state has a key such as"):
        Stage({"before": "lag(x)"}).node.restore([(key, b"")])


def test_a_restored_node_goes_on_where_the_other_stood_with_symbols_numbered_anew() -> None:
    formulas = {
        "mean": "ewma(x, alpha=0.5)",
        "total": "rolling_sum(x, '700ns')",
        "before": "lag(x, rows=299)",
    }
    values = [float(row % 17) for row in range(1_500)]
    group = [row % 3 % 2 for row in range(1_500)]
    stage = Stage(formulas)
    stage.take(values[:1_000], group[:1_000])
    restored = Stage(formulas, (b"B", b"C", b"A"))
    restored.node.restore(kept(stage.node).items())
    numbers = {0: 2, 1: 0}
    again = restored.take(values[1_000:], [numbers[g] for g in group[1_000:]], range(1_000, 1_500))
    assert again.equals(stage.take(values[1_000:], group[1_000:], range(1_000, 1_500)))


def test_words_come_back_as_they_were_but_for_steps_with_a_column_of_their_own() -> None:
    formulas = {
        "std": "rolling_std(x, '700ns')",
        "mean": "rolling_mean(x, rows=20)",
        "before": "lag(x, '9ns')",
        "total": "cumsum(x)",
    }
    values = [row % 17 / 3 for row in range(1_000)]
    stage = Stage(formulas)
    stage.take(values, [row % 2 for row in range(1_000)])
    restored = Stage(formulas)
    restored.node.restore(kept(stage.node).items())
    for one in (stage, restored):
        one.take([0.1, 0.2], [0, 1], [1_000, 1_000])
    assert kept(restored.node) == kept(stage.node)
    assert restored.node.history is not None
    assert not restored.node.history.remade
    highest = Stage({**formulas, "highest": "rolling_max(x, rows=3)"}).node.history
    assert highest is not None
    assert [len(segment.lines) for segment in highest.remade] == [1]


def test_words_that_are_0_take_a_bit_each() -> None:
    stage = Stage({"std": "rolling_std(x, rows=20)"})
    stage.take([float(row) for row in range(30)])
    states = [value for key, value in kept(stage.node).items() if key[:1] == b"s"]
    assert len(states[0]) < HEADER.size + 100


def test_what_is_asked_for_ahead_changes_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    formulas = {
        "mean": "rolling_mean(x, '40ns')",
        "std": "rolling_std(x, rows=5)",
        "total": "cumsum(x)",
        "weighted": "vwap(x, x)",
        "highest": "rolling_max(x, rows=3)",
    }
    symbols = [f"S{number}".encode() for number in range(50)]
    random = np.random.default_rng(5)
    group = random.integers(-1, 50, 700).tolist()
    values = random.integers(1, 99, 700).astype(float).tolist()
    near = Stage(formulas, symbols).take(values, group)
    monkeypatch.setattr(history, "CACHE_WORDS", 0)
    assert Stage(formulas, symbols).take(values, group).equals(near)


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled under NUMBA_DISABLE_JIT"
)
def test_kernels_that_look_back_are_compiled_in_one_form() -> None:
    for formulas in ({"one": "lag(x)"}, {"two": "lag(x)", "more": "lag(x + 1) + lag(x * 2)"}):
        Stage(formulas).take([1.0, 2.0])
    assert len(look_back.signatures) == 1
