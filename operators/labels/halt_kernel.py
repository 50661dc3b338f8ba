"""Halts of symbols: the changes of their status, and which of these lie inside a label.

Of each symbol the changes are there that a label may still meet, each with the place of the one before it.  A
status that says what the one before it said is none.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from operators.labels import places as at
from operators.labels.places import Reasons, Whole
from schemas.batch import Bools, Int32s, Int64s

# Of `changes`, int64 (changes, fields).
TIME_NS: Final = 0
KNOWN_NS: Final = 1
HALTED: Final = 2  # 1 for a halt, 0 for its end
BEFORE: Final = 3  # the place of the change before it, -1 for none
CHANGE_FIELDS: Final = 4

SAYS_NOTHING: Final = -1  # a status that is null
NONE: Final = -1
BEYOND_NS: Final = 2**63 - 1  # behind all times

States = npt.NDArray[np.int8]


@njit(nogil=True, cache=True)
def take_statuses(
    group: Int32s,
    time_ns: Int64s,
    known_ns: Int64s,
    halted: States,
    newest: Int64s,
    changes: Whole,
    count: int,
    changed: Bools,
) -> int:
    """Put the changes among statuses behind those that are there; returns how many there are then.

    `newest` is the place of each symbol's last one, and `changed` becomes true where there is another one.
    """
    for i in range(group.size):
        g, state = group[i], halted[i]
        if g < 0 or state == SAYS_NOTHING:
            continue
        before = newest[g]
        if state == (0 if before == NONE else changes[before, HALTED]):
            continue
        changes[count, TIME_NS], changes[count, KNOWN_NS] = time_ns[i], known_ns[i]
        changes[count, HALTED], changes[count, BEFORE] = state, before
        newest[g], changed[g] = count, True
        count += 1
    return count


@njit(nogil=True, cache=True)
def find_halts(
    group: Int32s,
    time_ns: Int64s,
    reasons: Reasons,
    facts: Whole,
    newest: Int64s,
    changes: Whole,
    inside: Bools,
) -> None:
    """Find which labels have a moment, from their event to their end, at which their symbol is halted.

    `facts` are int64 (fields, rows), of rows with these reasons.  A label is known no earlier than the
    changes inside it are, and than the last one up to its event.
    """
    for i in range(group.size):
        inside[i] = False
        if reasons[i] != at.OK:
            continue
        end_ns, place, after_ns = facts[at.LABEL_END, i], newest[group[i]], BEYOND_NS
        while place != NONE:
            change_ns = changes[place, TIME_NS]
            if change_ns <= end_ns:
                # Of changes in one nanosecond the last one holds; the others last no time.
                if change_ns < after_ns and changes[place, HALTED] == 1:
                    inside[i] = True
                facts[at.LABEL_KNOWN, i] = max(facts[at.LABEL_KNOWN, i], changes[place, KNOWN_NS])
                after_ns = change_ns
                if change_ns <= time_ns[i]:
                    break
            place = changes[place, BEFORE]


@njit(nogil=True, cache=True)
def forget_changes(before_ns: int, newest: Int64s, changes: Whole, count: int, kept: Int64s) -> int:
    """Let go of changes that no event from a time on can meet; returns how many are left, in their order.

    `kept` has room for a number of each change.
    """
    kept[:count] = NONE
    for g in range(newest.size):
        place = newest[g]
        while place != NONE:
            kept[place] = 0
            if changes[place, TIME_NS] <= before_ns:
                changes[place, BEFORE] = NONE
            place = changes[place, BEFORE]
    left = 0
    for place in range(count):
        if kept[place] == NONE:
            continue
        kept[place] = left
        before = changes[place, BEFORE]
        for field in range(BEFORE):
            changes[left, field] = changes[place, field]
        changes[left, BEFORE] = NONE if before == NONE else kept[before]
        left += 1
    for g in range(newest.size):
        if newest[g] != NONE:
            newest[g] = kept[newest[g]]
    return left


@njit(nogil=True, cache=True)
def count_ready(reasons: Reasons, facts: Whole, first: int, end: int, before_ns: int) -> int:
    """How many events from an ordinal on are decided, and end before a time where they have a label."""
    mask = reasons.size - 1
    row = first
    while row < end and reasons[row & mask] != at.WAITS:
        if reasons[row & mask] == at.OK and facts[row & mask, at.LABEL_END] >= before_ns:
            break
        row += 1
    return row - first
