"""The audit's own nodes and joins give the rows of the operators, on any small day and however it is read."""

from hypothesis import given, settings
from hypothesis import strategies as st

from operators.graph.declare import JoinSettings
from tests.stage.planted_joins import findings_of, graph_of, reading, root_rows_of, trial_of_joins

Row = tuple[int, str | None, float | None]
row = st.tuples(
    st.integers(0, 12),
    st.sampled_from(["A", "B", None]),
    st.one_of(st.none(), st.integers(0, 9).map(float)),
)
rows_in_order = st.lists(row, max_size=12).map(lambda rows: sorted(rows, key=lambda one: one[0]))


def joins(right: str) -> st.SearchStrategy[JoinSettings]:
    return st.builds(
        JoinSettings,
        rights=st.just((right,)),
        allow_exact=st.booleans(),
        tolerance_ns=st.one_of(st.none(), st.integers(0, 6)),
        carry=st.sampled_from(["row", "column"]),
    )


@given(rows_in_order, rows_in_order, joins("flow"), joins("later"), st.data())
@settings(deadline=None)
def test_the_judge_has_nothing_to_say_of_what_the_operators_give(
    trades: list[Row], quotes: list[Row], first: JoinSettings, second: JoinSettings, data: st.DataObject
) -> None:
    graph = graph_of(first, second)
    day = {"aligned": root_rows_of("aligned", trades), "quote": root_rows_of("quote", quotes)}
    size = data.draw(st.integers(1, 13))
    nothing_gone = reading(day, {"aligned": 0, "quote": 0}, size)
    left = {root: data.draw(st.integers(0, rows.num_rows)) for root, rows in day.items()}
    some_gone = reading(day, left, size)
    for name, made in trial_of_joins(day, graph).run().items():
        parts = [made.slice(lower, size) for lower in range(0, made.num_rows, size)]
        findings = findings_of(graph, name, nothing_gone, parts)
        assert list(findings.violations()) == [], name
        assert findings.without_past[name] == 0
        assert list(findings_of(graph, name, some_gone, parts).violations()) == [], (name, left)
