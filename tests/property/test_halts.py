"""Labels know of halts inside them as the definition does, however both sides are cut, and come back."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.labels.inputs import has_ticks
from operators.labels.settings import Bins, FixedHorizon, Label, Meta, Sign, TrendScan, TripleBarrier
from tests.oracles.labels import Row, Status, columns_slowly, halted_slowly, labels_slowly
from tests.property.label_cases import (
    LAST_NS,
    UPSTREAM,
    Cut,
    as_read,
    cuts_of_both,
    feed,
    rows_in_order,
    session_of,
    settings_of,
    statuses_in_order,
)

KINDS = [FixedHorizon, Sign, Bins, TripleBarrier, Meta, TrendScan]


def expected(
    label: Label, rows: list[Row], complete_ns: int, statuses: list[Status], statuses_ns: int
) -> list[dict[str, Any]]:
    """The labels of the rows that come out: those that end before the statuses do."""
    ticks = has_ticks(label, UPSTREAM)
    outcomes = labels_slowly(as_read(rows, label), label, session_of, complete_ns, ticks=ticks)
    outcomes = [
        None if one is not None and (one.label_end_ns or -1) >= statuses_ns else one for one in outcomes
    ]
    wanted = columns_slowly(outcomes, label, max(label.scale, 1))
    for row, one, found in zip(rows, outcomes, wanted, strict=False):
        found["halted_inside"], known_ns = halted_slowly(row, one, statuses)
        if found["halted_inside"] is not None:
            found["label_known_ns"] = max(found["label_known_ns"], known_ns)
    return wanted


@pytest.mark.parametrize("kind", KINDS)
@given(
    data=st.data(),
    rows=rows_in_order,
    statuses=statuses_in_order,
    of_cuts=cuts_of_both,
    later_ns=st.integers(0, 40),
    lead_ns=st.integers(-30, 30),
)
def test_halts_are_those_of_the_definition_whatever_the_cuts_and_restarts(
    kind: type[Label],
    data: st.DataObject,
    rows: list[Row],
    statuses: list[Status],
    of_cuts: list[Cut],
    later_ns: int,
    lead_ns: int,
) -> None:
    label = replace(data.draw(settings_of(kind)), halted="halted")
    complete_ns = (rows[-1].time_ns if rows else 0) + later_ns
    statuses_ns = max([complete_ns + lead_ns, 0, *(one.time_ns for one in statuses)])
    wanted = expected(label, rows, complete_ns, statuses, statuses_ns)
    fed = feed(label, rows, of_cuts, complete_ns, statuses, statuses_ns)
    found = [{name: row[name] for name in wanted[0]} for row in fed.rows] if wanted else fed.rows
    assert found == wanted
    for count, ns in fed.complete_ns:
        assert all(row.time_ns >= ns for row in rows[count:])


@given(data=st.data(), rows=rows_in_order, statuses=statuses_in_order)
def test_a_status_after_a_label_is_sealed_changes_nothing_of_it(
    data: st.DataObject, rows: list[Row], statuses: list[Status]
) -> None:
    label = replace(data.draw(settings_of(TripleBarrier)), halted="halted")
    place = data.draw(st.integers(0, len(statuses)))
    sealed_ns = statuses[place].time_ns if place < len(statuses) else LAST_NS + 100
    early = feed(label, rows, [], LAST_NS + 100, statuses[:place], sealed_ns).rows
    other = [one._replace(halted=not one.halted) for one in statuses[place:]]
    assert (
        feed(label, rows, [], LAST_NS + 100, [*statuses[:place], *other], LAST_NS + 200).rows[: len(early)]
        == early
    )


def test_a_label_does_not_come_out_before_the_statuses_up_to_its_end() -> None:
    label = FixedHorizon(price="price", horizon_ns=3, across_sessions=True, halted="halted")
    rows = [Row(0, "A", 0, 100.0), Row(2, "A", 2, 101.0)]
    assert feed(label, rows, [], 10, [], 3).rows == []
    (one,) = feed(label, rows, [], 10, [Status(3, "A", 8, True)], 4).rows
    assert (one["halted_inside"], one["label_end_ns"], one["label_known_ns"]) == (True, 3, 8)
    of_no_time = [Status(3, "A", 8, True), Status(3, "A", 3, False), Status(4, "A", 4, True)]
    (one, other) = feed(label, rows, [], 10, of_no_time, 10).rows
    assert (one["halted_inside"], other["halted_inside"]) == (False, True)
    (one,) = feed(label, rows[:1], [], 10, [Status(0, "A", 0, True), Status(1, "A", 1, False)], 10).rows
    assert one["halted_inside"]  # it was halted as it came


@pytest.mark.parametrize("seed", range(4))
def test_many_halts_are_let_go_of_no_earlier_than_labels_need_them(seed: int) -> None:
    draws = random.Random(seed)
    label = FixedHorizon(price="price", horizon_ns=9, across_sessions=True, halted="halted")
    times = sorted(draws.choices(range(300), k=80)), sorted(draws.choices(range(320), k=150))
    rows = [Row(ns, draws.choice("AB"), ns, 100.0) for ns in times[0]]
    statuses = [
        Status(ns, draws.choice("AB"), ns + draws.randrange(20), draws.random() < 0.5) for ns in times[1]
    ]
    cuts = [
        Cut(
            draws.randrange(4), draws.random(), draws.random() < 0.3, draws.random() < 0.7, draws.randrange(7)
        )
        for _ in range(60)
    ]
    fed = feed(label, rows, cuts, 400, statuses, 400)
    wanted = expected(label, rows, 400, statuses, 400)
    assert [{name: row[name] for name in wanted[0]} for row in fed.rows] == wanted
    assert {row["halted_inside"] for row in wanted} == {True, False}
