"""What our Kafka clients are set to, and why; the rest is the user's, but for what correctness stands on."""

import logging
from collections.abc import Mapping
from typing import Final, Literal

from topics.bus import BusError

LOGGER: Final = logging.getLogger("topics.kafka")
LOGGER.addHandler(logging.NullHandler())

GroupProtocol = Literal["classic", "consumer"]

REQUEST_TIMEOUT_S: Final = 15.0  # how long one question to a broker may take before it counts as away
# What one message may have at most; less than the queue holds, which would wait for room for ever.  A topic's
# own limit is the one that counts (`topics.message_size`).
MESSAGE_SIZE_MAX: Final = 64 << 20

# With another value the guarantees are gone, so another value is an error and not a preference.
FIXED: Final = frozenset(
    {
        "allow.auto.create.topics",
        "auto.offset.reset",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "group.id",
        "group.protocol",
        "group.remote.assignor",
        "isolation.level",
        "partition.assignment.strategy",
        "partitioner",
        "transactional.id",
    }
)

COMMON: Final[Mapping[str, object]] = {
    "topic.metadata.refresh.interval.ms": 10_000,  # a partition that the client lost sight of is found again
    "socket.keepalive.enable": True,
    "socket.nagle.disable": True,  # a small request behind another one waits for no acknowledgement
    "reconnect.backoff.max.ms": 2_000,  # a broker that is back is found within two seconds
    "enable.metrics.push": False,  # a broker may ask for figures of its clients (KIP-714); ours are our own
}

CONSUMER: Final[Mapping[str, object]] = {
    "enable.auto.commit": False,  # positions are committed with the rows they made, in one transaction
    "enable.auto.offset.store": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",  # a start that is not in the log is an incident, never a silent jump
    "check.crcs": True,  # off by default: a flipped bit on disk would be data
    "enable.partition.eof": True,  # the only evidence that a partition has nothing more
    "partition.assignment.strategy": "range",  # puts partition p of every input on one member
    "allow.auto.create.topics": False,
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 1_000,  # how late a member may learn of a rebalance
    "fetch.wait.max.ms": 100,
    "max.partition.fetch.bytes": 4 << 20,
    "fetch.max.bytes": 48 << 20,
    "receive.message.max.bytes": 100_000_000,  # of an answer, and of what a compressed batch unpacks to
    "queued.max.messages.kbytes": 64 << 10,  # what is read ahead, over all partitions
    "queued.min.messages": 100_000,  # ... and stops above: that many are 50 ms of work
    # How long a fetch waits once either is exceeded.  At the default, 1 s, a worker stands idle most of it.
    "fetch.queue.backoff.ms": 10,
}

# The answer to a fetch at the end of a log tells of the end: who reads no further need not have it held back.
TO_END: Final[Mapping[str, object]] = {"fetch.wait.max.ms": 10}

PRODUCER: Final[Mapping[str, object]] = {
    "enable.idempotence": True,
    "partitioner": "murmur2_random",  # the Java client's; librdkafka's own would scatter keys differently
    "linger.ms": 5,
    "message.max.bytes": MESSAGE_SIZE_MAX,
    "batch.size": 1 << 20,
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 128 << 10,
    "delivery.report.only.error": True,  # no Python call per delivered message, where a commit tells of all
}

# Without a transaction a row is sent as soon as it is produced; what comes meanwhile goes with the next.
# A broker that takes none for two minutes ends the worker, before the group would throw it out for waiting.
AT_ONCE: Final[Mapping[str, object]] = {"linger.ms": 0, "message.timeout.ms": 120_000}

_SECRET_ENDS: Final = ("password", "passphrase", "secret", "key.pem", "oauthbearer.config", "user.info")

# What the consumer protocol (KIP-848) leaves to the broker: the client refuses to be told.
CLASSIC_ONLY: Final = frozenset(
    {"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"}
)

# A transaction left open by a dead worker holds every reader back for this long, unless its successor
# comes first.
TRANSACTION_TIMEOUT_MS: Final = 10_000


def consumer_settings(group: str, protocol: GroupProtocol) -> dict[str, object]:
    """Return our settings of a consumer of `group`; either protocol puts partition p of every input on one
    member.
    """
    if protocol == "classic":
        return {**CONSUMER, "group.id": group}
    kept = {key: value for key, value in CONSUMER.items() if key not in CLASSIC_ONLY}
    return {**kept, "group.id": group, "group.protocol": "consumer", "group.remote.assignor": "range"}


def is_secret(key: str) -> bool:
    """Whether the value of a client's setting must never be shown, written or logged."""
    return key.endswith(_SECRET_ENDS)


def require_free(config: Mapping[str, str]) -> None:
    """Raise BusError where `config` names a setting that is not the user's to change."""
    for key in config:
        if key.removeprefix("consumer.").removeprefix("producer.") in FIXED:
            raise BusError(f"Kafka setting {key} is fixed, since the guarantees stand on it: leave it out")


def settings_for(
    role: str, bootstrap: str, client_id: str, config: Mapping[str, str], own: Mapping[str, object]
) -> dict[str, object]:
    """Return the settings of one client: ours, then the user's for all, then the user's for this role.

    A user's key that begins with `consumer.` or `producer.` is for that role only.
    """
    shared = {k: v for k, v in config.items() if not k.startswith(("consumer.", "producer."))}
    for_role = {k.removeprefix(f"{role}."): v for k, v in config.items() if k.startswith(f"{role}.")}
    address = {"bootstrap.servers": bootstrap, "client.id": client_id}
    return {**COMMON, **own, **shared, **for_role, **address}
