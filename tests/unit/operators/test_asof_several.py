"""Several right tables in one join: each as if it were joined alone, whoever shares its pass."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from operators.asof import asof_join, asof_positions, join
from operators.tables import threads as asof_workers
from operators.tables.budget import Scratch, passes
from operators.tables.settings import read_settings
from tests.stage.asof_tables import bytes_of, large_tables

SETTINGS = [
    *({"direction": direction} for direction in ("backward", "forward", "nearest")),
    {"direction": "nearest", "tolerance_ns": 30, "allow_exact": False},
    {"carry": "column", "tolerance_ns": 200},
]


def shuffled(table: pa.Table) -> pa.Table:
    return table.take(np.random.default_rng(1).permutation(table.num_rows))


def with_null_times(table: pa.Table) -> pa.Table:
    times = table["event_ns"].to_numpy()
    some = np.random.default_rng(2).random(times.size) < 0.1
    return table.set_column(0, "event_ns", pa.array(times, mask=some))


def right_tables(rows: int, symbols: int) -> dict[str, pa.Table]:
    """Tables that are gathered tile by tile, after the pass, and from an order or pieces of their own."""
    _, quotes = large_tables(rows, symbols)
    return {
        "fixed": quotes.select(["event_ns", "symbol", "bid", "size", "open"]),
        "text": quotes,
        "mixed": shuffled(quotes),
        "gaps": with_null_times(quotes),
        "pieces": pa.concat_tables([quotes[: rows // 3], quotes[rows // 3 :]]),
        "empty": quotes[:0],
    }


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("by", ["symbol", None])
@pytest.mark.parametrize("change", [None, shuffled, with_null_times])
def test_a_table_is_joined_as_if_it_were_alone(
    settings: dict[str, object], by: str | None, change: object
) -> None:
    left, rights = large_tables(1_000, symbols=9)[0], right_tables(900, symbols=9)
    left = change(left) if callable(change) else left
    if by is None:
        rights = {stream: table.drop_columns(["symbol"]) for stream, table in rights.items()}
    asked = read_settings(
        on="event_ns",
        by=by,
        direction="backward",
        tolerance_ns=None,
        allow_exact=True,
        carry="row",
        sequence=None,
        threads=1,
    )
    together = join(left, rights, replace(asked, tile_rows=64, **settings))  # type: ignore[arg-type]
    together.validate(full=True)
    for stream, table in rights.items():
        alone = asof_join(left, {stream: table}, by=by, threads=1, **settings)  # type: ignore[arg-type]
        assert together.select(alone.schema.names).equals(alone)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("change", [None, shuffled])
def test_the_number_of_threads_changes_no_byte_of_several_tables(
    settings: dict[str, object], change: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asof_workers, "ROWS_PER_THREAD_MIN", 512)
    left, rights = large_tables(3_000, symbols=9)[0], right_tables(2_000, symbols=9)
    left = change(left) if callable(change) else left
    one, two, three = (
        asof_join(left, rights, threads=threads, **settings)  # type: ignore[arg-type]
        for threads in (1, 2, 3)
    )
    assert bytes_of(one) == bytes_of(two) == bytes_of(three)


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
def test_tables_that_need_several_passes_are_joined_as_if_they_were_alone(direction: str) -> None:
    keys, rng = 2_000, np.random.default_rng(7)

    def table(rows: int) -> pa.Table:
        symbols = rng.choice([0, 1, 2, keys - 1], rows)
        times = np.sort(rng.integers(0, 1_000, rows))
        return pa.table({"event_ns": times, "symbol": symbols, "row": np.arange(rows)})

    left, rights = table(500), {f"s{number}": table(300) for number in range(6)}
    walk = Scratch(once=0, per_thread=4 * keys)
    assert len(list(passes([walk] * 6, 500 + 6 * 300, threads=1))) > 1
    joined = asof_join(left, rights, direction=direction)
    found = asof_positions(left, rights, direction=direction).positions
    for stream, right in rights.items():
        alone = asof_join(left, {stream: right}, direction=direction)
        assert joined.select(alone.schema.names).equals(alone)
        assert alone[f"{stream}_row"].fill_null(-1).to_pylist() == found[stream].tolist()
