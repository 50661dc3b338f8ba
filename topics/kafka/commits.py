"""Commits of a group's positions outside any transaction, tried again while no broker answers."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from time import sleep
from typing import Any, Final

from confluent_kafka import KafkaException

from topics.block import TopicPartition
from topics.bus import AbortableError, FencedError, Position
from topics.kafka.errors import AWAY, MOVED_ON, bus_error, error_of
from topics.kafka.outage import Outage
from topics.kafka.places import kafka_positions

ATTEMPTS_MAX: Final = 5  # each waits for as long as the client does
AGAIN_S: Final = 0.2

_DOING: Final = "committing the group's positions"


def commit_positions(client: Any, offsets: Mapping[TopicPartition, Position], outage: Outage) -> None:
    """Commit positions as this member; returns once they count.

    Raises AbortableError where the group has moved on without this member, or where no attempt was answered
    (whether one counts is then to be read back), and FencedError where another client took its place.
    """
    positions = kafka_positions(offsets)
    error = None
    for _ in range(ATTEMPTS_MAX if positions else 0):
        error = _attempt(client, positions)
        if error is None:
            outage.over()
            return
        if error.name() in MOVED_ON:
            break
        if error.name() == "_FATAL":  # to a consumer nothing else is final
            raise FencedError(f"{_DOING}: another client took the place of this one: {error.str()}")
        if error.name() not in AWAY:
            raise bus_error(error, _DOING)
        outage.tell(error)
        sleep(AGAIN_S)
    if error is not None:
        raise AbortableError(f"{_DOING}: read them back and go on from there: {error.str()}")


class LaterCommits:
    """Commits whose answer a thread waits for, one at a time.

    The client's own commit without waiting would let an old commit that it tries again overtake a newer one.
    """

    def __init__(self, client: Any, outage: Outage) -> None:
        self._client = client
        self._outage = outage
        self._thread: ThreadPoolExecutor | None = None
        self._begun: Future[None] | None = None

    def begin(self, offsets: Mapping[TopicPartition, Position]) -> None:
        """Begin to commit positions."""
        assert self._begun is None, "one commit at a time"
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "tidemark-commit")
        self._begun = self._thread.submit(commit_positions, self._client, offsets, self._outage)

    def under_way(self, *, wait: bool) -> bool:
        """Whether there is no answer yet; raises, once, what `commit_positions` raised."""
        if self._begun is None or not (wait or self._begun.done()):
            return self._begun is not None
        begun, self._begun = self._begun, None
        begun.result()
        return False

    def close(self) -> None:
        """Wait for the answer: no call of another thread may meet a client that is gone."""
        if self._thread is not None:
            self._thread.shutdown()


def _attempt(client: Any, positions: list[Any]) -> Any:
    """Return the first error, None where all positions count."""
    try:
        answers = client.commit(offsets=positions, asynchronous=False)
    except KafkaException as raised:
        return error_of(raised)
    return next((answer.error for answer in answers if answer.error is not None), None)
