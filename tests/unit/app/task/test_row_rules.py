"""Rules of rows: who breaks one is out, dead, dropped or fatal as told, and the rows beside it go on."""

import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app.audit.topics import audit
from app.errors import RunError
from app.settings.streams import RulesSettings
from app.task.row_rules import RowRules
from app.worker.worker import Worker
from operators.inputs.intake import batch_of
from schemas.letters import DeadLetter
from schemas.stream import Stream, StreamError
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet

NAN, INF = float("nan"), float("inf")
STREAM = Stream(
    name="quote",
    schema=pa.schema(
        [
            ("event_ns", pa.int64()),
            ("symbol", pa.string()),
            ("bid", pa.float64()),
            ("ask", pa.float64()),
            ("size", pa.int32()),
            ("fee", pa.decimal128(6, 2)),
        ]
    ),
)


def judged(rules: Mapping[str, object], **columns: list[object]) -> list[tuple[int, str, str]]:
    """What the rows with these columns break; the others are null."""
    count = len(next(iter(columns.values())))
    given: dict[str, list[object]] = {"event_ns": list(range(count)), "symbol": ["A"] * count, **columns}
    arrays = [pa.array(given.get(f.name, [None] * count), f.type) for f in STREAM.schema]
    rows = pa.RecordBatch.from_arrays(arrays, schema=STREAM.schema)
    kept, broken = RowRules(STREAM, RulesSettings.model_validate(rules)).judge(
        batch_of(STREAM, "event_ns", rows, 10)
    )
    gone = {row for row, _, _ in broken}
    left = [row for row in range(count) if row not in gone]
    assert ([] if kept is None else [offset - 10 for offset in kept.offset.tolist()]) == left
    assert kept is None or kept.columns.column("event_ns").to_pylist() == left
    return broken


@pytest.mark.parametrize(
    ("rule", "column", "values", "bad"),
    [
        ("not_null", "bid", [1.0, None, NAN], [1]),
        ("finite", "bid", [1.0, None, NAN, INF, -INF], [2, 3, 4]),
        ("positive", "bid", [1.0, 0.0, -1.0, None, NAN, INF], [1, 2, 4]),
        ("non_negative", "bid", [0.0, -0.0, -1.0, None, NAN], [2, 4]),
        ("non_negative", "size", [0, -1, 5, None], [1]),
        ("positive", "fee", [Decimal("0.01"), Decimal(0), Decimal("-1.5"), None], [1, 2]),
        ("finite", "fee", [Decimal(0), None], []),
        ("finite", "size", [0, None], []),
    ],
)
def test_a_null_breaks_not_null_alone_and_nan_every_rule_about_numbers(
    rule: str, column: str, values: list[object], bad: list[int]
) -> None:
    assert [row for row, _, _ in judged({rule: [column]}, **{column: values})] == bad


def test_a_quote_may_be_locked_or_one_sided_but_not_crossed() -> None:
    broken = judged({"ordered": [["bid", "ask"]]}, bid=[1.0, 2.0, 3.0, None], ask=[2.0, 2.0, 2.0, 1.0])
    assert broken == [(2, "ordered", "bid is above ask")]


def test_columns_of_two_number_types_are_compared_by_value() -> None:
    assert judged({"ordered": [["size", "bid"]]}, size=[1, 2], bid=[1.5, 1.5]) == [
        (1, "ordered", "size is above bid")
    ]
    fee: list[object] = [Decimal("1.25"), Decimal("2.50")]
    assert judged({"ordered": [["fee", "bid"]]}, fee=fee, bid=[1.5, 1.5]) == [
        (1, "ordered", "fee is above bid")
    ]


_NUMBERS: list[tuple[pa.DataType, list[object]]] = [
    (pa.int64(), [-(2**63), -1, 0, 1, 2**53 + 1, 2**63 - 1, None]),
    (pa.uint64(), [0, 1, 2**53 + 1, 2**63, 2**64 - 1, None]),
    (pa.float64(), [-math.inf, -0.5, -0.0, 1.0, 2.0**53, 2.0**63, 2.0**64, 1e300, math.inf, NAN, None]),
    (pa.decimal128(38, 0), [Decimal(0), Decimal(2**53 + 1), Decimal("9" * 38), None]),
    (pa.decimal128(38, 30), [Decimal("1e-30"), Decimal("1.5"), Decimal("-12345678"), None]),
]


@pytest.mark.parametrize("lower", _NUMBERS, ids=lambda one: str(one[0]))
@pytest.mark.parametrize("upper", _NUMBERS, ids=lambda one: str(one[0]))
def test_numbers_of_any_two_types_can_be_ordered(
    lower: tuple[pa.DataType, list[Any]], upper: tuple[pa.DataType, list[Any]]
) -> None:
    schema = pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), ("a", lower[0]), ("b", upper[0])])
    stream = Stream(name="s", schema=schema)
    rules = RowRules(stream, RulesSettings.model_validate({"ordered": [["a", "b"]]}))
    pairs = [(one, other) for one in lower[1] for other in upper[1]]
    columns = {"event_ns": [1] * len(pairs), "symbol": ["A"] * len(pairs)}
    columns |= {"a": [one for one, _ in pairs], "b": [other for _, other in pairs]}
    rows = pa.RecordBatch.from_pydict(columns, schema=schema)
    _, broken = rules.judge(batch_of(stream, "event_ns", rows, 0))
    wanted = [
        row
        for row, (one, other) in enumerate(pairs)
        if one is not None and other is not None and not (one == one and other == other and one <= other)
    ]
    kinds = {lower[0], upper[0]}
    rounded = pa.float64() in kinds and any(map(pa.types.is_decimal, kinds))  # a decimal, to a double
    assert rounded or [row for row, _, _ in broken] == wanted


def test_a_row_that_breaks_two_rules_is_told_with_the_first() -> None:
    rules = {"ordered": [["bid", "ask"]], "finite": {"columns": ["bid"], "policy": "drop"}}
    assert judged(rules, bid=[NAN], ask=[1.0]) == [(0, "finite", "bid is not finite")]


def test_without_rules_every_row_goes_on() -> None:
    assert judged({}, bid=[NAN, None]) == []
    assert not RowRules(STREAM, RulesSettings())


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"finite": ["mid"]}, "streams.quote.rules.finite: no column 'mid'; there are event_ns, symbol"),
        ({"positive": ["symbol"]}, "symbol \\(string\\) cannot be compared as numbers"),
        ({"ordered": [["bid", "symbol"]]}, "bid and symbol \\(double and string\\) cannot be compared"),
    ],
)
def test_a_rule_that_a_column_cannot_have_is_refused_at_the_start(
    rules: dict[str, object], told: str
) -> None:
    with pytest.raises(StreamError, match=told):
        RowRules(STREAM, RulesSettings.model_validate(rules))


def market_of(folder: Path, **rules: object) -> Market:
    return Market(folder, streams={"quote": {"rules": rules}})


def quotes(market: Market, *bids: float) -> bytes:
    """One message of quotes at the times 1, 2, ... with these bids."""
    return market.block("quote", range(1, len(bids) + 1), columns={"bid": bids})


def run(market: Market) -> Worker:
    worker = market.worker()
    turn_until_quiet(worker)
    worker.commit()
    return worker


def test_the_row_is_out_and_dead_with_its_message_while_the_others_of_its_block_match(tmp_path: Path) -> None:
    market = market_of(tmp_path, finite=["bid"])
    value = quotes(market, 1.0, NAN, 3.0)
    market.send("quote", b"A", value)
    market.trade(2, 4)
    market.progress(9)
    run(market)
    assert market.aligned() == [(2, 1), (4, 3)]
    (letter,) = market.messages("dead")
    told = DeadLetter.from_kafka(letter.headers)
    assert (letter.key, letter.value) == (b"A", value)
    assert (told.rule, told.reason, told.indexes) == ("finite", "bid is not finite", (1,))
    report = audit(market.pipeline)
    assert (report.violations, report.rows_in["quote"], report.rows_dead) == ([], 2, 1)


def test_a_row_that_breaks_a_rule_moves_no_watermark(tmp_path: Path) -> None:
    market = market_of(tmp_path, finite=["bid"])
    market.trade(1)
    market.progress(9, "trade")
    market.send("quote", b"A", quotes(market, NAN, NAN))
    run(market)
    assert market.aligned() == []


def test_what_is_dropped_leaves_no_letter_but_is_counted(tmp_path: Path) -> None:
    market = market_of(tmp_path, finite={"columns": ["bid"], "policy": "drop"})
    market.send("quote", b"A", quotes(market, NAN, 2.0))
    market.trade(3)
    market.progress(9)
    worker = run(market)
    assert market.messages("dead") == []
    assert worker.tasks[0].counts.dead == 1
    assert market.aligned() == [(3, 2)]
    assert audit(market.pipeline).violations == []


def test_a_rule_may_stop_the_worker_with_the_place_and_nothing_committed(tmp_path: Path) -> None:
    market = market_of(tmp_path, positive={"columns": ["bid"], "policy": "fail"})
    market.send("quote", b"A", quotes(market, -1.0))
    worker = market.worker()
    with pytest.raises(
        RunError, match=r"tidemark.quote\[0\]@0 is dead: bid is not positive; .*rule positive"
    ):
        turn_until_quiet(worker)
    worker.close(failed=True)
    assert market.messages("dead") == []


def test_a_worker_that_fails_commits_nothing_more_on_its_way_out(tmp_path: Path) -> None:
    market = market_of(tmp_path, positive={"columns": ["bid"], "policy": "fail"})
    worker = market.worker()
    market.trade(1)
    market.progress(2)
    turn_until_quiet(worker)  # sealed, and not committed yet
    market.send("quote", b"A", quotes(market, -1.0))
    with pytest.raises(RunError, match="bid is not positive"):
        turn_until_quiet(worker)
    worker.close(failed=True)
    assert market.aligned() == []


def test_a_message_without_key_goes_where_its_rule_says(tmp_path: Path) -> None:
    market = market_of(tmp_path, null_key="drop")
    market.send("quote", None, quotes(market, 1.0))
    market.send("quote", b"A", b"garbage")
    run(market)
    assert [letter.value for letter in market.messages("dead")] == [b"garbage"]


def test_what_is_read_again_after_a_restart_is_dead_only_once(tmp_path: Path) -> None:
    market = market_of(tmp_path, finite=["bid"])
    market.quote(1)
    market.send("quote", b"A", b"garbage")
    market.send("quote", b"A", quotes(market, NAN, NAN, NAN))
    market.progress(2)
    first = run(market)
    assert len(market.messages("dead")) == 2
    first.close(failed=True)
    for path in sorted((tmp_path / "state").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    market.trade(8)
    market.progress(9)
    again = run(market)
    assert again.tasks[0].readings["tidemark.quote"].rows_in == 1, (
        "the quote before the dead ones was read again"
    )
    assert len(market.messages("dead")) == 2
    assert again.tasks[0].counts.dead == 0
    assert market.aligned() == [(8, 1)]


def test_rows_of_one_message_and_reason_make_one_letter(tmp_path: Path) -> None:
    market = market_of(tmp_path, finite=["bid"], positive=["bid"])
    market.send("quote", b"A", quotes(market, NAN, -1.0, NAN, -1.0))
    run(market)
    told = [DeadLetter.from_kafka(letter.headers) for letter in market.messages("dead")]
    assert [(letter.rule, letter.indexes) for letter in told] == [("finite", (0, 2)), ("positive", (1, 3))]


def test_the_offsets_of_broken_rows_are_found_among_messages_of_other_partitions(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=2, streams={"quote": {"rules": {"finite": ["bid"]}}})
    values = [market.block("quote", [1], symbol=s, columns={"bid": [NAN]}) for s in ("A", "D")]
    for symbol, value in zip(("A", "D"), values, strict=True):
        market.keyed("quote", symbol, value)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.commit()
    assert np.array_equal(sorted(m.value or b"" for m in market.messages("dead")), sorted(values))


NO_TIMES = [-(2**63), -(2**63) + 1, -(2**62), 2**62, 2**63 - 1]


@pytest.mark.parametrize("time_ns", NO_TIMES)
@pytest.mark.parametrize("stream", ["trade", "quote"])
def test_a_row_whose_time_is_none_is_dead_with_the_reason_and_moves_nothing(
    tmp_path: Path, stream: str, time_ns: int
) -> None:
    market = Market(tmp_path)
    value = market.block(stream, [1, time_ns, 2])
    market.send(stream, b"A", value)
    other = {"trade": market.quote, "quote": market.trade}[stream]
    other(1, 2)
    market.progress(9)
    run(market)
    assert market.aligned() == [(1, 1), (2, 2)]
    (letter,) = market.messages("dead")
    told = DeadLetter.from_kafka(letter.headers)
    lowest = time_ns == -(2**63)
    assert (letter.value, told.rule, told.indexes) == (value, "time", (1,))
    assert told.reason.startswith(
        "event_ns is -9223372036854775808, which stands" if lowest else "event_ns lies 46"
    )
    report = audit(market.pipeline)
    assert (report.violations, report.rows_dead) == ([], 1)


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("allow_exact", [True, False])
def test_a_worker_joins_the_first_and_the_last_time_there_is(
    tmp_path: Path, direction: str, allow_exact: bool
) -> None:
    first, last = 1 - 2**62, 2**62 - 1
    pipeline = {"direction": direction, "allow_exact": allow_exact, "tolerance_ns": 2**62}
    market = Market(tmp_path, pipeline=pipeline)
    market.quote(first, last)
    market.trade(first, last)
    market.progress(2**63 - 1)
    run(market)
    equal = [(first, first), (last, last)]
    assert market.aligned() == (equal if allow_exact else [(first, None), (last, None)])
    assert audit(market.pipeline).violations == []


def test_a_message_of_nothing_but_rows_without_a_time_is_one_letter(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.send("quote", b"A", market.block("quote", [2**63 - 1, 2**62]))
    market.trade(1)
    market.progress(9)
    run(market)
    assert market.aligned() == [(1, None)]
    (letter,) = market.messages("dead")
    assert DeadLetter.from_kafka(letter.headers).indexes == (0, 1)


def test_what_a_rule_says_of_a_row_without_a_time_is_not_said(tmp_path: Path) -> None:
    market = market_of(tmp_path, finite=["bid"])
    market.send("quote", b"A", market.block("quote", [-(2**63), 1], columns={"bid": [NAN, NAN]}))
    run(market)
    told = [DeadLetter.from_kafka(letter.headers) for letter in market.messages("dead")]
    assert {letter.rule: letter.indexes for letter in told} == {"time": (0,), "finite": (1,)}
