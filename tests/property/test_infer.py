"""Whatever a topic holds, the proposal is settings that load, and those for JSON read every value seen."""

import json
import re
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numba
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stage.proposals import Topic

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT),  # type: ignore[attr-defined]
    reason="reads memory by address: needs numba",
)

MS = 1_705_311_000_000
NAMES = [
    "symbol",
    "ts",
    "T",
    "event_ns",
    "known_ns",
    "a",
    "a.b",
    "a_b",
    "left_offset",
    "",
    "é",
    "x\n",
    "#",
    "'",
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(MS, MS + 5),
    st.floats(allow_nan=True),
    st.text(max_size=5),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.sampled_from(["2024-01-15T09:30:00Z", "2024-01-15", "1e5", "007", "-0", "NaN"]),
)
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=3))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
rows = st.dictionaries(names, values, max_size=5)
keys = st.one_of(st.none(), st.binary(max_size=6), st.text(max_size=3).map(str.encode), st.just(b"A"))
# What is dead for want of a time or of a key was told to be so.
LACKS = re.compile(r"no event_ns|null key|the message key is not UTF-8")


def plain(text: str) -> str:
    """The words of the comments in one line."""
    return " ".join(text.replace("#", " ").split())


@given(st.lists(st.tuples(keys, st.one_of(st.none(), st.binary(max_size=30))), max_size=6), st.integers(1, 3))
def test_any_bytes_give_a_proposal_that_loads(
    messages: list[tuple[bytes | None, bytes | None]], partitions: int
) -> None:
    Topic(Path(mkdtemp()), messages, partitions=partitions).table()


@given(st.lists(st.tuples(keys, rows), min_size=1, max_size=6), st.integers(1, 3))
def test_json_is_read_by_what_is_proposed_for_it(
    messages: list[tuple[bytes | None, dict[str, Any]]], partitions: int
) -> None:
    encoded = [(key, json.dumps(row).encode()) for key, row in messages]
    topic = Topic(Path(mkdtemp()), encoded, partitions=partitions)
    table = topic.table()
    text = plain(topic.proposal())
    assert table or "No settings are proposed: no field can be a column" in text
    assert "do not stand" not in text
    if "would be dead letters" in text:
        assert LACKS.search(text.split("would be dead letters, the first of ")[1])
