"""The node of labels: what it refuses, how it comes back, and how far its output is complete."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from operators.labels.node import BLOCK, HEAD_KEY, LabelNode
from operators.labels.settings import (
    Bins,
    FixedHorizon,
    LabelError,
    Meta,
    Sign,
    TrendScan,
    TripleBarrier,
    label_meaning,
)
from operators.node import NodeStateError
from operators.rows.groups import Groups
from operators.sealed import Sealed
from operators.sessions.sessions import DAYS_OF_UTC
from schemas.reasons import DOMAIN, NULL_IN
from tests.oracles.labels import Row, columns_slowly, labels_slowly
from tests.property.label_cases import (
    UPSTREAM,
    Cut,
    ShortDays,
    batch_of,
    feed,
    new_node,
    sealed_of,
    session_of,
)

SOON = FixedHorizon(price="price", horizon_ns=3, across_sessions=True)


def rows_at(*times_ns: int, symbol: str | None = "A") -> list[Row]:
    """Rows of one symbol, each a tick above the one before."""
    return [Row(ns, symbol, ns, 100.0 + place) for place, ns in enumerate(times_ns)]


def test_a_row_that_is_decided_waits_for_those_before_it() -> None:
    node, groups = new_node(TripleBarrier(price="price", sigma="sigma", up=1, down=1, horizon_ns=9))
    slow, fast = Row(0, "A", 0, 100.0, scale=0.1), Row(1, "B", 1, 100.0, scale=0.01)
    first = node.take((sealed_of([slow, fast, Row(2, "B", 2, 110.0, scale=0.01)], 3, groups),))
    assert (first.rows, first.complete_ns) == (None, 0)
    second = node.take((Sealed(None, 10),))
    assert second.rows is not None
    assert second.rows["label"].to_pylist() == [0, 1]
    assert second.complete_ns == 2
    assert second.keys is not None
    assert second.keys.time_ns.tolist() == [0, 1]


def test_frames_are_told_why_a_label_is_null() -> None:
    node, groups = new_node(FixedHorizon(price="price", horizon_rows=1, max_ns=2, across_sessions=True))
    rows = [Row(0, None, 0, 1.0), Row(0, "A", 0, None), Row(0, "A", 0, 1.0)]
    sealed = node.take((sealed_of(rows, 9, groups),))
    assert sealed.reasons["label"].tolist() == [NULL_IN, NULL_IN, DOMAIN]
    assert sealed.rows is not None
    assert sealed.rows["label_reason"].to_pylist() == ["null_in", "null_in", "short"]


def test_labels_of_a_session_end_with_it() -> None:
    within = FixedHorizon(price="price", horizon_ns=3)
    rows = rows_at(10, 11, 12, 15, 20)  # the session ends at 14
    reasons = [row["label_reason"] for row in feed(within, rows, [], 30).rows]
    assert reasons == [None, "session", "session", "session", None]
    assert all(row["label_reason"] is None for row in feed(SOON, rows, [], 30).rows)


def test_a_row_is_of_the_session_that_its_keys_say_after_a_restart_too() -> None:
    """The last bar of a session ends where that one does, which is in no session."""
    label = FixedHorizon(price="price", horizon_rows=1, max_ns=6)
    rows = rows_at(9, 14)
    node, groups = new_node(label)
    sealed = sealed_of(rows, 14, groups)
    assert sealed.keys is not None
    own = sealed._replace(keys=sealed.keys._replace(session=np.zeros(2, np.int64)))
    given = node.take((own,)).rows
    assert given is not None
    assert given["label_reason"].to_pylist() == [None]
    again, groups = new_node(label)
    again.restore(node.snapshot().puts)
    late = again.take((sealed_of(rows_at(15), 99, groups),))
    assert late.keys is not None
    assert late.keys.session.tolist() == [0, -1]


def test_events_beyond_max_pending_have_no_label_and_the_others_theirs() -> None:
    label = FixedHorizon(price="price", horizon_ns=3, across_sessions=True, max_pending=2)
    reasons = [row["label_reason"] for row in feed(label, rows_at(0, 1, 2, 3, 4), [], 30).rows]
    assert reasons == [None, None, "full", "full", None]  # at 4 the first one is decided


def test_many_rows_move_in_the_tables_and_stay_what_they_are() -> None:
    draw = np.random.default_rng(5)
    steps = draw.integers(0, 3, 3000).cumsum().tolist()
    rows = [
        Row(ns, "AB"[int(draw.integers(2))], ns, float(draw.integers(90, 110)), scale=0.05) for ns in steps
    ]
    label = TripleBarrier(price="price", sigma="sigma", up=1, down=1, horizon_ns=40, across_sessions=True)
    complete_ns = rows[-1].time_ns + 41
    outcomes = labels_slowly(rows, label, session_of, complete_ns)
    wanted = columns_slowly(outcomes, label, 1)
    of_cuts = [Cut(100, 0.5, number % 3 == 2, True) for number in range(40)]
    fed = feed(label, rows, of_cuts, complete_ns)
    assert [{name: row[name] for name in wanted[0]} for row in fed.rows] == wanted


def test_only_blocks_that_changed_are_written_and_those_that_came_out_are_deleted() -> None:
    node, groups = new_node(FixedHorizon(price="price", horizon_ns=BLOCK, across_sessions=True))
    node.take((sealed_of(rows_at(*range(BLOCK + 10)), BLOCK + 10, groups),))
    first = node.snapshot()
    assert [key for key, _ in first.puts] == [HEAD_KEY, *(b"r" + bytes(7) + bytes([n]) for n in (0, 1))]
    unchanged = node.snapshot()
    assert (unchanged.puts, unchanged.deletes) == ([], [])
    node.take((Sealed(None, 2 * BLOCK),))
    second = node.snapshot()
    assert (second.puts[0][0], list(second.deletes)) == (HEAD_KEY, [b"r" + bytes(8)])


def test_a_node_whose_rows_are_all_out_comes_back_and_deletes_what_another_life_left() -> None:
    entries = kept()
    node, groups = new_node(SOON)
    node.restore(entries.items())
    node.take((sealed_of(rows_at(*range(3, BLOCK + 10)), 2 * BLOCK, groups),))
    entries.update(node.snapshot().puts)  # the block that is to be deleted stays
    again, groups = new_node(SOON)
    again.restore(entries.items())
    assert list(again.snapshot().deletes) == [b"r" + bytes(8)]
    assert again.snapshot().deletes == []
    rows = again.take((sealed_of(rows_at(BLOCK * 3), BLOCK * 4, groups),)).rows
    assert rows is not None
    assert rows["label"].to_pylist() == [0.0]


def kept() -> dict[bytes, bytes]:
    """What a node with rows that wait writes down."""
    node, groups = new_node(SOON)
    node.take((sealed_of(rows_at(0, 1, 2), 2, groups),))
    return dict(node.snapshot().puts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entries: entries.pop(HEAD_KEY), "which rows wait is not kept"),
        (lambda entries: entries.pop(min(entries.keys() - {HEAD_KEY})), "rows 0 to 3"),
        (lambda entries: entries.update({b"x": b""}), "no entry of its state has a key such as b'x'"),
        (lambda entries: entries.update({HEAD_KEY: entries[HEAD_KEY][:-1]}), "which rows wait is not kept"),
        (lambda entries: entries.update({max(entries): b"123456789"}), "rows 0 to 3"),
        (
            lambda entries: entries.update({b"r" + bytes(7) + b"\1": b""}),
            "no entry of its state has a key such as",
        ),
    ],
)
def test_damaged_state_is_refused_with_the_name_of_the_node(change: Any, words: str) -> None:
    entries = kept()
    change(entries)
    node, _ = new_node(SOON)
    with pytest.raises(NodeStateError, match=f"node outcome: {words}"):
        node.restore(entries.items())


def test_rows_that_came_out_before_are_damage() -> None:
    node, groups = new_node(SOON)
    node.take((sealed_of(rows_at(0, 1, 2), 9, groups),))
    entries = kept()
    entries[HEAD_KEY] = entries[HEAD_KEY][:-8] + (9).to_bytes(8, "little")
    with pytest.raises(NodeStateError, match="rows are kept that came out before"):
        new_node(SOON)[0].restore(entries.items())


@pytest.mark.parametrize(
    ("layout", "label", "words"),
    [
        (UPSTREAM, FixedHorizon(price="mid", horizon_ns=1), "there is no column mid; there are event_ns, "),
        (UPSTREAM, FixedHorizon(price="symbol", horizon_ns=1), "symbol is string: a label reads numbers"),
        (
            pa.schema([("price", pa.int64())]),
            FixedHorizon(price="price", horizon_ns=1, scale=10),
            "price is of integers, which are ticks already",
        ),
        (
            pa.schema([("price", pa.int64()), ("label", pa.int8())]),
            FixedHorizon(price="price", horizon_ns=1),
            "the label adds a column label, and there is one already",
        ),
    ],
)
def test_columns_that_do_not_bear_a_label_are_refused(
    layout: pa.Schema, label: FixedHorizon, words: str
) -> None:
    with pytest.raises(LabelError, match=words):
        LabelNode("outcome", "0" * 16, layout, label, Groups())


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (FixedHorizon, {}, "a label needs a horizon"),
        (FixedHorizon, {"horizon_rows": 1}, "horizon_rows needs max_ns"),
        (FixedHorizon, {"horizon_ns": 0}, "horizon_ns is 0"),
        (FixedHorizon, {"horizon_ns": 1, "max_ns": 1}, "max_ns is for labels that count rows alone"),
        (FixedHorizon, {"horizon_rows": 0, "max_ns": 1}, "horizon_rows is 0"),
        (FixedHorizon, {"horizon_ns": 1, "returns": "bps"}, "returns is 'bps'"),
        (FixedHorizon, {"horizon_ns": 1, "scale": -1}, "scale is -1"),
        (FixedHorizon, {"horizon_ns": 1, "max_pending": 0}, "max_pending is 0"),
        (Sign, {"horizon_ns": 1, "band": -1.0}, "band is -1.0"),
        (Bins, {"horizon_ns": 1, "edges": ()}, r"edges is \(\)"),
        (Bins, {"horizon_ns": 1, "edges": (1.0, 1.0)}, "edges is .*ascending"),
        (Bins, {"horizon_ns": 1, "edges": (float("nan"),)}, "edges is .*finite"),
        (Bins, {"horizon_ns": 1, "edges": (0.0,), "q_ppm": (1,)}, "q_ppm and min_count are of edges that"),
        (Bins, {"horizon_ns": 1, "trailing": 9}, r"q_ppm is \(\)"),
        (Bins, {"horizon_ns": 1, "trailing": 9, "q_ppm": (5, 5)}, "q_ppm is .*ascending"),
        (Bins, {"horizon_ns": 1, "trailing": 9, "q_ppm": (1_000_000,)}, "q_ppm is .*between 0 and"),
        (Bins, {"horizon_ns": 1, "trailing": 9, "q_ppm": (1,), "edges": (0.0,)}, "edges or trailing"),
        (Bins, {"horizon_ns": 1, "trailing": 9, "q_ppm": (1,), "min_count": 10}, "min_count is 10"),
        (Bins, {"horizon_ns": 1, "trailing": 5_000, "q_ppm": (1,)}, "trailing is 5000"),
        (TripleBarrier, {"horizon_ns": 1, "sigma": "s", "up": -1.0}, "up is -1.0"),
        (TripleBarrier, {"horizon_ns": 1, "sigma": "s", "side": 2}, "side is 2"),
        (TripleBarrier, {"horizon_ns": 1, "sigma": "s", "both": "go"}, "both is 'go'"),
        (TripleBarrier, {"horizon_ns": 1, "sigma": "s", "vertical": "one"}, "vertical is 'one'"),
        (Meta, {"horizon_ns": 1, "sigma": "s", "cost": float("nan")}, "cost is nan"),
        (TrendScan, {}, "trend_scan needs max_ns"),
        (TrendScan, {"max_ns": 1, "shortest": 2}, "shortest is 2"),
        (TrendScan, {"max_ns": 1, "step": 0}, "step is 0"),
    ],
)
def test_settings_without_a_meaning_are_refused(kind: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(LabelError, match=words):
        kind(price="price", **settings)


def test_bins_with_edges_mean_what_they_meant_before_there_were_trailing_ones() -> None:
    label = Bins(price="p", horizon_ns=5, edges=(0.0, 1.0), sigma="s")
    assert label_meaning(label, "u", DAYS_OF_UTC) == "48e255fd4af345e0"
    trailing = [
        Bins(price="p", horizon_ns=5, trailing=9, q_ppm=(1,)),
        Bins(price="p", horizon_ns=5, trailing=8, q_ppm=(1,)),
        Bins(price="p", horizon_ns=5, trailing=9, q_ppm=(2,)),
        Bins(price="p", horizon_ns=5, trailing=9, q_ppm=(1,), min_count=8),
    ]
    assert len({label_meaning(one, "u", DAYS_OF_UTC) for one in trailing}) == len(trailing)


def test_a_meaning_hangs_on_settings_rows_and_the_sessions_that_end_labels() -> None:
    label = FixedHorizon(price="price", horizon_ns=3)
    meaning = label_meaning(label, "a", DAYS_OF_UTC)
    others = [
        label_meaning(FixedHorizon(price="price", horizon_ns=4), "a", DAYS_OF_UTC),
        label_meaning(Sign(price="price", horizon_ns=3), "a", DAYS_OF_UTC),
        label_meaning(label, "b", DAYS_OF_UTC),
        label_meaning(label, "a", ShortDays()),
    ]
    assert len({meaning, *others}) == 5
    assert label_meaning(SOON, "a", DAYS_OF_UTC) == label_meaning(SOON, "a", ShortDays())


def test_rows_without_known_times_count_with_their_own() -> None:
    layout = pa.schema([("price", pa.float64())])
    groups = Groups()
    node = LabelNode("outcome", "0" * 16, layout, SOON, groups)
    sealed = sealed_of(rows_at(0, 1), 9, groups)
    assert sealed.rows is not None
    labelled = node.take((sealed._replace(rows=sealed.rows.select(["price"])),))
    assert labelled.rows is not None
    assert labelled.rows["label_known_ns"].to_pylist() == [3, 4]
    assert batch_of(rows_at(0)).num_rows == 1
