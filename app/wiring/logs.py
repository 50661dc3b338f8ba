"""Whether committed offsets count in the logs that are there now, or in others of the same name."""

from collections.abc import Iterable, Mapping

from app.config import Settings
from app.errors import RunError
from app.task.metadata import Committed, from_position
from app.wiring.topics import anew
from topics.block import TopicPartition
from topics.bus import LogId, Position
from topics.catalogue import LAST_KNOWN


def read_positions(
    sources: Iterable[TopicPartition], positions: Mapping[TopicPartition, Position | None]
) -> dict[TopicPartition, Committed | None]:
    """The committed positions of inputs read back, None where there is none.

    Raises RunError where something else committed one.
    """
    committed: dict[TopicPartition, Committed | None] = {}
    for source in sources:
        position = positions.get(source)
        committed[source] = None if position is None else from_position(position, _words(source))
    return committed


def require_same_logs(
    committed: Mapping[TopicPartition, Committed | None], logs: Mapping[str, LogId], settings: Settings
) -> None:
    """Raise RunError where offsets of the inputs of one task count in logs that are not those of now.

    Last rows of a topic that was created anew are gone, which is refused too.

    `committed` has None for an input without an offset: a broker drops the offsets of a topic that is
    deleted.  `logs` are by topic.  What has no id, of an earlier version or broker, is taken to be the same.
    """
    way_out, last_known = anew(settings), settings.topic(LAST_KNOWN)
    for source, one in committed.items():
        if one is None or one.log is None:
            continue
        where, now = _words(source), logs[source.topic]
        offset = one.progress.next_offset
        if _differ(one.log.cluster, now.cluster):
            raise RunError(
                f"{where}: offset {offset} was committed on the cluster {one.log.cluster}, and this is "
                f"{now.cluster}: correct bus.bootstrap, or {way_out}"
            )
        if _differ(one.log.topic, now.topic):
            raise RunError(
                f"{where}: offset {offset} was committed before the topic was deleted and created anew (its "
                f"id was {one.log.topic} and is {now.topic}), and means another row now: {way_out}"
            )
        if last_known in logs and _differ(one.log.last_known, logs[last_known].topic):
            raise RunError(
                f"{last_known}[{source.partition}]: the topic was deleted and created anew since offset "
                f"{offset} of {where} was committed; last rows of quiet groups were nowhere else: {way_out}"
            )
    absent = [source for source, one in committed.items() if one is None]
    if absent and len(absent) < len(committed):
        there = next(source for source, one in committed.items() if one is not None)
        raise RunError(
            f"{_words(absent[0])}: no offset is committed, but {_words(there)} has one: the topic was "
            "deleted and created anew, or its stream is new in this pipeline, and rows of the others are "
            f"sealed: {way_out}"
        )


def _words(source: TopicPartition) -> str:
    return f"{source.topic}[{source.partition}]"


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other
