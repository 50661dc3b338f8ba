"""Laws of last-known entries: what they hold is not read again, what they must not say does not count."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from operators.entries import SnapshotError
from operators.inputs.progress import InputProgress
from operators.inputs.resuming import plan_resume
from operators.join.settings import AsofSettings
from operators.streaming import StreamingAsof
from schemas.batch import Batch
from schemas.stream import Stream
from tests.oracles.streaming_asof import Row
from tests.property import streaming_cases as cases
from tests.stage.scenes import progress, resume

TRADE = Stream(name="trade", schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string())]))
QUOTE = Stream(
    name="quote",
    schema=pa.schema(
        [("event_ns", pa.int64()), ("symbol", pa.string()), ("bid", pa.float64()), ("ask", pa.float64())]
    ),
)


def join(carry: str = "row") -> StreamingAsof:
    return StreamingAsof(
        AsofSettings(left=TRADE, rights=(QUOTE,), carry="column" if carry == "column" else "row")
    )


def quotes(*rows: tuple[int, int, str, float | None]) -> Batch:
    """Quotes as (offset, time, symbol, bid); the ask is null."""
    return cases.batch(
        QUOTE,
        [
            Row(time_ns, 0, offset, symbol, {"event_ns": time_ns, "symbol": symbol, "bid": bid})
            for offset, time_ns, symbol, bid in rows
        ],
    )


def trades(*rows: tuple[int, int, str]) -> Batch:
    return cases.batch(
        TRADE,
        [Row(ns, 0, offset, symbol, {"event_ns": ns, "symbol": symbol}) for offset, ns, symbol in rows],
    )


def sealed_to(asof: StreamingAsof, upper_ns: int) -> list[dict[str, object]]:
    for stream in ("trade", "quote"):
        asof.advance(stream, upper_ns)
    return cases.dicts(asof.seal())


def test_without_entries_a_restart_needs_the_last_row_however_old() -> None:
    asof = join()
    asof.push("quote", quotes((0, 1, "A", 1.0), (1, 50, "B", 2.0)))
    sealed_to(asof, 100)
    assert progress(asof, "quote").needed_offset == 0


def test_what_the_entries_hold_is_not_needed_again() -> None:
    asof = join()
    asof.push("quote", quotes((0, 1, "A", 1.0), (1, 50, "B", 2.0), (2, 200, "A", 3.0)))
    sealed_to(asof, 100)
    keys = sorted(key for key, _ in asof.operator.kept())
    assert keys == [b"quote\0A", b"quote\0B"]
    assert progress(asof, "quote").needed_offset == 2, "the row that waits is in no entry"


def test_an_entry_of_just_the_size_a_message_may_have_keeps_its_row() -> None:
    def kept(size_max: int | None) -> bytes:
        asof = join()
        asof.push("quote", quotes((0, 1, "A", 1.0)))
        sealed_to(asof, 100)
        ((key, entry),) = asof.operator.kept(size_max)
        return key + entry

    whole = kept(None)
    assert kept(len(whole)) == whole
    assert len(kept(len(whole) - 1)) < len(whole)


def test_what_is_needed_stays_until_the_next_entries() -> None:
    asof = join()
    asof.push("quote", quotes((0, 1, "A", 1.0)))
    sealed_to(asof, 100)
    asof.operator.kept()
    asof.push("quote", quotes((1, 120, "A", 2.0), (2, 130, "A", 3.0)))
    sealed_to(asof, 200)
    assert progress(asof, "quote").needed_offset == 2
    assert progress(asof, "quote").next_offset == 3


def test_only_groups_whose_last_row_changed_get_an_entry() -> None:
    asof = join()
    asof.push("quote", quotes((0, 1, "A", 1.0), (1, 2, "B", 1.0), (2, 150, "B", 2.0)))
    sealed_to(asof, 100)
    assert len(asof.operator.kept()) == 2
    sealed_to(asof, 200)
    assert [key for key, _ in asof.operator.kept()] == [b"quote\0B"], "its row that waited stands now"
    assert asof.operator.kept() == []


def test_the_oldest_row_that_waited_over_a_restart_gets_its_entry_once_it_stands() -> None:
    first = join()
    first.push("quote", quotes((0, 1, "A", 1.0), (1, 150, "A", 2.0)))
    sealed_to(first, 100)
    first.operator.kept()
    committed = first.operator.progress()
    assert committed.inputs["quote"].needed_offset == 1
    second = join()
    second.restore(first.snapshot().puts)
    state = {name: one.next_offset for name, one in committed.inputs.items()}
    second.operator.resume(plan_resume(committed, state, {}))
    sealed_to(second, 200)
    assert [key for key, _ in second.operator.kept()] == [b"quote\0A"]


@pytest.mark.parametrize("carry", ["row", "column"])
def test_a_join_goes_on_from_entries_alone(carry: str) -> None:
    first = join(carry)
    first.push("quote", quotes((0, 1, "A", 1.0), (1, 2, "A", None), (2, 3, "B", 5.0)))
    sealed_to(first, 100)
    entries = first.operator.kept()
    committed = first.operator.progress()
    assert committed.inputs["quote"].needed_offset == 3
    second = join(carry)
    second.operator.resume(plan_resume(committed, None, second.operator.recall(entries, 100)))
    second.push("trade", trades((0, 110, "A"), (1, 111, "B")))
    found = [(row["quote_event_ns"], row["quote_bid"]) for row in sealed_to(second, 200)]
    assert found == [(2, 1.0 if carry == "column" else None), (3, 5.0)]
    assert second.operator.kept() == [], "what was recalled is known"


def test_an_entry_from_beyond_the_commit_does_not_count() -> None:
    ahead = join()
    ahead.push("quote", quotes((0, 150, "A", 1.0)))
    sealed_to(ahead, 200)
    asof = join()
    asof.operator.recall(ahead.operator.kept(), 100)
    resume(asof, 100, dict.fromkeys(asof.streams, InputProgress(0, 0, 100)), {"trade": 0, "quote": 0})
    asof.push("trade", trades((0, 160, "A")))
    assert [row["quote_bid"] for row in sealed_to(asof, 200)] == [None]


def entry() -> tuple[bytes, bytes]:
    asof = join()
    asof.push("quote", quotes((0, 1, "A", 1.0)))
    sealed_to(asof, 100)
    (only,) = asof.operator.kept()
    return only


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "version"])
def test_a_damaged_entry_is_refused_by_name(change: str) -> None:
    key, value = entry()
    damaged = {
        "flip": value[:-1] + bytes([value[-1] ^ 1]),
        "cut": value[:-3],
        "empty": b"",
        "version": b"\x07" + value[1:],
    }[change]
    with pytest.raises(SnapshotError, match="quote"):
        join().operator.recall([(key, damaged)], 100)


def test_an_entry_of_another_join_is_refused() -> None:
    with pytest.raises(SnapshotError, match="carry"):
        join("column").operator.recall([entry()], 100)


def test_entries_with_other_columns_say_from_where_to_read_again() -> None:
    first = join()
    first.push("quote", quotes((3, 1, "A", 1.0), (4, 2, "B", 1.0), (6, 3, "A", 2.0), (9, 150, "B", 3.0)))
    sealed_to(first, 100)
    grown = replace(QUOTE, schema=QUOTE.schema.append(pa.field("venue", pa.string())))
    second = StreamingAsof(AsofSettings(left=TRADE, rights=(grown,)))
    early, late = first.operator.kept(), 50
    assert second.operator.recall(early, late) == {}, "taken beyond the frontier they do not count"
    assert second.operator.recall(early, 100) == {"quote": 4}
    assert join().operator.recall(early, 100) == {}


@pytest.mark.parametrize("change", [{"key": ("venue",)}, {"sequence": "event_ns"}])
def test_entries_of_other_groups_or_another_order_are_refused(change: dict[str, Any]) -> None:
    schema = QUOTE.schema.append(pa.field("venue", pa.string()))
    trade = replace(
        TRADE, schema=TRADE.schema.append(pa.field("venue", pa.string())), key=change.get("key", TRADE.key)
    )
    other = AsofSettings(left=trade, rights=(replace(QUOTE, schema=schema, **change),))
    with pytest.raises(SnapshotError, match="keys, clock or sequence of quote"):
        StreamingAsof(other).operator.recall([entry()], 100)


def test_an_entry_of_a_key_that_can_be_read_in_two_ways_is_refused() -> None:
    venue = pa.field("venue", pa.string())
    by = ("venue", "symbol")
    left, right = (replace(s, schema=s.schema.append(venue), key=by) for s in (TRADE, QUOTE))
    asof = StreamingAsof(AsofSettings(left=left, rights=(right,)))
    with pytest.raises(SnapshotError, match="is of a key that can be read in two ways"):
        asof.operator.recall([(b"quote\0OTC:US:ABC", entry()[1])], 100)


def test_an_entry_of_a_stream_that_is_gone_is_left_alone() -> None:
    key, value = entry()
    for name, bid in ((key, 1.0), (key.replace(b"quote", b"bar"), None)):
        joined = join()
        assert joined.operator.recall([(name, value)], 100) == {}
        joined.push("trade", trades((0, 101, "A")))
        (row,) = cases.dicts(joined.finish())
        assert row["quote_bid"] == bid


def test_last_rows_are_kept_only_where_no_tolerance_lets_them_go() -> None:
    lasting = join().operator
    assert lasting.keeps is lasting
    bounded = AsofSettings(left=TRADE, rights=(QUOTE,), tolerance_ns=5)
    assert StreamingAsof(bounded).operator.keeps is None


@pytest.mark.parametrize("carry", ["row", "column"])
def test_an_entry_too_large_says_from_where_to_read_its_rows_again(carry: str) -> None:
    first = join(carry)
    first.push("quote", quotes((3, 1, "A" * 200, 1.0), (4, 2, "B", 1.0), (6, 3, "A" * 200, None)))
    sealed_to(first, 100)
    whole = dict(first.operator.kept())
    again = join(carry)
    again.push("quote", quotes((3, 1, "A" * 200, 1.0), (4, 2, "B", 1.0), (6, 3, "A" * 200, None)))
    sealed_to(again, 100)
    size = max(len(key) + len(value) for key, value in whole.items()) - 1
    entries = again.operator.kept(size)
    assert all(len(key) + len(value) <= size for key, value in entries)
    small, large = b"quote\0B", b"quote\0" + b"A" * 200
    assert dict(entries)[small] == whole[small]
    assert join(carry).operator.recall([(large, dict(entries)[large])], 100) == {
        "quote": 6 if carry == "row" else 3
    }
    assert join(carry).operator.recall([(small, dict(entries)[small])], 100) == {}
