"""Bins whose edges follow the labels, over longer runs than properties draw; what is damaged is refused."""

import random

import pytest

from operators.labels.settings import Bins
from operators.node import NodeStateError
from tests.oracles.labels import Row, columns_slowly, labels_slowly
from tests.property.label_cases import Cut, as_read, feed, new_node, sealed_of, session_of

LABEL = Bins(
    price="price",
    horizon_rows=2,
    max_ns=40,
    across_sessions=True,
    trailing=5,
    min_count=2,
    q_ppm=(250_000, 500_000, 999_999),
)


def rows_of(seed: int, count: int) -> list[Row]:
    """Rows of three symbols in order; some have no price, and some are known late."""
    draw = random.Random(seed)
    times = sorted(draw.randrange(3 * count) for _ in range(count))
    return [
        Row(
            ns,
            draw.choice(["A", "B", "C"]),
            ns + draw.choice([0, 0, 0, 50]),
            draw.choice([None, *range(90, 110)]),
            (1.0, 1.0, 1.0),
            1.0,
        )
        for ns in times
    ]


@pytest.mark.parametrize("seed", range(3))
def test_each_label_lies_between_the_quantiles_of_those_that_had_ended(seed: int) -> None:
    rows = rows_of(seed, 150)
    draw = random.Random(seed)
    cuts = [Cut(draw.randrange(9), 1.0, draw.random() < 0.3, draw.random() < 0.5) for _ in range(40)]
    complete_ns = rows[-1].time_ns + 100
    wanted = columns_slowly(labels_slowly(as_read(rows, LABEL), LABEL, session_of, complete_ns), LABEL, 1)
    found = feed(LABEL, rows, cuts, complete_ns).rows
    assert [{name: row[name] for name in wanted[0]} for row in found] == wanted
    classes = [row["label"] for row in found]
    assert {0, 1, 2, 3} <= set(classes)
    assert {"warming", None} <= {row["label_reason"] for row in found}


def test_a_symbol_whose_labels_are_damaged_is_refused() -> None:
    node, groups = new_node(LABEL)
    rows = rows_of(0, 60)
    node.take((sealed_of(rows, rows[-1].time_ns, groups),))
    entries = dict(node.snapshot().puts)
    own = next(key for key in entries if key[:1] == b"t")
    for damaged in (b"", entries[own][:-1], b"\x09" + entries[own][1:]):
        with pytest.raises(NodeStateError, match=r"the labels that b'[ABC]' had are damaged"):
            new_node(LABEL)[0].restore({**entries, own: damaged}.items())
