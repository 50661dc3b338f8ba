"""Whether the rows of a run stand: by the audit, by the slow oracle, and by a run nothing interrupts."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from app.audit.cut import read_cuts
from app.audit.late import NotAccepted, read_not_accepted
from app.audit.report import AuditReport
from app.audit.topics import audit
from app.reading.aligned import read_aligned
from app.reading.partition import read_partition
from app.wiring.pipeline import Pipeline
from operators.hashing.parity import Parity, sealed_hashes
from operators.streaming import StreamingAsof
from schemas.batch import Batch
from schemas.frame import LEFT_INDEX, LEFT_OFFSET, FrameHeaders, decode_frame
from tests.oracles.streaming_asof import Row, Rules, join_slowly
from topics.block import TopicPartition

PLACES = 1_000  # rows of a message at most: one number says offset and index


def judge(pipeline: Pipeline) -> AuditReport:
    """Return the audit of a run that has come to rest, after the other two witnesses have agreed with it."""
    report = audit(pipeline)
    assert not report.violations, report.violations
    cut = audit(pipeline, read_cuts(pipeline))
    assert not cut.violations, cut.violations
    assert (cut.rows_aligned, cut.parity) == (report.rows_aligned, report.parity)
    assert (cut.reach.rows_waiting, cut.reach.rows_since, cut.reach.unread.total()) == (0, 0, 0)
    accepted_lefts = 0
    for partition in range(pipeline.settings.bus.partitions):
        accepted = accepted_rows(pipeline, partition)
        expected = _expected(pipeline, accepted)
        accepted_lefts += len(expected)
        assert _aligned(pipeline, partition) == expected, f"partition {partition} is not what the oracle says"
        parity = _uninterrupted(pipeline, accepted)
        assert report.parity[partition] == parity, f"partition {partition}: {report.parity[partition]}"
        for name in pipeline.settings.node_outputs:
            _judge_output(pipeline, name, partition, _wanted(pipeline, name, expected, accepted))
    assert report.rows_aligned == accepted_lefts
    return report


def _wanted(
    pipeline: Pipeline, name: str, joined: list[dict[str, Any]], accepted: Mapping[str, list[Batch]]
) -> list[dict[str, Any]]:
    """What a node of `scene.GRAPH` has to say of each row that it reads."""
    stream = {"half": "quote", "sold": "trade", "scored": "signal"}.get(name)
    if stream is None:
        return [_features(row) for row in joined]
    columns = set(pipeline.streams[stream].schema.names)
    rows = sorted(_rows(accepted[stream], columns), key=lambda row: row.order)
    return [_features_of_stream(row.values) for row in rows]


def _features_of_stream(row: Mapping[str, Any]) -> dict[str, Any]:
    bid, price = row.get("bid"), row.get("price")
    half, twice = None if bid is None else bid / 2, None if price is None else price * 2
    more = None if row.get("score") is None else row["score"] + 1
    return {"event_ns": row["event_ns"], "half": half, "twice": twice, "more": more}


def _judge_output(pipeline: Pipeline, name: str, partition: int, wanted: list[dict[str, Any]]) -> None:
    """The rows of a node are those that its formulas give for each row, once and in order."""
    rows: dict[int, dict[str, Any]] = {}
    parity, newest = Parity(), ""
    for batch, headers in _frames(pipeline, name, partition):
        parity, newest = parity.roll(sealed_hashes(batch)), headers.parity
        for row in batch.to_pylist():
            place = row[LEFT_OFFSET] * PLACES + row[LEFT_INDEX]
            assert rows.setdefault(place, row) == row, "a row that came again has changed"
    assert [row["event_ns"] for row in rows.values()] == [row["event_ns"] for row in wanted]
    for row, want in zip(rows.values(), wanted, strict=True):
        assert {column: value for column, value in want.items() if column in row}.items() <= row.items()
    if pipeline.settings.worker.guarantee == "exactly_once":
        assert newest == (str(parity) if rows else ""), f"{name}[{partition}]: {newest}, not {parity}"


def _frames(pipeline: Pipeline, name: str, partition: int) -> Iterator[tuple[pa.RecordBatch, FrameHeaders]]:
    source = TopicPartition(pipeline.settings.topic(name), partition)
    for block in read_partition(pipeline.bus, source, group="judgement"):
        for message in range(block.messages):
            frame = block.originals[message]
            yield decode_frame(frame.value), FrameHeaders.from_kafka(frame.headers)


def _features(row: dict[str, Any]) -> dict[str, Any]:
    """What the nodes of `scene.GRAPH` say of a joined row, and the column that tells which row it is."""
    bid, ask, price, age_ns = (row.get(c) for c in ("quote_bid", "quote_ask", "price", "quote_age_ns"))
    mid = None if bid is None or ask is None else (bid + ask) / 2
    wide = None if bid is None or ask is None else ask - bid
    buyer = None if price is None or mid is None else price > mid
    cost = None if buyer is None or wide is None else wide if buyer else -wide
    old = None if age_ns is None else age_ns > 20
    return {"event_ns": row["event_ns"], "mid": mid, "buyer": buyer, "cost": cost, "old": old}


def accepted_rows(pipeline: Pipeline, partition: int) -> dict[str, list[Batch]]:
    """The rows of each input that are good, not late and not too far ahead, in the order of its log."""
    refused = read_not_accepted(pipeline, partition, group="judgement")
    return {
        stream: [
            batch.where(~_named(refused, stream, batch))
            for batch in _decoded(pipeline, TopicPartition(topic, partition), stream)
        ]
        for topic, stream in pipeline.input_topics.items()
    }


def _decoded(pipeline: Pipeline, source: TopicPartition, stream: str) -> Iterator[Batch]:
    decoder = pipeline.decoder(stream)
    for block in read_partition(pipeline.bus, source, group="judgement"):
        batch = decoder.decode(block, np.arange(block.messages, dtype=np.int64)).batch
        if batch is not None and batch.rows:
            yield batch


def _named(refused: NotAccepted, stream: str, batch: Batch) -> Any:
    named = np.array(
        [
            offset * PLACES + index
            for places in (refused.late, refused.dead)
            for offset, index in places[stream].rows()
        ],
        np.int64,
    )
    return np.isin(batch.offset * PLACES + batch.index, named)


def _expected(pipeline: Pipeline, accepted: Mapping[str, list[Batch]]) -> list[dict[str, Any]]:
    """One offline join of the accepted rows, by definition."""
    asked = pipeline.asof
    columns = {name for right in asked.rights for name in asked.looked_up(right)}
    rows = {name: list(_rows(batches, columns)) for name, batches in accepted.items()}
    rules = Rules(
        rights=tuple(right.name for right in asked.rights),
        direction=asked.direction,
        allow_exact=asked.allow_exact,
        tolerance_ns=asked.tolerance_ns,
        carry=asked.carry,
    )
    lefts = rows.pop(asked.left.name)
    # The oracle's rows have every column of any stream; the output has those of its own.
    bare = [replace(left, values={n: left.values[n] for n in asked.left.schema.names}) for left in lefts]
    names = asked.aligned_schema().names
    joined = join_slowly(bare, rows, sorted(columns), rules)
    return [{name: row[name] for name in names} for row in joined]


def _rows(batches: list[Batch], columns: set[str]) -> Iterator[Row]:
    for batch in batches:
        for i, values in enumerate(batch.columns.to_pylist()):
            place = int(batch.offset[i]) * PLACES + int(batch.index[i])
            key = batch.keys[batch.key_code[i]].as_py().decode()
            values = {**dict.fromkeys(columns), **values}
            yield Row(int(batch.time_ns[i]), int(batch.sequence[i]), place, key, values)


def _aligned(pipeline: Pipeline, partition: int) -> list[dict[str, Any]]:
    """What the aligned topic holds, each place once, placed as the oracle places it."""
    rows: dict[int, dict[str, Any]] = {}
    for batch in read_aligned(pipeline, partition):
        for row in batch.to_pylist():
            place = row[LEFT_OFFSET] * PLACES + row[LEFT_INDEX]
            rows.setdefault(place, {**row, LEFT_OFFSET: place, LEFT_INDEX: 0})
    return list(rows.values())


def _uninterrupted(pipeline: Pipeline, accepted: Mapping[str, list[Batch]]) -> Parity:
    """The parity of one life that takes the accepted rows, one input after the other, and seals once."""
    operator = StreamingAsof(replace(pipeline.asof, max_ahead_ns=None))
    for stream, batches in accepted.items():
        for batch in batches:
            operator.push(stream, batch)
    sealed = operator.finish()
    return Parity() if sealed is None else Parity().roll(sealed_hashes(sealed))
