"""A process that reads messages natively and leaves its consumer unclosed: `unclosed.py HOST:PORT TOPIC HOW`.

HOW is `drop` (the last name goes), `cycle` (garbage collection finds it and its messages at once), or `exit`
(the process ends with it).  It ends with status 0 and the word `done`, if nothing brings it down.
"""

import gc
import sys

from tests.contract.bus.conftest import HASTY
from topics.block import MessageBlock, TopicPartition
from topics.bus import Consumer
from topics.kafka.bus import KafkaBus


class Keeper:
    """Holds a consumer and a block in a cycle."""

    def __init__(self, consumer: Consumer, block: MessageBlock) -> None:
        self.consumer, self.block, self.own = consumer, block, self


def read_some(bootstrap: str, topic: str) -> tuple[KafkaBus, Consumer, MessageBlock]:
    """Read ten messages of many; the rest lies in the consumer's queue."""
    bus = KafkaBus(bootstrap, HASTY, reading="native")
    consumer = bus.consumer(group="unclosed")
    consumer.assign({TopicPartition(topic, 0): 0})
    while not (block := consumer.poll(messages_max=10, wait_ms=1_000)).messages:
        pass
    return bus, consumer, block


def main(bootstrap: str, topic: str, how: str) -> None:
    """Leave, and say so."""
    bus, consumer, block = read_some(bootstrap, topic)
    # The error that this puts into the partition's queue would call the official client back.
    bus.admin().delete([topic])
    if how == "cycle":
        Keeper(consumer, block)
        del consumer, block
        gc.collect()
    elif how == "drop":
        del consumer
        gc.collect()
        assert block.originals[9].value is not None
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
