"""Rows of parts that are read with their texts as dictionaries are those of parts that are not."""

import numpy as np
import pyarrow as pa
import pytest

from replay.store.content_hash import combined, content_hash
from replay.store.part_files import CODED_ROWS_MIN, open_part
from replay.store.places import TableRules
from replay.store.prune import Wanted
from replay.store.scan import Scan, stored_rows
from replay.store.snapshot import Snapshot
from replay.store.table import create_table
from tests.stage.history_tables import SCHEMA, append, draw_rows, placed

RULES = TableRules(stream="quote", key=("symbol",), sequence="sequence", order="known", zone="UTC", buckets=1)
NOTED = SCHEMA.append(pa.field("note", pa.string())).append(
    pa.field("venue", pa.dictionary(pa.int32(), pa.string()))
)


def noted(rows: int, seed: int, notes: int) -> pa.RecordBatch:
    """Rows of one day with so many different notes, and some without any."""
    draw = np.random.default_rng(seed)
    note = pa.array(
        [f"note {number}" for number in draw.integers(0, notes, rows)], mask=draw.random(rows) < 0.1
    )
    venue = pa.array(draw.choice(np.array(["N", "Q"]), rows)).dictionary_encode()
    quotes = draw_rows(rows, seed, days=1)
    return pa.RecordBatch.from_arrays([*quotes.columns, note, venue], schema=NOTED)


@pytest.fixture(scope="module")
def batches() -> list[pa.RecordBatch]:
    """Few notes and very many in two large batches, and few in a small one."""
    rows = CODED_ROWS_MIN
    return [noted(rows, 1, 10), noted(rows, 2, 10 * rows), noted(100, 3, 10)]


@pytest.fixture(scope="module")
def snapshot(batches: list[pa.RecordBatch], tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    table = create_table(tmp_path_factory.mktemp("history"), RULES, NOTED)
    first = 0
    for rows in batches:
        append(table, placed(rows, first))
        first += rows.num_rows
    return table.snapshot()


def test_only_texts_with_few_distinct_ones_in_a_large_part_are_read_as_dictionaries(
    snapshot: Snapshot,
) -> None:
    texts = ["symbol", "note", "venue"]
    coded = []
    for part in snapshot.parts:
        with open_part(snapshot, part, texts) as file:
            kinds = [file.schema_arrow.field(name).type for name in texts]
        coded.append([pa.types.is_dictionary(kind) for kind in kinds])
    assert sorted(coded) == [[False] * 3, [True, False, True], [True] * 3]


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(keys=frozenset({b"A", b"CC"}))])
def test_their_rows_come_back_in_order_and_in_their_own_types(
    snapshot: Snapshot, batches: list[pa.RecordBatch], wanted: Wanted
) -> None:
    whole = pa.Table.from_batches([placed(rows, 10**6 * number) for number, rows in enumerate(batches)])
    by = [(name, "ascending") for name in ("known_ns", "sequence", "_offset")]
    expected = whole.sort_by(by).select(NOTED.names)
    if wanted.keys is not None:
        names = pa.array([key.decode() for key in wanted.keys])
        expected = expected.filter(pa.compute.is_in(expected["symbol"], names))
    back = pa.Table.from_batches(list(Scan(snapshot, wanted).batches()))
    assert back.schema == NOTED
    assert back.to_pylist() == expected.to_pylist()


def test_as_they_are_stored_they_have_the_hash_of_the_footers(snapshot: Snapshot) -> None:
    rows = list(stored_rows(snapshot, snapshot.parts))
    assert not any(pa.types.is_dictionary(field.type) for field in rows[0].schema)
    assert combined(*map(content_hash, rows)) == combined(
        *(snapshot.footer(part).content_hash for part in snapshot.parts)
    )
