"""A Kafka producer: idempotent, atomic with a transactional id, every failure sorted by what to do."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, Final

import confluent_kafka
from confluent_kafka import KafkaException

from topics.block import Headers, TopicPartition
from topics.bus import AbortableError, BusError, Consumer, ExpiredError, Position, UnknownOutcomeError
from topics.kafka.callbacks import weakly
from topics.kafka.consumer import KafkaConsumer
from topics.kafka.deliveries import Deliveries
from topics.kafka.errors import (
    FENCED,
    TIMED_OUT,
    bus_error,
    error_of,
    raise_bus_error,
    refusal_text,
    transaction_error,
)
from topics.kafka.native.library import NativeUnavailableError
from topics.kafka.native.writer import NativeWriter
from topics.kafka.outage import Outage
from topics.kafka.overseer import Overseer
from topics.kafka.places import kafka_positions
from topics.kafka.reader import Reading
from topics.kafka.rebootstrap import Rebootstrap
from topics.kafka.settings import LOGGER, REQUEST_TIMEOUT_S, TRANSACTION_TIMEOUT_MS
from topics.outgoing import Outgoing
from topics.positions import require_committable

_RETRIES_MAX: Final = 5
_PRODUCED_PER_SERVE: Final = 1_024  # how often delivery failures are asked for: a call each would cost more
_WRITTEN_PER_SERVE: Final = 8_192  # ... and where a message costs no Python
# The client's own "as long as the transaction lives" (-1) was seen to wait for minutes on a broker that was
# stopped but not gone.  So it is told how long that is, and something more: then silence means unknown.
_END_MARGIN_S: Final = 5.0
_LEFT_MIN_S: Final = 1.0
_DROP_S: Final = 1.0  # for the client's threads to give up what is on its way

# Sending such a message again fails again: no abort and retry would ever end.
_HOPELESS: Final = frozenset(
    {
        "MSG_SIZE_TOO_LARGE",
        "INVALID_RECORD",
        "TOPIC_AUTHORIZATION_FAILED",
        "TOPIC_EXCEPTION",
    }
)


class KafkaProducer:
    """See `topics.bus.Producer`.  Making one with a transactional id aborts what that id left open."""

    def __init__(
        self,
        settings: Mapping[str, object],
        transactional_id: str | None,
        on_wait: Callable[[str], None],
        reading: Reading = "auto",
    ) -> None:
        self._id = transactional_id
        self._outage = Outage(on_wait)
        self._failure: tuple[Any, str] | None = None
        self._topics: set[str] = set()
        self._unserved = 0
        self._open = False
        self._must_abort = False
        self._outcome_unknown = False
        timeout_ms = int(str(settings.get("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)))
        self._timeout_s = timeout_ms / 1_000
        self._begun_s = 0.0
        self._deliveries: Deliveries | None = None
        own: dict[str, object] = {"error_cb": weakly(self._on_client_error)}
        if transactional_id is None:
            self._deliveries = Deliveries(weakly(self._on_failure))
            own["delivery.report.only.error"] = False
        else:
            own |= {"transactional.id": transactional_id, "on_delivery": weakly(self._on_delivery)}
        self._client = confluent_kafka.Producer({**settings, **own}, logger=LOGGER)
        client_id = str(settings["client.id"])
        self._rebootstrap = Rebootstrap(self._client, settings)
        self._overseer = Overseer(f"{client_id}-positions")
        self._writer: NativeWriter | None = None
        if transactional_id is not None:
            self._writer = _native_writer(self._client, client_id, reading)
            # The client looks for a broker at once, when it has none yet, and then every half second.
            self._rebootstrap.await_broker(REQUEST_TIMEOUT_S)
            try:
                self._client.init_transactions(REQUEST_TIMEOUT_S)
            except KafkaException as raised:
                raise_bus_error(raised, f"taking the transactional id {transactional_id}")

    def begin(self) -> None:
        """Open a transaction."""
        assert self._id is not None, "a producer without a transactional id has no transactions"
        assert not self._open, "a transaction is open already"
        self._require_usable()
        self._failure = None
        try:
            self._client.begin_transaction()
        except KafkaException as raised:
            raise self._named(error_of(raised), "beginning a transaction") from None
        self._open = True
        self._begun_s = monotonic()

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
        """Queue a message; raises BusError where the topic does not take it, or what delivery has come to."""
        assert self._open or self._id is None, "begin a transaction first"
        if topic not in self._topics:
            self._require_topic(topic)
        self._unserved += 1
        if self._unserved >= _PRODUCED_PER_SERVE:
            self._serve(0)
        while True:
            try:
                self._client.produce(
                    topic,
                    value,
                    key,
                    -1 if partition is None else partition,
                    timestamp=timestamp_ms or 0,
                    headers=headers,
                    # Asked for anew each time: it is another function after each mark.
                    **({} if self._deliveries is None else {"on_delivery": self._deliveries.on_delivery}),
                )
                if self._deliveries is not None:
                    self._deliveries.sent()
                return
            except BufferError:
                self._serve(0.1)  # the queue is full: wait for room, or for the news that there will be none
            except KafkaException as raised:
                self._refused(error_of(raised), topic, partition, value)

    def produce_many(self, topic: str, messages: Outgoing) -> None:
        """Queue messages in their order, natively inside a transaction; raises what `produce` raises."""
        if self._writer is None:
            for partition, key, value, timestamp_ms in messages:
                self.produce(topic, partition=partition, key=key, value=value, timestamp_ms=timestamp_ms)
            return
        assert self._open, "begin a transaction first"
        if topic not in self._topics:
            self._require_topic(topic)
        first, count = 0, messages.values.messages
        while first < count:
            first, error = self._writer.write(topic, messages, first, min(first + _WRITTEN_PER_SERVE, count))
            if error is None:
                self._serve(0)
            elif error.name() == "_QUEUE_FULL":
                self._serve(0.1)
            else:
                starts = messages.values.starts
                value = messages.values.data[starts[first] : starts[first + 1]].tobytes()
                self._refused(error, topic, int(messages.partition[first]), value)

    def send_offsets(self, offsets: Mapping[TopicPartition, Position], consumer: Consumer) -> None:
        """Make these positions of the consumer's group part of the open transaction."""
        assert isinstance(consumer, KafkaConsumer), "the consumer belongs to another bus"
        assert self._open, "positions are sent inside a transaction"
        require_committable(offsets)
        if not offsets:
            return
        try:
            self._send(kafka_positions(offsets), consumer.group_metadata())
        except AbortableError:
            self._must_abort = True  # the client may not know, and would commit rows without their positions
            raise

    def commit(self) -> None:
        """Make everything since `begin` visible at once.

        Raises AbortableError, FencedError or UnknownOutcomeError, and BusError for a message that no
        broker will ever take.
        """
        assert self._open, "no transaction is open"
        self._require_usable()
        if self._must_abort:
            raise AbortableError("the transaction failed before: abort it, rewind, begin another")
        self._end(self._client.commit_transaction, "committing")

    def abort(self) -> None:
        """Drop everything since `begin`; raises FencedError or UnknownOutcomeError."""
        assert self._open, "no transaction is open"
        self._require_usable()
        self._end(self._client.abort_transaction, "aborting")

    def flush(self) -> None:
        """Return when everything produced has been acknowledged."""
        assert self._id is None, "a transaction ends with commit or abort"
        while self._hear(self._client.flush, 1):
            self._raise_failure()
        self._raise_failure()
        self._outage.over()

    def mark(self) -> int:
        """Name everything produced so far, for `reached`."""
        assert self._deliveries is not None, "a transaction ends with commit or abort"
        return self._deliveries.mark()

    def reached(self, mark: int) -> bool:
        """Whether everything up to a mark has been acknowledged; raises what delivery has come to."""
        assert self._deliveries is not None, "a transaction ends with commit or abort"
        self._serve(0)
        return self._deliveries.reached(mark)

    def close(self) -> None:
        """Abort what is open, as far as the broker answers; without transactions, deliver what is queued."""
        if self._id is None:
            self._hear(self._client.flush, REQUEST_TIMEOUT_S)
        else:
            if self._open and not self._outcome_unknown:
                try:
                    self._client.abort_transaction(REQUEST_TIMEOUT_S)
                except KafkaException as raised:
                    # Fenced, or the broker is away: then the broker, or the next producer, aborts it.
                    LOGGER.info("closing with a transaction open: %s", error_of(raised).str())
            self._drop()
        self._overseer.close()
        self._rebootstrap.close()
        self._open = False

    def _drop(self) -> None:
        """Drop every message that is still held: a client that hangs would keep them for ever."""
        self._client.purge(blocking=False)
        until_s = monotonic() + _DROP_S
        while len(self._client) and monotonic() < until_s:
            with suppress(BusError):  # fenced, most likely
                self._hear(self._client.poll, _DROP_S / 10)  # a message is let go of with its report

    def _send(self, positions: Sequence[Any], group: object) -> None:
        """Send positions, again while that may help and the transaction may still be open.

        The client means to answer within the transaction's timeout, but where the broker is away at the wrong
        moment it never does (librdkafka 2.12.1): then it is left behind.
        """
        doing = "sending positions to the transaction"
        for attempt in range(_RETRIES_MAX):
            left_s = self._left_s()
            try:
                self._overseer.call(
                    partial(self._client.send_offsets_to_transaction, positions, group, left_s),
                    left_s + _END_MARGIN_S,
                )
                return
            except TimeoutError:
                self._outcome_unknown = True
                raise UnknownOutcomeError(
                    f"{doing}: no answer from the client: make a new producer with the same id, "
                    "then read the committed offsets"
                ) from None
            except KafkaException as raised:
                error = error_of(raised)
                too_late = attempt == _RETRIES_MAX - 1 or self._left_s() <= _LEFT_MIN_S
                if not error.retriable() or too_late:
                    raise self._named(error, doing) from None

    def _end(self, end: Callable[[float], None], doing: str) -> None:
        where = f"{doing} a transaction of {self._id}"
        for _ in range(_RETRIES_MAX):
            try:
                end(self._left_s() + _END_MARGIN_S)
            except KafkaException as raised:
                error = error_of(raised)
                if error.name() not in TIMED_OUT:
                    if error.retriable():
                        continue
                    if doing == "committing":
                        self._raise_hopeless()
                    raise self._named(error, where) from None
                break
            else:
                self._open = False
                self._must_abort = False
                self._failure = None
                self._outage.over()
                return
        self._outcome_unknown = True
        raise UnknownOutcomeError(
            f"{where}: no answer, so nobody knows: make a new producer with the same id, "
            "then read the committed offsets"
        )

    def _left_s(self) -> float:
        """How long the broker lets the transaction live yet, and for one question in any case."""
        return max(self._timeout_s - (monotonic() - self._begun_s), _LEFT_MIN_S)

    def _refused(self, error: Any, topic: str, partition: int | None, value: bytes | None) -> None:
        """Raise for a message the client did not even queue."""
        if error.name() == "MSG_SIZE_TOO_LARGE":
            raise BusError(
                f"a message of {len(value or b'')} bytes is too large for {topic} (message.max.bytes)"
            )
        if error.name() == "_UNKNOWN_PARTITION":
            raise BusError(f"topic {topic} has no partition {partition}")
        self._hear(self._client.poll, 0)
        self._raise_failure()
        raise self._named(error, f"writing to {topic}")

    def _require_usable(self) -> None:
        assert not self._outcome_unknown, "a producer with an unknown outcome must be thrown away"

    def _require_topic(self, topic: str) -> None:
        """Ask once per topic: an absent one would else be found out only when the first message times out."""
        try:
            metadata = self._client.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic]
        except KafkaException as raised:
            raise_bus_error(raised, f"asking for topic {topic}")
        if metadata.error is not None:
            raise BusError(
                f"topic {topic} cannot be written to: {refusal_text(metadata.error)}; create it first"
            )
        self._topics.add(topic)

    def _serve(self, wait_s: float) -> None:
        self._unserved = 0
        self._hear(self._client.poll, wait_s)
        self._raise_failure()

    def _hear(self, serve: Callable[[float], int], wait_s: float) -> int:
        """Let the client call back; a fatal error it raises from here, in place of telling `error_cb`."""
        try:
            return serve(wait_s)
        except KafkaException as raised:
            raise self._named(error_of(raised), "serving the producer") from None

    def _raise_failure(self) -> None:
        """Raise what delivery has come to, once."""
        if self._failure is None:
            return
        self._raise_hopeless()
        (error, where), self._failure = self._failure, None
        raise self._named(error, where)

    def _named(self, error: Any, doing: str) -> BusError:
        """What to raise for an error, inside a transaction or where there is none.

        The broker raises the epoch of a transaction that it ends for its age, so that its producer looks as
        if another had taken its id.  By the age we tell them apart: it is older than the broker allows.
        """
        if self._id is None:
            return bus_error(error, doing)
        if error.name() not in FENCED or not self._open or monotonic() - self._begun_s < self._timeout_s:
            return transaction_error(error, doing)
        self._outcome_unknown = True
        return ExpiredError(
            f"{doing}: the transaction was open for longer than transaction.timeout.ms "
            f"({self._timeout_s:g} s) and the broker has ended it: make a new producer with the same id, "
            "then read the committed offsets"
        )

    def _raise_hopeless(self) -> None:
        if self._failure is not None and self._failure[0].name() in _HOPELESS:
            (error, where), self._failure = self._failure, None
            raise BusError(f"{where}: {refusal_text(error)}: it would fail each time it is sent")

    def _on_delivery(self, error: Any, message: Any) -> None:
        if error is not None:
            self._on_failure(error, message)

    def _on_failure(self, error: Any, message: Any) -> None:
        # An abort purges what is queued, which is not a failure of its own.
        purged = ("_PURGE_QUEUE", "_PURGE_INFLIGHT")
        if error.name() not in purged and self._failure is None:
            self._failure = (error, f"writing to {message.topic()}[{message.partition()}]")

    def _on_client_error(self, error: Any) -> None:
        if not error.fatal():
            self._outage.tell(error)


def _native_writer(client: Any, client_id: str, reading: Reading) -> NativeWriter | None:
    """Return what writes many messages at once, None where that was not asked for or cannot be had."""
    if reading == "plain":
        return None
    try:
        return NativeWriter(client, client_id)
    except NativeUnavailableError as unavailable:
        LOGGER.warning("messages are written one by one: %s", unavailable)
        return None
