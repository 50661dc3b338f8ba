"""A function's columns are those of the definition, however rows are cut and whenever a node comes back."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.tiles import held
from tests.oracles.tiles import Row, Way, tiles_slowly
from tests.stage.tile_nodes import Cut, as_function, feed, new_node, planned_of

symbols = st.sampled_from(["A", "A", "A", "B", "C", None])
values = st.one_of(st.none(), st.integers(-7, 9).map(float), st.just(float("nan")))
rows_in_order = st.lists(st.tuples(st.integers(0, 60), symbols, values), max_size=40).map(
    lambda rows: [Row(*row, number) for number, row in enumerate(sorted(rows, key=lambda row: row[0]))]
)
ways = st.builds(
    Way,
    st.sampled_from([1, 3, 10, 50]),
    st.integers(0, 4),
    st.sampled_from([0, 0, 5, 30]),
    st.sampled_from([1, 2, 3]),
)
cuts = st.lists(st.builds(Cut, st.integers(0, 5), st.floats(0, 1), st.booleans(), st.booleans()), max_size=20)


def everything(rows: Sequence[Row]) -> list[float | None]:
    """A number that is another wherever any row that a call has is another."""
    out: list[float | None] = []
    total = 0.0
    for place, row in enumerate(rows):
        if row.value == -7:
            raise ArithmeticError("seven")
        total = total * 0.5 + (row.value or 0.0) + place
        out.append(None if row.value is None else total)
    return out


@given(
    rows=rows_in_order,
    way=ways,
    of_cuts=cuts,
    later_ns=st.integers(0, 60),
    loose=st.sampled_from([0, 9]),
)
def test_values_are_those_of_the_definition_whatever_the_cuts_and_restarts(
    rows: list[Row], way: Way, of_cuts: list[Cut], later_ns: int, loose: int
) -> None:
    complete_ns = (rows[-1].time_ns if rows else 0) + later_ns
    wanted = tiles_slowly(rows, way, complete_ns, everything)
    planned = planned_of(as_function(everything), way)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held, "LOOSE_ROWS", loose)
        fed = feed(lambda: new_node(planned), rows, of_cuts, complete_ns)
    assert list(map(repr, fed.valued)) == list(map(repr, wanted))
    assert fed.numbers == list(range(len(wanted)))
    assert len(fed.failed) == len({one.begin_ns for one in fed.failed})
    for count, ns in fed.complete_ns:
        assert all(row.time_ns >= ns for row in rows[count:])
