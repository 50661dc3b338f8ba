"""A day through the embedded pipeline: as it was, and in another order of arrival, on so many partitions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from app.config import Settings
from app.day.embedded import run_embedded, run_published
from app.day.request import BLOCK_SPAN_NS, ReplayRequest, run_settings
from app.graph.trial import tiles_end_ns
from app.process.logs import logged_to_file
from app.reading.aligned import read_output
from app.reading.models import send_folder
from app.reading.partition import read_partition
from app.wiring.open import pipeline_on
from app.wiring.pipeline import Pipeline, topic_specs
from operators.graph.stream_root import StreamRoot
from operators.inputs.intake import Accepted
from operators.rows.groups import Groups
from replay.order import as_array, clock_times
from replay.publish.messages import Composer
from replay.publish.publication import BLOCK_ROWS_MAX, STEP_ROWS_MAX, end_ns
from replay.store.day import Day
from schemas.clocks import NS_PER_S, Clock, clock_column
from topics.avro.encode import RowEncoder
from topics.avro.progress import encode_progress, register_progress
from topics.avro.schema import avro_schema
from topics.block import TopicPartition
from topics.catalogue import apply, plan
from topics.memory.bus import MemoryBus
from topics.registry.open import open_registry
from topics.wire import Progress

SHUFFLE_NS: Final = 5 * NS_PER_S  # how far arrival is moved, which the grace covers
PREFIX: Final = "graph-check"


class Joined(NamedTuple):
    """A run: its pipeline, and the rows of each output, partition after partition.

    `end_ns` is how far all is complete at its end.
    """

    pipeline: Pipeline
    rows: Mapping[str, pa.Table]
    end_ns: int = 0


def join_days(settings: Settings, days: Sequence[Day], folder: Path) -> Joined:
    """Publish and join the days on one partition, as a replay does; every node has an output.

    `folder` is new.  Grace covers the disorder of the days, so that no row is late; an idle input is waited
    for.
    """
    pipeline = _open(settings, days, folder, partitions=1)
    with logged_to_file(folder / "worker.log"):
        run_embedded(ReplayRequest(date=days[0].date, out=folder), pipeline, days)
    return Joined(pipeline, _rows_of(pipeline), _end_ns(days, pipeline.settings.pipeline.clock))


def join_shuffled(
    settings: Settings, days: Sequence[Day], folder: Path, partitions: int, draws: np.random.Generator
) -> Joined:
    """The same with each row arriving up to `SHUFFLE_NS` of market time after its own time.

    Rows of one time keep their order, which decides between them.
    """
    pipeline = _open(settings, days, folder, partitions)
    register_progress(pipeline.registry)
    for day in days:
        _publish_shuffled(pipeline, day, draws)
    upper_ns = _end_ns(days, settings.pipeline.clock)
    if _calls(pipeline):
        upper_ns = tiles_end_ns(upper_ns)
    producer = pipeline.bus.producer()
    for day in days:
        progress = Progress(day.stream.name, upper_ns, True, PREFIX)
        value = encode_progress(pipeline.registry, progress)
        for partition in range(partitions):
            topic = pipeline.settings.topic(day.stream.name)
            producer.produce(topic, partition=partition, key=None, value=value)
    producer.close()
    with logged_to_file(folder / "worker.log"):
        run_published(pipeline)
    return Joined(pipeline, _rows_of(pipeline), upper_ns)


def rows_in_order(pipeline: Pipeline, stream: str) -> pa.RecordBatch:
    """The rows of a stream of a run on one partition, all of which were accepted, as nodes take them."""
    root = StreamRoot(pipeline.streams[stream], pipeline.settings.pipeline.clock, Groups(), keeps_back=False)
    decoder = pipeline.decoder(stream)
    source = TopicPartition(pipeline.settings.topic(stream), 0)
    for block in read_partition(pipeline.bus, source, group=f"{PREFIX}-reader"):
        decoded = decoder.decode(block, np.arange(block.messages, dtype=np.int64))
        if decoded.batch is not None:
            root.take(stream, Accepted(decoded.batch))
    rows = root.seal(root.end_ns).rows
    return pa.RecordBatch.from_pylist([], root.layout) if rows is None else rows


def _end_ns(days: Sequence[Day], clock: Clock) -> int:
    """What the final record of a publication of these days says."""
    clocks = [day.summary.clocks.get(clock_column(clock)) for day in days]
    return max([end_ns(days), *(one.last_ns + 1 for one in clocks if one is not None)])


def _publish_shuffled(pipeline: Pipeline, day: Day, draws: np.random.Generator) -> None:
    """Publish a day in blocks.

    Rows without a time or a key are left out, as a publication leaves them out.
    """
    settings, stream = pipeline.settings, day.stream
    topic = settings.topic(stream.name)
    encoder = RowEncoder(stream, pipeline.registry, topic)
    encoder.register(blocks=True)
    composer = Composer(
        encoder=encoder,
        key=stream.key,
        partitions=settings.bus.partitions,
        shape="block",
        block_rows_max=BLOCK_ROWS_MAX,
        grace_ns=settings.pipeline.grace_ns,
        disorder_ns=SHUFFLE_NS,
        topic=topic,
        limit=pipeline.bus.message_limits([topic])[topic],
    )
    column = clock_column(settings.pipeline.clock)
    rows = pa.Table.from_batches(day.batches(), stream.schema)
    _, usable = clock_times(rows, column)
    for name in stream.key:
        usable = usable & as_array(rows.column(name).is_valid()).astype(np.bool_)
    rows = rows.filter(pa.array(usable))
    times_ns, _ = clock_times(rows, column)
    unique, places = np.unique(times_ns, return_inverse=True)
    arrival_ns = times_ns + draws.integers(0, SHUFFLE_NS, unique.size)[places]
    order = np.argsort(arrival_ns, kind="stable")
    producer = pipeline.bus.producer()
    for lower in range(0, order.size, STEP_ROWS_MAX):
        taken = order[lower : lower + STEP_ROWS_MAX]
        batch = rows.take(pa.array(taken)).combine_chunks().to_batches()[0]
        if (messages := composer.compose(batch, times_ns[taken])) is not None:
            producer.produce_many(topic, messages)
    producer.close()


def _calls(pipeline: Pipeline) -> bool:
    """Whether a node of the graph has a function, whose last tile is to end."""
    return pipeline.graph is not None and any(node.tiles is not None for node in pipeline.graph.nodes)


def _open(settings: Settings, days: Sequence[Day], folder: Path, partitions: int) -> Pipeline:
    folder.mkdir()
    bus = MemoryBus()
    run = Settings.model_validate(_config(settings, days, folder, partitions, bus.name))
    apply(bus.admin(), plan(bus.admin(), topic_specs(run)))
    send_folder(bus, run)
    registry = open_registry(run.bus.schema_registry)
    for day in days:
        registry.register(f"{run.topic(day.stream.name)}-value", avro_schema(day.stream))
    return pipeline_on(run.read_from(settings.file), bus)


def _rows_of(pipeline: Pipeline) -> dict[str, pa.Table]:
    partitions = range(pipeline.settings.bus.partitions)
    return {
        name: pa.Table.from_batches(
            (batch for n in partitions for batch in read_output(pipeline, name, n)), sink.schema
        )
        for name, sink in pipeline.sinks(0).items()
    }


def _config(
    settings: Settings, days: Sequence[Day], folder: Path, partitions: int, bootstrap: str
) -> dict[str, Any]:
    disorder_ns = max(day.disorder_ns(settings.pipeline.clock) for day in days)
    config = run_settings(
        settings,
        days,
        prefix=PREFIX,
        bootstrap=bootstrap,
        folder=folder,
        grace_ns=max(disorder_ns, SHUFFLE_NS) + BLOCK_SPAN_NS,
    )
    for key in ("max_ahead_ns", "idle_after_ms"):
        config["pipeline"].pop(key, None)
    for stream in config["streams"].values():
        for key in ("grace_ns", "idle_after_ms"):
            stream.pop(key, None)
    config["bus"]["partitions"] = partitions
    config["worker"]["format"] = "frame"
    for name in settings.graph.nodes:
        config["graph"][name]["out"] = {}
    return config
