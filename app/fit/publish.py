"""Records of models sent to a pipeline that runs, and taken back: never for a moment sealed already."""

from collections.abc import Sequence

from app.errors import RunError, UsageError
from app.fit.run import moment_words
from app.reading.models import by_key, send_records, topic_records
from app.wiring.logs import read_positions
from app.wiring.model_store import ModelRecord, ModelStore
from app.wiring.pipeline import Pipeline
from schemas.clocks import NS_PER_S
from schemas.durations import duration_text
from topics.block import TopicPartition

LEAD_NS = 10 * NS_PER_S  # of event time: many looks of a worker that has caught up


def publish(
    pipeline: Pipeline, records: Sequence[ModelRecord], lead_ns: int | None = LEAD_NS
) -> list[ModelRecord]:
    """Send records that the topic does not have yet; returns them.

    Raises UsageError, before any is sent, where a moment is not later than the frontier of every task and
    the lead, has another artefact already, or an artefact is not in the folder.  A task that got there while
    they were sent has its record taken back, and RunError is raised.  Where `lead_ns` is None moments may
    have been passed, as those of a topic that was lost: a worker that used other models stops.
    """
    known = {one.key: one for one in topic_records(pipeline.bus, pipeline.settings)}
    store = ModelStore.of(pipeline.settings)
    new = [one for one in records if known.get(one.key) != one]
    frontier_ns = newest_frontier_ns(pipeline)
    for record in new:
        before = known.get(record.key)
        moment = f"{record.model} from {record.valid_from_ns} ({moment_words(record.valid_from_ns)})"
        meaning = pipeline.models[record.model].meaning
        if record.meaning != meaning:
            raise UsageError(
                f"{moment}: it was fitted as {record.meaning}, and {record.model} means {meaning} on this "
                "broker: its columns, its label or its source differ"
            )
        if before is not None and before.sha256 != record.sha256:
            raise UsageError(
                f"{moment}: the topic has artefact {before.sha256[:12]} for that moment, not "
                f"{record.sha256[:12]}: choose another moment with --valid-from"
            )
        if lead_ns is not None and frontier_ns is not None and record.valid_from_ns <= frontier_ns + lead_ns:
            raise UsageError(
                f"{moment}: the frontier of a task is at {frontier_ns} ({moment_words(frontier_ns)}), and a "
                f"model is published {duration_text(lead_ns)} before it is used at least, so that every task "
                "has it by then: choose a later moment with --valid-from"
            )
        if not store.path(record.sha256).is_file():
            raise UsageError(f"{moment}: there is no file {store.path(record.sha256)}")
    send_records(pipeline.bus, pipeline.settings, by_key(new))
    frontier_ns = newest_frontier_ns(pipeline)
    late = [one for one in new if frontier_ns is not None and one.valid_from_ns <= frontier_ns]
    if late and lead_ns is not None:
        send_records(pipeline.bus, pipeline.settings, {one.key: None for one in late})
        raise RunError(
            f"{late[0].model}: while its record was sent a task came to {frontier_ns}, beyond "
            f"{late[0].valid_from_ns}: it was taken back; choose a later moment with --valid-from"
        )
    return new


def own_records(pipeline: Pipeline, node: str | None = None) -> list[ModelRecord]:
    """The records of the folder that mean what the pipeline's models mean, of one node or of all."""
    records = ModelStore.of(pipeline.settings).records()
    meanings = {name: own.meaning for name, own in pipeline.models.items()}
    return [one for one in records if node in (None, one.model) and meanings.get(one.model) == one.meaning]


def take_back(pipeline: Pipeline, model: str, valid_from_ns: int) -> ModelRecord:
    """Take the record of a moment out of the topic; returns it.  Raises UsageError where there is none."""
    meaning = pipeline.models[model].meaning
    for record in topic_records(pipeline.bus, pipeline.settings):
        if record[:3] == (model, meaning, valid_from_ns):
            send_records(pipeline.bus, pipeline.settings, {record.key: None})
            return record
    raise UsageError(f"the topic has no record of {model} from {valid_from_ns}")


def newest_frontier_ns(pipeline: Pipeline) -> int | None:
    """How far the task that is furthest has committed; None before any commit."""
    settings = pipeline.settings
    positions = pipeline.bus.admin().group(settings.pipeline.prefix).committed
    partitions = range(settings.bus.partitions)
    sources = [TopicPartition(topic, n) for n in partitions for topic in pipeline.input_topics]
    committed = read_positions(sources, positions).values()
    return max((one.frontier_ns for one in committed if one is not None), default=None)
