"""What a Kafka client's error means for us: wait, abort and go on, stop, or find out what happened."""

import ctypes
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from confluent_kafka import KafkaException

from topics.block import TopicPartition
from topics.bus import AbortableError, BusError, BusUnavailableError, FencedError, OffsetRangeError
from topics.kafka.native.event import Event

FENCED: Final = frozenset(
    {
        "_FENCED",
        "PRODUCER_FENCED",
        "INVALID_PRODUCER_EPOCH",
        "FENCED_INSTANCE_ID",
        "UNRELEASED_INSTANCE_ID",  # the consumer protocol turns away the newcomer instead
    }
)
TIMED_OUT: Final = frozenset({"_TIMED_OUT", "_TIMED_OUT_QUEUE", "REQUEST_TIMED_OUT"})
MESSAGE_TIMED_OUT: Final = "_MSG_TIMED_OUT"
AWAY: Final = TIMED_OUT | {
    "_TRANSPORT",
    "_RESOLVE",
    "_ALL_BROKERS_DOWN",
    MESSAGE_TIMED_OUT,
    "_WAIT_COORD",
    "_NODE_UPDATE",  # these two: the client changed its handle of a broker while it waited for an answer
    "_DESTROY_BROKER",
    "BROKER_NOT_AVAILABLE",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "FENCED_LEADER_EPOCH",
    "KAFKA_STORAGE_ERROR",
    "LEADER_NOT_AVAILABLE",
    "NETWORK_EXCEPTION",
    "NOT_COORDINATOR",
    "NOT_LEADER_FOR_PARTITION",
    "OFFSET_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
    "UNKNOWN_LEADER_EPOCH",
}
# The group counts this member no longer, or not in this generation: what it owned may be another's.
MOVED_ON: Final = frozenset(
    {
        "ILLEGAL_GENERATION",
        "UNKNOWN_MEMBER_ID",
        "REBALANCE_IN_PROGRESS",
        "STALE_MEMBER_EPOCH",
        "FENCED_MEMBER_EPOCH",
    }
)
# No attempt will ever pass: the user the client is known as lacks a right.
DENIED: Final[Mapping[str, str]] = {
    "TOPIC_AUTHORIZATION_FAILED": "on the topic",
    "GROUP_AUTHORIZATION_FAILED": "on the group",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "on the transactional id",
    "CLUSTER_AUTHORIZATION_FAILED": "on the cluster",
}
# The broker does not know us, or we not the broker.
REFUSED: Final[Mapping[str, str]] = {
    "_AUTHENTICATION": "correct the user name, the password or the mechanism (sasl_*)",
    "_SSL": "correct who may have signed the broker's certificate (ssl_ca), or our own certificate and key",
}
OUT_OF_RANGE: Final = frozenset({"OFFSET_OUT_OF_RANGE", "_AUTO_OFFSET_RESET", "_NO_OFFSET"})

_IS_EXCEPTION: Final = 1 << 30  # Py_TPFLAGS_BASE_EXC_SUBCLASS
_set_context: Final = ctypes.pythonapi.PyException_SetContext
_set_context.argtypes, _set_context.restype = (ctypes.py_object, ctypes.c_void_p), None


def error_of(raised: KafkaException) -> Any:
    """Return the client's error object (it has no types), without what it would keep for ever.

    It passes itself off as an exception (confluent-kafka 2.12.2), so that CPython hangs on it what is being
    handled as it is raised; but it never lets go of that, nor so of all frames, blocks and clients in there.
    """
    error = raised.args[0]
    if type(error).__flags__ & _IS_EXCEPTION:
        _set_context(error, None)
    return error


def refusal_text(error: Any) -> str:
    """Return the broker's words in one line, with what to do about a right that is missing."""
    words = " ".join(error.str().split())
    if error.name() not in DENIED:
        return words
    where = DENIED[error.name()]
    return f"{words}: this user lacks a right {where}; docker/kafka/acls.sh has what each role needs"


def bus_error(error: Any, doing: str) -> BusError:
    """Return the exception for an error outside a transaction; `doing` says what was tried, and where."""
    if error.name() in FENCED:
        return FencedError(f"{doing}: another client took over: {error.str()}")
    if error.name() in AWAY:
        return BusUnavailableError(f"{doing}: the broker does not answer: {error.str()}")
    if error.name() in DENIED:
        return BusError(f"{doing}: {refusal_text(error)}")
    return BusError(f"{doing}: {error.str()} ({error.name()})")


def transaction_error(error: Any, doing: str) -> BusError:
    """Return what to raise for an error inside a transaction whose outcome is not in doubt."""
    if error.name() in FENCED:
        return FencedError(f"{doing}: another producer took the transactional id: {error.str()}")
    if error.name() in DENIED:  # although the client would have us abort and try again
        return bus_error(error, doing)
    # What is told of a message, unlike what a call raises, does not say that it may be sent again.
    passing = error.retriable() or error.name() == MESSAGE_TIMED_OUT
    if error.txn_requires_abort() or (passing and not error.fatal()):
        return AbortableError(f"{doing}: abort, rewind the inputs, begin another: {error.str()}")
    return bus_error(error, doing)


def raise_bus_error(raised: KafkaException, doing: str) -> NoReturn:
    """Raise a client's exception as ours."""
    raise bus_error(error_of(raised), doing) from None


def raise_event_error(
    event: Event, group: object, offsets: Callable[[TopicPartition], tuple[int, int]]
) -> NoReturn:
    """Raise what an event means to a reader of `group`; `offsets` are those of a partition's log."""
    error, topic = event.error, event.topic
    where = f"reading {topic}" if event.partition < 0 else f"reading {topic}[{event.partition}]"
    if not topic or error.name() == "GROUP_AUTHORIZATION_FAILED":
        where = f"reading as group {group}"
    if event.fenced:
        raise FencedError(
            f"{where}: another client took over, as a second worker of one --slot does: {error.str()}"
        )
    if error.name() in OUT_OF_RANGE:
        low, high = offsets(event.place)
        raise OffsetRangeError(
            f"offset {event.offset} of {topic}[{event.partition}] is not in the log, "
            f"which has {low} (low) to {high} (high): {error.str()}"
        )
    if error.name() in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"):
        absent = f"topic {topic} does not exist" if topic else error.str()
        raise BusError(f"{where}: {absent}: create it first")
    raise bus_error(error, where)
