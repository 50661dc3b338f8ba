"""Reads a partition from its first kept message to its end, as any consumer outside the group would."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from app.process.clock import monotonic_ns, pause
from app.process.threads import require_wanted
from schemas.clocks import NS_PER_S
from topics.block import MessageBlock, TopicPartition
from topics.bus import Bus, BusUnavailableError

MESSAGES_MAX: Final = 20_000
MESSAGES_FIRST: Final = 100
BLOCK_SIZE: Final = 8 << 20  # bytes of a block, about, going by the messages so far
WAIT_MS: Final = 100
# A reading waits 0.2 s for a client, its connection and the end of the log: others go on meanwhile.
AT_ONCE_MAX: Final = 4
SETTLED_S: Final = 60  # a broker ends what a dead worker left open within 10 s, unless it is told otherwise
LOOK_S: Final = 0.05


def read_partition(
    bus: Bus,
    source: TopicPartition,
    *,
    group: str,
    wait: bool = True,
    begun: Callable[[int], None] | None = None,
) -> Iterator[MessageBlock]:
    """Yield the committed messages that were there when the reading began, in offset order.

    A transaction that is open at that end is waited for, or with `wait` False what can be read now is all.
    `begun` is told, before the first of them, from which offset on the log keeps its messages.
    `group` only names the reader; nothing is committed under it.  A block that is still held when the reading
    ends is copied, message by message: who has read it lets go of it.
    """
    consumer = bus.consumer(group=group, client_id=group, to_end=True)
    try:
        low, high = consumer.offsets(source)
        if begun is not None:
            begun(low)
        if low == high:
            return
        consumer.assign({source: low})
        reached, messages_max = False, MESSAGES_FIRST
        while not reached:
            require_wanted()
            block = consumer.poll(messages_max=messages_max, wait_ms=WAIT_MS)
            if block.messages:
                yield block
                size = max(1, int(block.value_size.sum()) // block.messages)
                messages_max = max(1, min(MESSAGES_MAX, BLOCK_SIZE // size))
                reached = int(block.offset[-1]) >= high - 1
            reached = reached or any(end >= high or not wait for ended, end in block.ends if ended == source)
            del block
    finally:
        consumer.close()


def at_once(bus: Bus) -> int:
    """How many partitions are read at once: of the embedded bus, which is for one thread, one."""
    return 1 if bus.name == "embedded" else AT_ONCE_MAX


def require_settled(bus: Bus, sources: Sequence[TopicPartition]) -> None:
    """Raise BusUnavailableError while a transaction is open in one of these partitions.

    A commit returns before its markers lie in every log, and until then readers do not see what it wrote.
    Who takes up a task knows its committed offsets already, and may not miss what was committed with them.
    """
    for source, log in bus.admin().ranges(sources).items() if sources else ():
        if log.stable < log.high:
            raise BusUnavailableError(
                f"{source.topic}[{source.partition}]: a transaction is open at offset {log.stable}, and what "
                "it wrote may belong to the commit"
            )


def wait_settled(bus: Bus, sources: Sequence[TopicPartition], *, wait_s: float = SETTLED_S) -> None:
    """Wait until whatever is in these partitions now can be read, or was undone.

    So everything that a commit which is known by now has made true can be read; what is written meanwhile is
    not waited for.  On the embedded bus a commit counts in all partitions at once, and nothing is waited for.
    Raises BusUnavailableError where a transaction is open for longer than `wait_s`.
    """
    if bus.name == "embedded" or not sources:
        return
    admin = bus.admin()
    until_ns = monotonic_ns() + int(wait_s * NS_PER_S)
    logs = admin.ranges(sources)
    high = {source: log.high for source, log in logs.items()}
    while True:
        behind = [source for source, log in logs.items() if log.stable < high[source]]
        if not behind:
            return
        if monotonic_ns() > until_ns:
            source = behind[0]
            raise BusUnavailableError(
                f"{source.topic}[{source.partition}]: a transaction is open at offset {logs[source].stable} "
                f"since more than {wait_s:g} s, and what it wrote may belong to the last commit: try again"
            )
        pause(LOOK_S)
        logs = admin.ranges(behind)
