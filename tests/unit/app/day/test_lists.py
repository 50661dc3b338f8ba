"""Columns of lists, end to end on the embedded bus: import, topics in both shapes, join, audit, frames."""

from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.day.request import ReplayRequest
from app.day.run import replay_day
from tests.stage.days import DATE, NOON_NS, write_file

ROWS = 400


def of(number: int) -> dict[str, Any]:
    """The lists of a quote: without a value, without items, with nulls in them, of several widths."""
    words = [None, [], ["@"], ["@", None, "F" * (number % 90)]][number % 4]
    sizes = None if number % 7 == 0 else [number % 2**7, -1] * (number % 5)
    return {"conditions": words, "sizes": sizes, "prices": [number / 8, float("nan")][: number % 3]}


KINDS = {
    "conditions": pa.list_(pa.string()),
    "sizes": pa.large_list(pa.int16()),
    "prices": pa.list_(pa.float64()),
}


def text(value: Any) -> str:
    """A value as text: not a number is not equal to itself."""
    return repr(value)


@pytest.mark.parametrize(("shape", "partitions"), [("block", 1), ("record", 2)])
def test_lists_pass_through_a_replay_as_the_file_has_them(
    tmp_path: Path, shape: Literal["block", "record"], partitions: int
) -> None:
    symbols = ["AB"[number % 2] for number in range(ROWS)]
    quotes = [of(number) for number in range(ROWS)]
    times = [NOON_NS + 1_000 * number for number in range(ROWS)]
    columns = {name: pa.array([row[name] for row in quotes], kind) for name, kind in KINDS.items()}
    data = tmp_path / "data"
    write_file(data, "quotes.parquet", event_ns=times, symbol=symbols, **columns)
    marks = pa.array([[number, None] for number in range(ROWS)])
    write_file(data, "trades.parquet", event_ns=[at + 500 for at in times], symbol=symbols, marks=marks)
    summary = replay_day(
        ReplayRequest(
            date=DATE,
            data=data,
            store=tmp_path / "history",
            bus="embedded",
            out=tmp_path / "out",
            shape=shape,
            partitions=partitions,
        ),
        lambda _: None,
    )
    assert summary.audit_violations == 0, summary.audit_findings
    aligned = pq.read_table(tmp_path / "out" / "aligned").sort_by("event_ns")
    assert aligned.column("marks").to_pylist() == marks.to_pylist()
    for name in KINDS:
        found = aligned.column(f"quote_{name}").to_pylist()
        assert [text(value) for value in found] == [text(row[name]) for row in quotes], name
