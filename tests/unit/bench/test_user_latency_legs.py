"""Laws of the legs: what a row waits for, what counts, and that nothing is lost from sight."""

import numpy as np
import pytest

from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS
from schemas.frame import LEFT_OFFSET
from tests.bench.user_latency_legs import LEGS, SentLane, Ways, aligned_ways, copied_ways

GRACE_MS = 50


def ns(*ms: float) -> Int64s:
    return (np.array(ms) * NS_PER_MS).astype(np.int64)


def lane(*rows: tuple[float, float]) -> SentLane:
    """Each row: its time and when it was produced, 1 ms after it was due; the broker has it 2 ms later."""
    event_ms, sent_ms = zip(*rows, strict=True)
    return SentLane(ns(*event_ms), ns(*sent_ms) - ns(1)[0], ns(*sent_ms), ns(*sent_ms) + ns(2)[0])


# Beyond 10 ms plus the grace there is first the trade produced at 70 ms, and the quote produced at 65 ms.
TRADES = lane((10, 20), (5, 30), (61, 70), (40, 80), (115, 120))
QUOTES = lane((60, 60), (61, 65), (30, 71), (93, 130))


def watched(*offsets: int) -> dict[str, Int64s]:
    """What `watch` writes of partition 0: read at 75 ms, sealed at 76, seen at 80, whatever the row."""
    at = np.array(offsets, np.int64)
    times = {"released_ns": 75, "sealed_ns": 76, "seen_ns": 80}
    return {
        "partition": np.zeros(at.size, np.int64),
        "event_ns": TRADES.event_ns[at],
        LEFT_OFFSET: at,
        **{name: np.full(at.size, ms * NS_PER_MS) for name, ms in times.items()},
    }


def ways(*offsets: int, from_ms: float = 0) -> Ways:
    return aligned_ways(
        {0: TRADES},
        {0: QUOTES},
        watched(*offsets),
        grace_ns=GRACE_MS * NS_PER_MS,
        from_ns=int(from_ms * NS_PER_MS),
    )


def test_evidence_is_the_first_message_beyond_the_grace_in_the_order_of_the_log() -> None:
    assert QUOTES.evidence(ns(10, 9, 11, 43), GRACE_MS * NS_PER_MS).tolist() == [1, 0, 3, 4]


def test_a_row_waits_for_the_later_of_its_inputs() -> None:
    legs = ways(0, 1, 3).legs
    assert (legs["watermark"] / NS_PER_MS).tolist() == [50, 40, 50]
    assert (legs["append"] / NS_PER_MS).tolist() == [2, 2, 2]


def test_the_planned_wait_is_that_of_the_rows_as_they_were_due() -> None:
    ahead = SentLane(TRADES.event_ns, TRADES.due_ns, TRADES.sent_ns + ns(1)[0], TRADES.appended_ns)
    seen = aligned_ways(
        {0: ahead}, {0: QUOTES}, watched(0, 1, 3), grace_ns=GRACE_MS * NS_PER_MS, from_ns=0
    ).figures()
    assert seen["planned_wait_ms"]["max"] == 50


def test_legs_add_up_to_the_whole_way() -> None:
    legs = ways(0, 1).legs
    assert list(legs) == list(LEGS)
    assert (np.sum(list(legs.values()), axis=0) / NS_PER_MS).tolist() == [60, 50]


def test_a_trade_without_evidence_is_neither_counted_nor_lost() -> None:
    seen = ways(0, 1, 2, 3)
    assert seen.figures()["rows"] == 3
    assert seen.lost == 0


def test_a_sealable_trade_that_was_not_seen_is_lost() -> None:
    assert ways(0).lost == 2


def test_a_trade_that_was_seen_twice_is_doubled_and_counted_once() -> None:
    seen = ways(0, 1, 1, 3)
    assert seen.doubled == 1
    assert seen.figures()["rows"] == 3


def test_rows_from_before_the_begin_are_not_counted_but_may_be_lost() -> None:
    seen = ways(0, 1, from_ms=6)
    assert seen.figures()["rows"] == 1
    assert seen.lost == 1


def test_another_row_than_the_one_produced_is_an_error() -> None:
    seen = watched(0)
    seen["event_ns"] = seen["event_ns"] + 1
    with pytest.raises(AssertionError, match="other rows"):
        aligned_ways({0: TRADES}, {0: QUOTES}, seen, grace_ns=0, from_ns=0)


def test_what_follows_the_wait_is_the_whole_way_less_the_wait() -> None:
    figures = ways(0).figures()
    assert figures["total_ms"]["p50"] == 60
    assert figures["own_ms"]["p50"] == 10


def test_the_legs_near_a_quantile_add_up_to_it() -> None:
    draw = np.random.default_rng(3)
    many = Ways({name: draw.integers(0, NS_PER_MS, 10_000) for name in LEGS}).figures()
    for quantile in ("p50", "p99"):
        assert sum(many["near_ms"][quantile].values()) == pytest.approx(many["total_ms"][quantile], rel=0.03)


def test_copies_are_matched_in_their_order() -> None:
    copies = copied_ways({0: TRADES}, {0: TRADES.sent_ns + 3}, {0: TRADES.sent_ns + ns(7)[0]}, from_ns=0)
    assert (copies.lost, copies.doubled) == (0, 0)
    assert (np.sum(list(copies.legs.values()), axis=0) / NS_PER_MS).tolist() == [7] * 5


def test_a_copy_that_did_not_come_is_lost() -> None:
    copies = copied_ways({0: TRADES}, {0: TRADES.sent_ns}, {0: TRADES.sent_ns[:3]}, from_ns=0)
    assert copies.lost == 2
    assert copies.figures()["rows"] == 3
