"""Laws of the latency bench: a node's row is timed by its own evidence, and one that is missing is seen."""

import numpy as np
import pytest

from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS, NS_PER_S
from schemas.frame import LEFT_OFFSET
from tests.bench.kafka_latency import SETTLE_S, delays
from tests.bench.kafka_load import OPEN_NS, PARTITIONS, QUOTE, TRADE
from tests.bench.kafka_offer import Lane

FROM_NS = OPEN_NS + int(SETTLE_S * NS_PER_S)


def lane(topic: str, partition: int) -> Lane:
    """Rows at 0, 1, 2 and 3 ms behind the settling time, each sent 100 ms later, acknowledged at 101."""
    at = np.arange(4, dtype=np.int64) * NS_PER_MS
    sent = [int(ns) for ns in at + 100 * NS_PER_MS]
    acked = [ns + NS_PER_MS for ns in sent]
    return Lane(topic, partition, FROM_NS + at, None, at, [1, 2, 3, 4], sent, acked)  # type: ignore[arg-type]


LANES = {
    (stream.name, number): lane(stream.name, number)
    for stream in (TRADE, QUOTE)
    for number in range(PARTITIONS)
}


def watched(released_ms: tuple[int, ...], sealed_ms: int, rows: int = 3) -> dict[str, Int64s]:
    """What `watch` writes of `rows` rows of each partition, seen 5 ms after they were sealed."""
    offsets = np.tile(np.arange(rows, dtype=np.int64), PARTITIONS)
    return {
        "partition": np.repeat(np.arange(PARTITIONS, dtype=np.int64), rows),
        "event_ns": FROM_NS + offsets * NS_PER_MS,
        LEFT_OFFSET: offsets,
        "released_ns": np.tile(np.array(released_ms[:rows], np.int64) * NS_PER_MS, PARTITIONS),
        "sealed_ns": np.full(offsets.size, sealed_ms * NS_PER_MS, np.int64),
        "seen_ns": np.full(offsets.size, (sealed_ms + 5) * NS_PER_MS, np.int64),
    }


ALIGNED = watched((102, 103, 104), 105)


def test_a_row_of_a_node_is_timed_by_its_own_evidence_and_not_by_that_of_its_frame() -> None:
    node = watched((102, 102, 102), 120)
    told = delays(LANES, ALIGNED, node)
    assert told["seal_ms"] == {"p50": 17.0, "p99": pytest.approx(18.0, abs=0.1), "max": 18.0}
    # Row 0 is sealed by the row at 1 ms, acknowledged at 102 ms.
    assert told["sealed_ms"]["max"] == 120 - 102
    assert told["visible_ms"]["max"] == 125 - 102
    assert told["seen_ms"]["max"] == 125 - 101
    assert (told["rows"], told["lost"]) == (3 * PARTITIONS, 0)


def test_a_row_that_a_node_does_not_give_is_lost() -> None:
    assert delays(LANES, ALIGNED, watched((102, 102), 120, rows=2))["lost"] == PARTITIONS


def test_a_row_of_a_node_that_the_join_did_not_give_is_refused() -> None:
    with pytest.raises(AssertionError, match="no joined row was seen"):
        delays(LANES, watched((102, 103), 105, rows=2), watched((102, 102, 102), 120))
