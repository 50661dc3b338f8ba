"""A market that is right, with what it takes to put other messages in place of its own."""

from pathlib import Path

import polars as pl
import pyarrow as pa

from app.reading.aligned import read_aligned
from app.wiring.pipeline import topic_specs
from schemas.frame import FrameHeaders, encode_frame, layout_fingerprint
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import Original

HERE, ELSEWHERE = "A", "D"  # symbols of partition 0 and of partition 1


def honest(folder: Path, **pipeline: object) -> Market:
    """Two partitions sealed up to 20, though the quotes are complete to 30; then a late trade and quote."""
    market = Market(folder, partitions=2, pipeline=pipeline)
    for symbol in (HERE, ELSEWHERE):
        market.quote(5, 9, symbol=symbol)
        market.trade(7, 9, 12, symbol=symbol)
    market.progress(20, "trade")
    market.progress(30, "quote")
    worker = market.worker()
    turn_until_quiet(worker)
    market.trade(6, symbol=HERE)
    market.quote(8, symbol=HERE)
    turn_until_quiet(worker)
    worker.close()
    return market


def rewrite(market: Market, kind: str, messages: list[Original]) -> None:
    """Put these messages in place of those of partition 0; partition 1 is left empty."""
    admin = market.bus.admin()
    topic = market.settings.topic(kind)
    (spec,) = [spec for spec in topic_specs(market.settings) if spec.name == topic]
    admin.delete([topic])
    admin.create([spec])
    producer = market.bus.producer()
    for message in messages:
        producer.produce(topic, partition=0, key=message.key, value=message.value, headers=message.headers)


def frame_of(market: Market, rows: pl.DataFrame, parity: str = "") -> Original:
    """A frame of these rows, as of a seal up to 20."""
    schema = market.pipeline.asof.aligned_schema()
    (batch,) = rows.to_arrow().cast(schema).combine_chunks().to_batches()
    told = FrameHeaders(
        layout=layout_fingerprint(schema),
        complete_ns=20,
        rows=batch.num_rows,
        released_ns=0,
        sealed_ns=0,
        newest_ns=0,
        parity=parity,
    )
    return Original(None, encode_frame(batch), told.to_kafka(), 0)


def sealed(market: Market, partition: int = 0) -> pl.DataFrame:
    """The committed aligned rows of a partition."""
    rows = pl.from_arrow(pa.Table.from_batches(list(read_aligned(market.pipeline, partition))))
    assert isinstance(rows, pl.DataFrame)
    return rows
