"""Rules judge columns as a loop over rows would."""

import math

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from app.settings.streams import RulesSettings
from app.task.row_rules import RowRules
from operators.inputs.intake import batch_of
from schemas.stream import Stream

SCHEMA = pa.schema(
    [("event_ns", pa.int64()), ("symbol", pa.string()), ("bid", pa.float64()), ("ask", pa.float64())]
)
STREAM = Stream(name="quote", schema=SCHEMA)
PRICES = st.none() | st.sampled_from([-1.0, -0.0, 0.0, 1.0, 2.0, math.nan, math.inf, -math.inf])
COLUMNS = st.lists(st.sampled_from(["bid", "ask"]), unique=True)
SINGLE = ("not_null", "finite", "positive", "non_negative")


def broken_slowly(rule: str, price: float | None) -> bool:
    if price is None:
        return rule == "not_null"
    return {
        "not_null": False,
        "finite": not math.isfinite(price),
        "positive": not price > 0,
        "non_negative": not price >= 0,
    }[rule]


@given(
    rows=st.lists(st.fixed_dictionaries({"bid": PRICES, "ask": PRICES}), min_size=1, max_size=12),
    rules=st.fixed_dictionaries(dict.fromkeys(SINGLE, COLUMNS)),
    ordered=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_each_row_is_told_with_the_first_rule_it_breaks(
    rows: list[dict[str, float | None]], rules: dict[str, list[str]], ordered: bool
) -> None:
    columns = [{"event_ns": n, "symbol": "A", **row} for n, row in enumerate(rows)]
    batch = batch_of(STREAM, "event_ns", pa.RecordBatch.from_pylist(columns, schema=SCHEMA), 0)
    pairs = [["bid", "ask"]] if ordered else []
    judge = RowRules(STREAM, RulesSettings.model_validate({**rules, "ordered": pairs}))
    expected = []
    for number, row in enumerate(rows):
        broken = [rule for rule in SINGLE for name in rules[rule] if broken_slowly(rule, row[name])]
        bid, ask = row["bid"], row["ask"]
        if ordered and bid is not None and ask is not None and not bid <= ask:
            broken.append("ordered")
        expected += [(number, broken[0])] if broken else []
    kept, told = judge.judge(batch)
    assert [(row, rule) for row, rule, _ in told] == expected
    bad = {row for row, _ in expected}
    assert (kept.offset.tolist() if kept else []) == [n for n in range(len(rows)) if n not in bad]
