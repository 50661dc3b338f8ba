"""Labels are those of the definition, bit for bit, however rows are cut and whenever a node comes back."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.labels.inputs import has_ticks
from operators.labels.settings import Bins, FixedHorizon, Label, Meta, Sign, TrendScan, TripleBarrier
from tests.oracles.labels import Row, columns_slowly, labels_slowly
from tests.property.label_cases import (
    LAST_NS,
    UPSTREAM,
    Cut,
    as_read,
    cuts,
    feed,
    rows_in_order,
    session_of,
    settings_of,
)

KINDS = [FixedHorizon, Sign, Bins, TripleBarrier, Meta, TrendScan]


def expected(label: Label, rows: Sequence[Row], complete_ns: int) -> list[dict[str, Any]]:
    """The labels of the rows that come out."""
    ticks = has_ticks(label, UPSTREAM)
    outcomes = labels_slowly(as_read(rows, label), label, session_of, complete_ns, ticks=ticks)
    return columns_slowly(outcomes, label, max(label.scale, 1))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), rows=rows_in_order, of_cuts=cuts, later_ns=st.integers(0, 40))
def test_labels_are_those_of_the_definition_whatever_the_cuts_and_restarts(
    kind: type[Label], data: st.DataObject, rows: list[Row], of_cuts: list[Cut], later_ns: int
) -> None:
    label = data.draw(settings_of(kind))
    complete_ns = (rows[-1].time_ns if rows else 0) + later_ns
    wanted = expected(label, rows, complete_ns)
    fed = feed(label, rows, of_cuts, complete_ns)
    assert [{name: row[name] for name in wanted[0]} for row in fed.rows] == wanted if wanted else not fed.rows
    came = [(row["event_ns"], row["symbol"], row["price"], row["note"]) for row in fed.rows]
    notes = [f"note {row.time_ns % 3}" for row in rows]
    payload = [(row.time_ns, row.symbol, row.price, note) for row, note in zip(rows, notes, strict=True)]
    assert came == payload[: len(came)]
    for count, ns in fed.complete_ns:
        assert all(row.time_ns >= ns for row in rows[count:])


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), rows=rows_in_order, seed=st.integers(0, 9))
def test_what_comes_after_a_label_is_sealed_changes_nothing_of_it(
    kind: type[Label], data: st.DataObject, rows: list[Row], seed: int
) -> None:
    label = data.draw(settings_of(kind))
    place = data.draw(st.integers(0, len(rows)))
    upper_ns = rows[place - 1].time_ns if place else 0
    early = feed(label, rows[:place], [], upper_ns).rows
    later = [row._replace(price=None if row.price is None else row.price + seed) for row in rows[place:]]
    assert feed(label, [*rows[:place], *later], [], LAST_NS + 100).rows[: len(early)] == early
