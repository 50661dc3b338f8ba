"""Times at the ends: nothing overflows and nothing wraps, in any direction, through both doors."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.asof import AsofError, asof_join
from operators.join.settings import HOLD_NS_MAX
from operators.streaming import StreamingAsof
from schemas.clocks import BEGINNING_NS, END_NS
from tests.oracles.asof import Columns, asof_oracle
from tests.oracles.streaming_asof import Row, Rules, StreamSlowly, join_slowly
from tests.property import streaming_cases as cases

pytestmark = pytest.mark.takes_s(40)

HIGHEST: Final = 2**63 - 1
LONG: Final = [2**62 - 1, 2**62, 2**62 + 1, 2**63 - 3, HIGHEST - 1, HIGHEST, 2**63, 2**70]
# The 13 times of the small streams, moved to where sums of them could overflow.
FAR: Final = [
    *(k + 1 - END_NS for k in range(3)),
    *(k - 2 - END_NS // 2 for k in range(2)),
    *(-1, 0, 1),
    *(END_NS // 2 + k for k in range(2)),
    *(END_NS - 3 + k for k in range(3)),
]
BOUNDS: Final = [BEGINNING_NS, BEGINNING_NS + 1, -END_NS, *FAR, END_NS, END_NS + 1, HIGHEST - 1, HIGHEST]


def moved(rows: Sequence[Row]) -> list[Row]:
    """The same rows at far times."""
    return [
        replace(row, time_ns=FAR[row.time_ns], values={**row.values, "event_ns": FAR[row.time_ns]})
        for row in rows
    ]


@st.composite
def far_streams(draw: st.DrawFn) -> tuple[Rules, dict[str, list[Row]]]:
    """Small streams at far times, under rules with long tolerances and graces."""
    rules, rows = draw(cases.streams())
    back = rules.direction == "backward"
    tolerances = [0, 2, 2**61, *(LONG if back else [one for one in LONG if one <= HOLD_NS_MAX])]
    rules = replace(
        rules,
        tolerance_ns=draw(st.sampled_from([*tolerances, None] if back else tolerances)),
        grace_ns={name: draw(st.sampled_from([0, 1, 2**61, *LONG])) for name in rules.streams},
        max_ahead_ns=draw(st.sampled_from([None, None, 0, 2**62, *LONG])),
        max_ahead_of="inputs",
    )
    return rules, {name: moved(part) for name, part in rows.items()}


@settings(max_examples=250, deadline=None)
@given(far_streams(), st.data())
def test_far_times_are_joined_and_sealed_as_the_definition_says(
    case: tuple[Rules, dict[str, list[Row]]], data: st.DataObject
) -> None:
    rules, left = case
    wanted = cases.make_settings(rules)
    join, slow = StreamingAsof(wanted), StreamSlowly(cases.looked_up(rules), rules)
    bounds = st.sampled_from(BOUNDS) if rules.max_ahead_ns is None else None
    cases.play_both(data, rules, left, join, slow, bounds)
    for stream in rules.streams:
        late = [(stream, row["offset"], row["lateness_ns"]) for row in join.late(stream).to_pylist()]
        assert late == [report for report in slow.late if report[0] == stream]


@settings(max_examples=150, deadline=None)
@given(far_streams())
def test_both_doors_give_the_same_rows_at_far_times(case: tuple[Rules, dict[str, list[Row]]]) -> None:
    rules, rows = case
    rules = replace(rules, max_ahead_ns=None)
    wanted = cases.make_settings(rules)
    join = StreamingAsof(wanted)
    for stream in wanted.streams:
        join.push(stream.name, cases.batch(stream, rows[stream.name]).columns)
    streamed = cases.dicts(join.finish())
    assert streamed == join_slowly(rows["trade"], rows, cases.looked_up(rules), rules)
    assert streamed == cases.joined_at_once(wanted, rows)
    assert join.frontier_ns <= END_NS


@st.composite
def far_tables(draw: st.DrawFn) -> tuple[Columns, Columns, Mapping[str, Any]]:
    """Two tables whose times lie at both ends of a span that an age just fits, and settings."""
    lowest = draw(st.sampled_from([BEGINNING_NS + 1, -(2**62), -1, 0]))
    near, far = st.integers(lowest, lowest + 3), st.integers(lowest + HIGHEST - 3, lowest + HIGHEST)
    rows = st.lists(st.tuples(near | far, st.sampled_from(["A", "B"])), max_size=7)
    left, right = draw(rows), draw(rows)
    if draw(st.booleans()):
        left.sort()
        right.sort()
    wanted = {
        "direction": draw(st.sampled_from(["backward", "forward", "nearest"])),
        "tolerance_ns": draw(st.sampled_from([None, 0, 2, *LONG])),
        "allow_exact": draw(st.booleans()),
        "by": draw(st.sampled_from([(), ("symbol",)])),
    }
    return _columns(left), _columns(right) | {"row": list(range(len(right)))}, wanted


def _columns(rows: Sequence[tuple[int, str]]) -> Columns:
    return {"event_ns": [time_ns for time_ns, _ in rows], "symbol": [symbol for _, symbol in rows]}


def _table(columns: Columns) -> pa.Table:
    kinds = {"event_ns": pa.int64(), "symbol": pa.string(), "row": pa.int64()}
    return pa.table({name: pa.array(values, kinds[name]) for name, values in columns.items()})


@settings(max_examples=400, deadline=None)
@given(far_tables())
def test_tables_with_times_at_the_ends_are_joined_as_the_definition_says(
    case: tuple[Columns, Columns, Mapping[str, Any]],
) -> None:
    left, right, wanted = case
    joined = asof_join(_table(left), _table(right), threads=1, **wanted)
    assert joined.to_pydict() == asof_oracle(left, {"right": right}, **wanted)


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
def test_an_equal_time_at_the_end_does_not_match_strictly(direction: str) -> None:
    for time_ns in (BEGINNING_NS + 1, HIGHEST):
        one = _table({"event_ns": [time_ns], "symbol": ["A"], "row": [0]})
        strict = asof_join(one, one, direction=direction, tolerance_ns=5, allow_exact=False)
        assert strict["right_row"].to_pylist() == [None]


def test_tables_refuse_the_number_that_stands_for_no_time() -> None:
    one = _table({"event_ns": [BEGINNING_NS], "symbol": ["A"]})
    with pytest.raises(AsofError, match="which stands for no time at all"):
        asof_join(one, one)


@pytest.mark.parametrize("time_ns", [BEGINNING_NS, BEGINNING_NS + 1, -END_NS, END_NS, HIGHEST])
def test_a_stream_refuses_a_time_that_is_none_with_its_row_and_takes_nothing(time_ns: int) -> None:
    wanted = cases.make_settings(Rules(left_has_sequence=False, right_has_sequence=False))
    join = StreamingAsof(wanted)
    quote = wanted.rights[0]
    rows = [{"event_ns": 1, "symbol": "A"}, {"event_ns": time_ns, "symbol": "A"}]
    with pytest.raises(ValueError, match=f"stream quote: event_ns is {time_ns} in row 1, which"):
        join.push("quote", pa.RecordBatch.from_pylist(rows, schema=quote.schema))
    assert join.inputs.counts("quote").pushed == 0
