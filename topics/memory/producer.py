"""A producer of the embedded bus: writes at once, or inside transactions with Kafka's fencing."""

from collections.abc import Mapping
from itertools import count

from topics.block import Headers, TopicPartition
from topics.bus import AbortableError, BusError, Consumer, Position, UnknownOutcomeError
from topics.memory.consumer import MemoryConsumer
from topics.memory.log import NO_TRANSACTION
from topics.memory.store import CommitFault, MemoryStore, Transaction
from topics.message_size import AROUND_SIZE, TOPIC_SETTING, message_size
from topics.outgoing import Outgoing
from topics.partitioner import partition_of
from topics.positions import require_committable


class MemoryProducer:
    """See `topics.bus.Producer`; a message without a time gets 0, since this bus has no clock."""

    def __init__(self, store: MemoryStore, transactional_id: str | None) -> None:
        self._store = store
        self._id = transactional_id
        self._epoch = -1 if transactional_id is None else store.take_id(transactional_id)
        self._transaction: Transaction | None = None
        self._must_abort = False
        self._outcome_unknown = False
        self._closed = False
        self._keyless = count()

    def begin(self) -> None:
        """Open a transaction."""
        assert self._id is not None, "a producer without a transactional id has no transactions"
        assert self._transaction is None, "a transaction is open already"
        self._require_usable()
        self._store.require_epoch(self._id, self._epoch)
        self._transaction = self._store.transaction(self._id)

    def produce(
        self,
        topic: str,
        *,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Append a message; raises BusError where the topic does not take it."""
        transaction = self._require_writable()
        if partition is None:
            partition = self._choose(topic, key)
        place = TopicPartition(topic, partition)
        log = self._store.log(place)
        self._require_size(topic, key, value, headers)
        number = NO_TRANSACTION
        if transaction is not None:
            transaction.logs[place] = log
            number = transaction.number
        log.append(key=key, value=value, headers=headers, timestamp_ms=timestamp_ms or 0, transaction=number)

    def produce_many(self, topic: str, messages: Outgoing) -> None:
        """Append messages in their order."""
        for partition, key, value, timestamp_ms in messages:
            self.produce(topic, partition=partition, key=key, value=value, timestamp_ms=timestamp_ms)

    def send_offsets(self, offsets: Mapping[TopicPartition, Position], consumer: Consumer) -> None:
        """Make these positions part of the open transaction."""
        assert isinstance(consumer, MemoryConsumer), "the consumer belongs to another bus"
        transaction = self._require_writable()
        assert transaction is not None, "positions are sent inside a transaction"
        assert self._id is not None
        require_committable(offsets)
        if not offsets:
            return
        try:
            group = consumer.group_to_commit()
        except AbortableError:
            self._must_abort = True
            raise
        self._store.hold_offsets(self._id, group, offsets)

    def commit(self) -> None:
        """Make everything since `begin` visible at once."""
        assert self._require_writable() is not None, "no transaction is open"
        assert self._id is not None
        fault = self._store.commit_faults.popleft() if self._store.commit_faults else None
        if fault is CommitFault.REFUSED:
            self._must_abort = True
            raise AbortableError("the commit was refused (an injected fault): abort, rewind, begin another")
        if fault is not CommitFault.LOST:
            self._store.end_transaction(self._id, committed=True)
        self._transaction = None
        if fault is not None:
            self._outcome_unknown = True
            raise UnknownOutcomeError(
                "the commit's answer was lost (an injected fault): make a new producer with the same id, "
                "then read the committed offsets"
            )

    def abort(self) -> None:
        """Drop everything since `begin`."""
        assert self._transaction is not None, "no transaction is open"
        assert self._id is not None
        self._require_usable()
        self._store.require_epoch(self._id, self._epoch)
        self._store.end_transaction(self._id, committed=False)
        self._transaction = None
        self._must_abort = False

    def flush(self) -> None:
        """Nothing waits here: `produce` has written it."""
        assert self._id is None, "a transaction ends with commit or abort"
        self._require_usable()

    def mark(self) -> int:
        """Name everything produced so far."""
        self.flush()
        return 0

    def reached(self, mark: int) -> bool:
        """Nothing waits here."""
        assert mark == 0
        self.flush()
        return True

    def close(self) -> None:
        """Abort what is open, and take no more."""
        if self._transaction is not None and self._is_current():
            self.abort()
        self._closed = True

    def _require_usable(self) -> None:
        assert not self._closed, "the producer is closed"
        assert not self._outcome_unknown, "a producer with an unknown outcome must be thrown away"

    def _require_writable(self) -> Transaction | None:
        self._require_usable()
        if self._id is None:
            return None
        assert self._transaction is not None, "begin a transaction first"
        self._store.require_epoch(self._id, self._epoch)
        if self._must_abort:
            raise AbortableError("the transaction failed before: abort it, rewind, begin another")
        return self._transaction

    def _is_current(self) -> bool:
        return self._id is not None and self._store.is_current(self._id, self._epoch)

    def _choose(self, topic: str, key: bytes | None) -> int:
        if topic not in self._store.topics:
            raise BusError(f"topic {topic} does not exist: create it first")
        partitions = self._store.topics[topic].partitions
        return next(self._keyless) % partitions if key is None else partition_of(key, partitions)

    def _require_size(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None
    ) -> None:
        size_max = self._store.message_size_max[topic]
        if not headers and len(key or b"") + len(value or b"") + AROUND_SIZE <= size_max:
            return
        size = message_size(key, value, headers)
        if size > size_max:
            raise BusError(
                f"a message of {size} bytes is too large for {topic}, which takes {size_max} "
                f"({TOPIC_SETTING})"
            )
