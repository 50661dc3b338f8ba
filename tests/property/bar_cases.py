"""Trades as properties of bars draw them: in order, some of one time, some without a price or a size."""

from typing import Final

from hypothesis import strategies as st

from schemas.clocks import NS_PER_S
from tests.oracles.bars import Trade

END_NS: Final = 70 * NS_PER_S

moments = st.integers(0, 128).map(lambda halves: halves * NS_PER_S // 2)
symbols = st.sampled_from(["A", "B", "C", None])


def trades_of(numbers: type) -> st.SearchStrategy[list[Trade]]:
    if numbers is int:
        prices, sizes = st.integers(-3, 9), st.integers(0, 40)
    else:
        prices = st.one_of(st.integers(-(10**6), 10**9).map(lambda price: price / 1000), st.floats(1e-6, 1e9))
        sizes = st.one_of(st.just(0.0), st.floats(1e-6, 1e9))
    row = st.builds(
        Trade,
        moments,
        symbols,
        st.one_of(st.none(), prices),
        st.one_of(st.none(), sizes),
        st.sampled_from([None, -1, 0, 1]),
        st.one_of(st.none(), st.integers(0, 99 * NS_PER_S)),
    )
    return st.lists(row, max_size=40).map(placed)


def placed(rows: list[Trade]) -> list[Trade]:
    """Rows in order, each with a place of its own; these go down."""
    in_order = sorted(rows, key=lambda row: row.time_ns)
    return [row._replace(place=(len(rows) - number, number % 3)) for number, row in enumerate(in_order)]
