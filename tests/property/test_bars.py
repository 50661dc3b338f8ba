"""Bars are those of their definition, however trades are cut into calls, and wherever a life ends."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.rows.groups import Groups
from schemas.clocks import NS_PER_S
from tests.oracles.bars import Bars, bars_slowly
from tests.property.bar_cases import END_NS, trades_of
from tests.stage.bar_nodes import SPANS, node_of, plain, sealed_of

if TYPE_CHECKING:
    import pyarrow as pa


def kinds_of(numbers: type) -> st.SearchStrategy[Bars]:
    remainders = st.sampled_from(["drop", "carry", "split"] if numbers is int else ["drop", "carry"])
    limits = st.integers(1, 60) if numbers is int else st.floats(0.5, 1e9)
    in_sessions = st.booleans()
    return st.one_of(
        st.builds(Bars, st.just("trades"), st.integers(1, 5), in_sessions=in_sessions),
        st.builds(Bars, st.sampled_from(["volume", "dollars"]), limits, remainder=remainders),
        st.builds(Bars, st.sampled_from(["range", "cusum"]), limits, in_sessions=in_sessions),
        st.builds(
            Bars,
            st.just("renko"),
            limits if numbers is int else st.floats(1e6, 1e9),
            reversal=st.integers(1, 4),
            in_sessions=in_sessions,
        ),
        st.builds(
            Bars,
            st.sampled_from(["imbalance", "runs"]),
            measure=st.sampled_from(["trades", "volume", "dollars"]),
            first=st.integers(1, 4),
            span_b=st.sampled_from([1.0, 3.0, 10.0]),
            span_t=st.sampled_from([1.0, 3.0]),
            sided=st.booleans(),
            least=st.sampled_from([None, 0.5, 2.0]),
            most=st.sampled_from([None, 3.0, 8.0]),
            theta_min=st.sampled_from([1.0, 0.1, 5.0]),
            in_sessions=in_sessions,
        ),
        st.builds(Bars, st.just("volatility"), st.floats(1e-3, 2.0), in_sessions=in_sessions),
        st.builds(
            Bars,
            st.just("time"),
            step_ns=st.sampled_from([1, 2, 7, 30]).map(lambda seconds: seconds * NS_PER_S),
            origin=st.sampled_from(["utc", "session"]),
            empty=st.booleans(),
            known_after_ns=st.sampled_from([0, NS_PER_S]),
        ),
        st.builds(Bars, st.just("time"), step_ns=st.just(3 * NS_PER_S), in_sessions=st.just(False)),
    ).map(in_spans)


def in_spans(bars: Bars) -> Bars:
    return Bars(**{**bars.__dict__, "spans": SPANS})


@pytest.mark.parametrize("numbers", [int, float])
@given(data=st.data())
@settings(deadline=None)
def test_any_cut_and_any_restart_give_the_bars_of_the_definition(numbers: type, data: st.DataObject) -> None:
    bars = data.draw(kinds_of(numbers))
    rows = data.draw(trades_of(numbers))
    groups = Groups()
    node = node_of(bars, numbers, groups)
    kept: dict[bytes, bytes] = {}
    made: list[pa.RecordBatch] = []
    lower, complete_ns = 0, 0
    while lower < len(rows) or complete_ns < END_NS:
        upper = data.draw(st.integers(lower, len(rows)))
        latest = rows[upper].time_ns if upper < len(rows) else END_NS
        complete_ns = data.draw(st.integers(complete_ns, max(complete_ns, latest)))
        if upper == lower == len(rows):
            complete_ns = END_NS
        sealed = node.take((sealed_of(rows[lower:upper], complete_ns, numbers, groups),))
        assert sealed.complete_ns == complete_ns
        if sealed.rows is not None:
            sealed.rows.validate(full=True)
            made.append(sealed.rows)
        lower = upper
        if data.draw(st.booleans()):
            snapshot = node.snapshot()
            kept.update(snapshot.puts)
            assert not snapshot.deletes
            groups = Groups()
            node = node_of(bars, numbers, groups)
            node.restore(kept.items())
    assert plain(made) == bars_slowly(rows, bars, END_NS)
