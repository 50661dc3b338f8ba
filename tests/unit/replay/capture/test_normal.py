"""A capture brings rows into another form, each by itself; what cannot be brought there is a dead letter."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from replay.capture.capture import CaptureLimits
from replay.capture.normal import NormalRules, normalised
from replay.capture.session import CapturedTopic, CaptureTarget, capture
from replay.capture.tail import Tail
from replay.errors import HistoryError
from replay.quality.checks import ConditionColumns
from replay.quality.conditions import us_conditions
from replay.store.prune import Wanted
from replay.store.scan import Scan
from replay.store.table import HistoryTable
from schemas.stream import Stream
from topics.avro.decode import Decoder
from topics.avro.encode import RowEncoder
from topics.bus import TopicSpec
from topics.memory.bus import MemoryBus
from topics.registry.folder import FileRegistry

SCHEMA = pa.schema(
    [
        ("event_ns", pa.int64()),
        ("symbol", pa.string()),
        ("price", pa.int64()),
        ("cond", pa.string()),
        ("tape", pa.string()),
    ]
)
STREAM = Stream(name="trade", schema=SCHEMA)
WORDS = ("price_ok", "volume_ok", "auction", "extended")
WANTED = (["trade.price=1/10000"], ["trade.tape=C"], {"trade": ConditionColumns("cond", "tape")})


class TradeTopic:
    """A topic of trades whose prices are whole numbers, and a store to capture it into."""

    def __init__(self, folder: Path) -> None:
        self.store, self.bus = folder / "history", MemoryBus()
        self.bus.admin().create([TopicSpec(name="trades", partitions=1, configs={})])
        self._registry = FileRegistry(folder / "schemas")
        self._encoder = RowEncoder(STREAM, self._registry, "trades")

    def publish(self, *trades: tuple[int, int, str | None, str | None]) -> None:
        """Trades of one symbol: time, price, conditions, tape."""
        rows = pa.RecordBatch.from_pylist(
            [dict(zip(SCHEMA.names, (ns, "A", *more), strict=True)) for ns, *more in trades], schema=SCHEMA
        )
        encoded, producer = self._encoder.records(rows), self.bus.producer(transactional_id="source")
        producer.begin()
        for start, end in zip(encoded.starts[:-1], encoded.starts[1:], strict=True):
            producer.produce("trades", partition=0, key=b"A", value=encoded.data[start:end].tobytes())
        producer.commit()

    @property
    def decoder(self) -> Decoder:
        return Decoder(STREAM, "event", self._registry)

    def take(self, *wanted: Any) -> None:
        """Capture to the end, with factors, defaults and conditions."""
        topic = CapturedTopic(topic="trades", partitions=1, stream=STREAM, decoder=self.decoder)
        rules = (
            NormalRules.parse(wanted[0], wanted[1], wanted[2], us_conditions()) if wanted else NormalRules()
        )
        target = CaptureTarget(
            bus=self.bus,
            store=self.store,
            group="capture",
            zone="UTC",
            buckets=None,
            limits=CaptureLimits(),
            accepts_gaps=False,
            to_end=True,
        )
        assert capture(normalised([topic], rules), target) == 0

    def rows(self, stream: str = "trade") -> list[dict[str, Any]]:
        scan = Scan(HistoryTable(self.store, stream).snapshot(), Wanted())
        return [row for batch in scan.batches() for row in batch.to_pylist()]


def test_values_and_words_are_those_that_were_asked_for_in_each_commit(tmp_path: Path) -> None:
    topic = TradeTopic(tmp_path)
    topic.publish((1, 1_000_100, "@O", "A"), (2, 1_000_200, "B", None))
    topic.take(*WANTED)
    topic.publish((3, 1_000_300, "T", "A"))
    topic.take(*WANTED)
    rows = topic.rows()
    assert [row["price"] for row in rows] == [100.01, 100.02, 100.03]
    assert [row["tape"] for row in rows] == ["A", "C", "A"]
    assert [[row[name] for name in WORDS] for row in rows] == [
        [True, True, True, False],
        [True, True, False, False],  # bunched, as no tape is taken for UTP's
        [False, True, False, True],
    ]


def test_a_row_that_cannot_be_brought_there_is_a_dead_letter_and_the_others_stay(tmp_path: Path) -> None:
    topic = TradeTopic(tmp_path)
    topic.publish((1, 10_000, None, None), (2, 2**53 + 1, None, None), (3, 20_000, None, None))
    topic.take(*WANTED)
    assert [row["price"] for row in topic.rows()] == [1.0, 2.0]
    (dead,) = topic.rows("trade_dead")
    assert "column 'price' times 1/10000" in dead["reason"]


def test_a_table_has_rows_of_one_form(tmp_path: Path) -> None:
    topic = TradeTopic(tmp_path)
    topic.publish((1, 10_000, None, None))
    topic.take(*WANTED)
    for other in [(), (["trade.price=1/100"], *WANTED[1:])]:
        with pytest.raises(
            HistoryError, match="has rows with factor price=1/10000, default tape=C, conditions"
        ):
            topic.take(*other)
    with pytest.raises(HistoryError, match="only captured rows can be asked"):
        Tail(
            bus=topic.bus,
            topic="trades",
            partitions=[0],
            decoder=topic.decoder,
            store=topic.store,
            stream="trade",
        )


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ((["price=2"], [], {}), "write STREAM.COLUMN="),
        ((["quote.price=2"], [], {}), "stream quote is not captured: trade are"),
        ((["trade.no=2"], [], {}), "trade has no column no"),
        (([], ["trade.symbol=A"], {}), "symbol places rows"),
        (([], [], {"trade": ConditionColumns("no")}), "trade has no column no, which --conditions names"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_a_table_is_made(
    tmp_path: Path, wanted: Any, reason: str
) -> None:
    topic = TradeTopic(tmp_path)
    with pytest.raises(HistoryError, match=reason):
        topic.take(*wanted)
    assert not topic.store.exists()
