"""What a restart by another rule reads again: a line for each change."""

from dataclasses import replace

import pytest

from operators.join.changed_rule import Reread, reread_for
from schemas.clocks import BEGINNING_NS
from schemas.rule import Rule

OLD = Rule(
    clock="event",
    direction="backward",
    allow_exact=True,
    tolerance_ns=5,
    carry="row",
    columns="00000000",
    keys="11111111",
)
NONE = replace(OLD, tolerance_ns=None)
NEAREST = replace(OLD, direction="nearest")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (OLD, replace(OLD, tolerance_ns=4), Reread()),
        (OLD, replace(OLD, allow_exact=False), Reread()),
        (OLD, replace(OLD, columns="22222222"), Reread()),
        (OLD, replace(OLD, formulas="22222222"), Reread()),
        (NONE, replace(NONE, columns="22222222"), Reread()),
        (OLD, replace(OLD, tolerance_ns=6), Reread(94, keeps=False)),
        (OLD, replace(OLD, carry="column"), Reread(95, keeps=False)),
        (OLD, replace(OLD, keys="22222222"), Reread(95, keeps=False)),
        (NONE, OLD, Reread(95, keeps=False, was_kept=True)),
        (OLD, NONE, Reread(BEGINNING_NS, keeps=False)),
        (NONE, replace(NONE, carry="column"), Reread(BEGINNING_NS, keeps=False, was_kept=True)),
        (OLD, NEAREST, Reread(90, keeps=False)),
        (OLD, replace(OLD, direction="forward"), Reread(95, keeps=False)),
        (NEAREST, replace(NEAREST, tolerance_ns=2), Reread(held_ns=5)),
        (NEAREST, OLD, Reread(90, held_ns=5, keeps=False)),
        (NEAREST, NONE, Reread(BEGINNING_NS, held_ns=5, keeps=False)),
    ],
)
def test_a_change_asks_for_the_rows_that_its_rule_may_match(old: Rule, new: Rule, expected: Reread) -> None:
    assert reread_for(old, new, 100) == expected


def test_nothing_lies_before_the_beginning() -> None:
    assert reread_for(OLD, replace(OLD, tolerance_ns=2**62), BEGINNING_NS + 1).oldest_ns == BEGINNING_NS
