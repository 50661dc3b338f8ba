"""Messages before an offset, as many as one request may read: a browser's question costs little."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from app.process.clock import monotonic_ns
from schemas.clocks import NS_PER_S
from topics.block import MessageBlock, TopicPartition
from topics.bus import Bus

FRAMES_MAX: Final = 64
SIZE_MAX: Final = 8 << 20  # bytes
READ_NS: Final = NS_PER_S
WAIT_MS: Final = 50


class Stretch(NamedTuple):
    """A stretch of a log that is read: from `lower` to before `upper`, of one that holds `low` to `high`."""

    lower: int
    upper: int
    low: int
    high: int


def stretch_before(bus: Bus, source: TopicPartition, before: int | None, offsets: int) -> Stretch:
    """The last `offsets` of a log, or those before an offset; raises BusUnavailableError."""
    log = bus.admin().ranges([source])[source]
    upper = log.stable if before is None else min(max(before, log.low), log.stable)
    return Stretch(max(log.low, upper - offsets), upper, log.low, log.stable)


def read_stretch(bus: Bus, source: TopicPartition, stretch: Stretch, *, group: str) -> Iterator[MessageBlock]:
    """Yield the messages of a stretch until its end, or until as much is read as one request may.

    Whoever iterates looks at a block before the next one comes, and passes over what lies behind the stretch.
    """
    if stretch.lower >= stretch.upper:
        return
    consumer = bus.consumer(group=group, client_id=group, to_end=True)
    until_ns, size = monotonic_ns() + READ_NS, 0
    try:
        consumer.assign({source: stretch.lower})
        while monotonic_ns() < until_ns and size < SIZE_MAX:
            block = consumer.poll(messages_max=FRAMES_MAX, wait_ms=WAIT_MS)
            if block.messages:
                size += int(block.value_size.clip(0).sum())
                yield block
                if int(block.offset[-1]) >= stretch.upper - 1:
                    return
            if any(ended == source for ended, _ in block.ends):
                return
            del block
    finally:
        consumer.close()
