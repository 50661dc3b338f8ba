"""The walks of the batch join: rows that stand in order, and rows that an order names, match alike."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from operators.rows.views import frozen
from operators.tables.fill import Validity
from operators.tables.settings import AsofSettings, read_settings
from operators.tables.walk import Side, Walk

GROUPS = 5
ROWS = 400
TILE_ROWS = 80


def settings(direction: str, *, strict: bool) -> AsofSettings:
    return read_settings(
        on="event_ns",
        by="symbol",
        direction=direction,
        tolerance_ns=None,
        allow_exact=not strict,
        carry="row",
        sequence=None,
        threads=1,
    )


def sides(burst_rows: int) -> tuple[Side, Side]:
    """Left and right rows whose times alternate in bursts of about so many; some are in no group."""
    rng = np.random.default_rng(burst_rows)
    turns = np.repeat(rng.random(2 * ROWS) < 0.5, rng.integers(1, 2 * burst_rows, 2 * ROWS))[: 2 * ROWS]
    ns = np.cumsum(rng.integers(0, 2, turns.size))
    return side(rng, ns[turns]), side(rng, ns[~turns])


def side(rng: np.random.Generator, ns: npt.NDArray[np.int64]) -> Side:
    code = rng.integers(-1, GROUPS + 1, ns.size).astype(np.int32)
    return Side(frozen(ns), frozen(code), None, ns.size)


def ordered(rows: Side) -> Side:
    return replace(rows, order=frozen(np.arange(rows.rows, dtype=np.int32)))


def matched(left: Side, right: Side, asked: AsofSettings) -> list[int]:
    walk = Walk(right, GROUPS, asked, None)
    positions = np.full(left.rows, -2, np.int32)
    starts = range(0, left.rows, TILE_ROWS)
    for begin in starts[::-1] if asked.direction == "forward" else starts:
        tile = slice(begin, min(begin + TILE_ROWS, left.rows))
        own = Side(left.ns[tile], None if left.code is None else left.code[tile], None, tile.stop - begin)
        walk.match(own if right.order is None else ordered(own), positions[tile])
    return list(positions.tolist())


@pytest.mark.parametrize("direction", ["backward", "forward"])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("burst_rows", [1, 3, 30])
def test_an_order_that_rows_stand_in_anyway_changes_no_match(
    direction: str, strict: bool, burst_rows: int
) -> None:
    left, right = sides(burst_rows)
    asked = settings(direction, strict=strict)
    found = matched(left, right, asked)
    assert max(found) > 0
    assert found == matched(left, ordered(right), asked)


@pytest.mark.parametrize("rows", [0, 7, 64, 65, 200])
@pytest.mark.parametrize("misses", [0, 1, 40])
def test_a_row_is_valid_where_it_has_a_match(rows: int, misses: int) -> None:
    positions = np.arange(rows, dtype=np.int32)
    positions[np.random.default_rng(rows).integers(0, max(1, rows), min(misses, rows))] = -1
    validity = Validity(rows)
    validity.fill(0, rows, positions)
    bits, count = validity.result()
    assert count == np.count_nonzero(positions >= 0)
    if bits is not None:
        valid = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[:rows]
        assert valid.tolist() == (positions >= 0).tolist()
