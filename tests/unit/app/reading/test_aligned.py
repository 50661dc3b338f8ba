"""Laws of aligned rows read back: those from before a column was added fit, those of another join do not."""

from pathlib import Path

import pyarrow as pa
import pytest

from app.errors import UsageError
from app.reading.aligned import fitted, write_output
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet

ROWS = pa.record_batch({"event_ns": [1, 2], "price": [1.0, None]})


def test_rows_of_the_schema_are_handed_on() -> None:
    assert fitted(ROWS, ROWS.schema) == (ROWS, ())


def test_a_column_that_did_not_exist_yet_is_null_and_named() -> None:
    schema = pa.schema([("venue", pa.string()), *ROWS.schema])
    rows, lacks = fitted(ROWS, schema)
    assert lacks == ("venue",)
    assert rows.schema == schema
    assert rows.to_pydict() == {"venue": [None, None], **ROWS.to_pydict()}


@pytest.mark.parametrize("schema", [ROWS.schema.remove(1), ROWS.schema.set(1, pa.field("price", pa.int64()))])
def test_a_column_of_another_join_is_named(schema: pa.Schema) -> None:
    with pytest.raises(UsageError, match=r"rows with price \(double\)"):
        fitted(ROWS, schema)


def test_a_column_that_is_never_null_does_not_fit_rows_from_before_it(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.quote(1)
    market.trade(2)
    market.progress(100)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.close()
    market.add_column("trade", pa.field("lot", pa.int64(), nullable=False))
    with pytest.raises(UsageError, match="column lot, which is never null"):
        write_output(market.pipeline, "aligned", tmp_path / "aligned")
    assert not (tmp_path / "aligned").exists()
