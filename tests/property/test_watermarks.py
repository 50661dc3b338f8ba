"""Idle inputs and times too far ahead: every seal answers as the definition does, in any order of events."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.inputs.max_ahead_kernel import LATEST_NS, rolling_bounds
from operators.streaming import StreamingAsof
from schemas.clocks import BEGINNING_NS
from tests.oracles.streaming_asof import Row, Rules, StreamSlowly
from tests.property import streaming_cases as cases

pytestmark = pytest.mark.takes_s(25)


@st.composite
def asked(draw: st.DrawFn) -> Rules:
    limit_ns = draw(st.sampled_from([None, 0, 2, 4]))
    of = draw(st.sampled_from(["wall", "inputs"]))
    return replace(draw(cases.rules()), max_ahead_ns=limit_ns, max_ahead_of=of)


@settings(max_examples=150, deadline=None)
@given(asked(), st.data())
def test_idle_inputs_and_times_too_far_ahead_are_as_defined(rules: Rules, data: st.DataObject) -> None:
    wanted = cases.make_settings(rules)
    join, slow = StreamingAsof(wanted), StreamSlowly(cases.looked_up(rules), rules)
    streams = {stream.name: stream for stream in wanted.streams}
    left = {
        name: data.draw(cases.rows(name, stream.sequence is not None)) for name, stream in streams.items()
    }
    ahead: list[tuple[str, int]] = []
    end = dict.fromkeys(streams, 0)
    for _ in range(data.draw(st.integers(1, 16))):
        stream = data.draw(st.sampled_from(sorted(streams)))
        now_ns = data.draw(st.integers(0, 12))
        event = data.draw(st.sampled_from(["rows", "rows", "progress", "idle"]))
        if event == "rows":
            count = data.draw(st.integers(0, len(left[stream])))
            part, left[stream] = left[stream][:count], left[stream][count:]
            part = [replace(row, offset=offset) for offset, row in enumerate(part, end[stream])]
            end[stream] += count
            join.push(stream, cases.batch(streams[stream], part), now_ns=now_ns)
            slow.push(stream, part, now_ns)
        elif event == "progress":
            upper_ns = data.draw(st.integers(0, 13))
            join.advance(stream, upper_ns, offset=end[stream], now_ns=now_ns)
            slow.advance(stream, upper_ns, now_ns, end[stream])
            end[stream] += 1
        else:
            join.inputs.leave_out(stream)
            slow.idle(stream)
        told = join.inputs.ahead(stream)
        ahead += [(stream, offset) for offset in told["offset"].to_pylist()]
        assert all(row["time_ns"] > row["bound_ns"] for row in told.to_pylist())
        if data.draw(st.booleans()):
            sealed = join.operator.seal()["aligned"]
            assert cases.dicts(sealed.rows) == slow.seal()
            assert (join.frontier_ns, sealed.assumed_rows) == (slow.frontier_ns, slow.assumed_rows)
    assert ahead == slow.ahead
    late = [
        (name, row["offset"], row["lateness_ns"]) for name in streams for row in join.late(name).to_pylist()
    ]
    assert sorted(late) == sorted(slow.late)


def bounds_slowly(times_ns: Sequence[int], newest_ns: int | None, max_ahead_ns: int) -> list[int]:
    """The definition of `rolling_bounds` in whole numbers without end."""
    bounds = []
    for time_ns in times_ns:
        bounds.append(LATEST_NS if newest_ns is None else min(LATEST_NS, newest_ns + max_ahead_ns))
        if time_ns <= bounds[-1]:
            newest_ns = time_ns if newest_ns is None else max(newest_ns, time_ns)
    return bounds


EDGES = st.sampled_from([BEGINNING_NS + 1, -1, 0, 1, LATEST_NS - 1, LATEST_NS])


@given(
    st.lists(st.integers(-20, 20) | EDGES, max_size=12),
    st.none() | st.integers(-20, 20) | EDGES,
    st.integers(0, 9) | st.sampled_from([LATEST_NS - 1, LATEST_NS]),
)
def test_rolling_bounds_are_as_defined(times: list[int], newest_ns: int | None, max_ahead_ns: int) -> None:
    time_ns = np.array(times, np.int64)
    bound_ns = np.empty(time_ns.size, np.int64)
    rolling_bounds(time_ns, BEGINNING_NS if newest_ns is None else newest_ns, max_ahead_ns, bound_ns)
    assert bound_ns.tolist() == bounds_slowly(times, newest_ns, max_ahead_ns)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 5))
def test_by_the_inputs_rows_close_to_those_before_them_are_taken_in_any_interleaving(
    data: st.DataObject, max_ahead_ns: int
) -> None:
    rules = Rules(max_ahead_ns=max_ahead_ns, max_ahead_of="inputs")
    wanted = cases.make_settings(rules)
    join = StreamingAsof(wanted)
    left: dict[str, list[Row]] = {}
    for name in rules.streams:
        steps = data.draw(st.lists(st.integers(0, max_ahead_ns), max_size=12))
        values = {"event_ns": 0, "symbol": "A"}
        times = np.cumsum(steps).tolist()
        # Both logs begin together; from there each goes on at its own pace.
        left[name] = [
            Row(ns, 0, offset, "A", values | {"event_ns": ns}) for offset, ns in enumerate([0, *times])
        ]
    while any(left.values()):
        name = data.draw(st.sampled_from([name for name, rows in left.items() if rows]))
        count = data.draw(st.integers(1, len(left[name])))
        part, left[name] = left[name][:count], left[name][count:]
        join.push(name, cases.batch(wanted.streams[name == "quote"], part))
        assert join.inputs.ahead(name).num_rows == 0
