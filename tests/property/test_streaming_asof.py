"""The streaming join equals its definition, whatever the cut into batches and the moments of sealing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.rows import columns, pending
from operators.streaming import StreamingAsof
from tests.oracles.streaming_asof import Row, Rules, StreamSlowly, join_slowly
from tests.property import streaming_cases as cases

pytestmark = pytest.mark.takes_s(40)


@pytest.fixture(autouse=True, scope="module")
def forget_rows_at_once() -> Iterator[None]:
    """So few rows would never be worth forgetting otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pending, "COMPACT_ROWS_MIN", 0)
        patch.setattr(columns, "CAPACITY_MIN", 2)
        yield


@settings(max_examples=250, deadline=None)
@given(cases.streams(), st.data())
def test_every_seal_answers_as_the_definition_does(
    case: tuple[Rules, dict[str, list[Row]]], data: st.DataObject
) -> None:
    rules, left = case
    asked = cases.make_settings(rules)
    join, slow = StreamingAsof(asked), StreamSlowly(cases.looked_up(rules), rules)
    late: list[tuple[str, int, int]] = []
    cases.play_both(data, rules, left, join, slow, st.integers(0, 13))
    for stream in rules.streams:
        for row in join.late(stream).to_pylist():
            late.append((stream, row["offset"], row["lateness_ns"]))
            assert row["frontier_ns"] - row["lateness_ns"] == row["time_ns"]
    assert late == sorted(slow.late, key=lambda told: (rules.streams.index(told[0]), told[1]))


@settings(max_examples=200, deadline=None)
@given(cases.streams(), st.data())
def test_any_cut_within_grace_gives_one_offline_join(
    case: tuple[Rules, dict[str, list[Row]]], data: st.DataObject
) -> None:
    rules, rows = case
    rules = replace(rules, grace_ns={name: cases.grace_of(rows[name]) for name in rules.streams})
    asked = cases.make_settings(rules)
    inputs = {stream.name: stream for stream in asked.streams}
    join = StreamingAsof(asked)
    left = dict(rows)
    sealed: list[dict[str, Any]] = []
    while any(left.values()):
        stream = data.draw(st.sampled_from([name for name, rows in left.items() if rows]))
        count = data.draw(st.integers(1, len(left[stream])))
        part, left[stream] = left[stream][:count], left[stream][count:]
        join.push(stream, cases.batch(inputs[stream], part))
        if data.draw(st.booleans()):
            sealed += cases.dicts(join.seal())
    sealed += cases.dicts(join.finish())
    assert sealed == join_slowly(rows["trade"], rows, cases.looked_up(rules), rules)
    assert [join.late(stream).num_rows for stream in rules.streams] == [0] * len(rules.streams)
    assert sealed == cases.joined_at_once(asked, rows)


@settings(max_examples=50, deadline=None)
@given(cases.rows("quote", True, rows_max=40), st.data())
def test_rows_go_through_a_plain_record_batch_the_same(quotes: list[Row], data: st.DataObject) -> None:
    rules = Rules(grace_ns={"trade": 12, "quote": 12})
    asked = cases.make_settings(rules)
    trades = data.draw(cases.rows("trade", True))
    joins = StreamingAsof(asked), StreamingAsof(asked)
    for name, rows in (("quote", quotes), ("trade", trades)):
        made = cases.batch(asked.streams[name == "quote"], rows)
        joins[0].push(name, made)
        joins[1].push(name, made.columns)
    first, second = (join.finish() for join in joins)
    assert (first is None) == (second is None)
    if isinstance(first, pa.RecordBatch):
        assert first.equals(second)
