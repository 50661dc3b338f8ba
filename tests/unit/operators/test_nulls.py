"""Nulls of sealed rows are counted where they are, by the reason that each has."""

import numpy as np
import pyarrow as pa

from operators.nulls import NullCounts, joined_reasons, packed_reasons, statuses_of, unpacked_reasons
from operators.sealed import Sealed
from schemas.reasons import DOMAIN, NULL_IN, OK, REASONS, TRUNCATED, WARMING

STATUSES = np.array([OK, DOMAIN, WARMING, OK, NULL_IN, WARMING], np.uint8)


def sealed(statuses: np.ndarray = STATUSES) -> Sealed:
    value = pa.array(np.arange(statuses.size), mask=statuses != OK)
    rows = pa.record_batch({"told": value, "joined": value, "whole": np.arange(statuses.size)})
    return Sealed(rows, 0, reasons={"told": statuses})


def test_counts_of_a_part_are_those_of_its_rows_wherever_it_is_cut() -> None:
    counts = NullCounts(sealed(), ["told", "joined", "whole"])
    for lower in range(7):
        for upper in range(lower, 7):
            part = [REASONS[code] for code in STATUSES[lower:upper]]
            wanted = {reason: part.count(reason) for reason in REASONS[1:] if reason in part}
            nulls = sum(wanted.values())
            assert counts.between(lower, upper) == (
                {"told": wanted, "joined": {"null_in": nulls}} if nulls else {}
            )


def test_a_null_of_which_nobody_says_why_came_in_from_elsewhere() -> None:
    assert statuses_of(sealed(), "told").tolist() == STATUSES.tolist()
    assert statuses_of(sealed(), "joined").tolist() == [0, 1, 1, 0, 1, 1]
    assert not statuses_of(sealed(), "whole").any()


def test_a_value_that_was_cut_short_is_counted_and_keeps_its_reason_through_a_join() -> None:
    statuses = np.array([OK, TRUNCATED, TRUNCATED, WARMING], np.uint8)
    cut = pa.array([1, 2, None, None])
    rows = pa.record_batch({"cut": cut, "whole": pa.array([1, 2, 3, 4])})
    part = Sealed(rows, 0, reasons={"cut": statuses})
    assert NullCounts(part, ["cut", "whole"]).between(0, 3) == {"cut": {"truncated": 2}}
    columns = {"whole": rows["whole"], "cut": cut}
    came = unpacked_reasons(packed_reasons(part, list(columns)), columns)
    assert {name: codes.tolist() for name, codes in came.items()} == {"cut": statuses.tolist()}


def test_reasons_of_two_seals_follow_one_another() -> None:
    first, second, nothing = sealed(), Sealed(sealed().rows, 0), Sealed(None, 0)
    assert joined_reasons(first, second)["told"].tolist() == [*STATUSES, 0, 1, 1, 0, 1, 1]
    assert joined_reasons(nothing, first)["told"].tolist() == STATUSES.tolist()
    assert joined_reasons(nothing, second) == {}
