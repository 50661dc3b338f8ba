"""A commit without room for the late rows: the next life reads them back from the late topic."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from app.audit.topics import audit
from app.config import Settings
from app.task import metadata as progress_metadata
from app.wiring.pipeline import Pipeline
from app.worker.assembly import open_worker
from app.worker.worker import Worker
from tests.simulation.scene import QUOTE, TRADE, pipeline_of
from topics.avro.encode import RowEncoder
from topics.avro.progress import encode_progress
from topics.memory.bus import MemoryBus
from topics.memory.consumer import MemoryConsumer
from topics.wire import Progress


class Market:
    """One partition into which rows and progress records are put by hand."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._producer = pipeline.bus.producer(transactional_id="market")

    def publish(self, stream: str, rows: Iterable[tuple[int, str]]) -> None:
        """Rows as (event_ns, symbol); everything else in them is null."""
        shape = TRADE if stream == "trade" else QUOTE
        dicts = [{"event_ns": event_ns, "symbol": symbol} for event_ns, symbol in rows]
        topic = self._pipeline.settings.topic(stream)
        encoded = RowEncoder(shape, self._pipeline.registry, topic).records(
            pa.RecordBatch.from_pylist(dicts, schema=shape.schema)
        )
        data = encoded.data.tobytes()
        self._producer.begin()
        for i, row in enumerate(dicts):
            value = data[encoded.starts[i] : encoded.starts[i + 1]]
            self._producer.produce(topic, partition=0, key=str(row["symbol"]).encode(), value=value)
        self._producer.commit()

    def complete(self, upper_ns: int, *, final: bool = False) -> None:
        """Say that both inputs are complete below `upper_ns`."""
        self._producer.begin()
        for stream in ("trade", "quote"):
            value = encode_progress(self._pipeline.registry, Progress(stream, upper_ns, final, "market"))
            self._producer.produce(self._pipeline.settings.topic(stream), partition=0, key=None, value=value)
        self._producer.commit()


def simple(folder: Path) -> Settings:
    """A pipeline of one partition without tolerance or grace."""
    return Settings.model_validate(
        {
            "pipeline": {"grace_ns": 0},
            "bus": {"partitions": 1, "schema_registry": str(folder / "schemas")},
            "worker": {"state": str(folder / "state")},
        }
    )


def worked(pipeline: Pipeline) -> Worker:
    """A new worker that has read and committed everything."""
    worker = open_worker(pipeline, until_final=True)
    while worker.turn() or not worker.tasks:
        pass
    worker.commit()
    return worker


def died(pipeline: Pipeline, worker: Worker) -> None:
    """The worker is gone and its disk with it."""
    assert isinstance(pipeline.bus, MemoryBus)
    assert isinstance(worker.consumer, MemoryConsumer)
    pipeline.bus.evict(worker.consumer)
    for task in worker.tasks.values():
        task.close()
    shutil.rmtree(pipeline.settings.worker.state)


@pytest.mark.parametrize("size_max", [0, 4_000])
def test_late_rows_stay_out_whether_or_not_the_commit_has_room_for_them(
    size_max: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_metadata, "METADATA_SIZE_MAX", size_max)
    pipeline = pipeline_of(simple(tmp_path))
    market = Market(pipeline)
    market.publish("quote", [(9, "Z")])
    market.complete(10)
    first = worked(pipeline)
    market.publish("quote", [(6, "A"), (7, "A"), (8, "Z")])
    while first.turn():
        pass
    first.commit()
    died(pipeline, first)
    market.publish("trade", [(12, "A"), (12, "Z")])
    market.complete(20, final=True)
    second = worked(pipeline)
    assert second.finished()
    second.close()
    report = audit(pipeline)
    assert report.rows_late["quote"] == 3
    assert report.rows_aligned == 2
    assert not report.violations
