"""The commit: five numbered steps between what was sealed and what is true."""

from collections.abc import Mapping

from app.failpoints import COMMIT_BEGIN, COMMIT_END, COMMIT_OFFSETS, COMMIT_STATE, reach
from app.outbox import Outbox
from app.progress_metadata import Committed, to_position
from app.task import Task
from topics.block import TopicPartition
from topics.bus import Consumer, Position


def commit(outbox: Outbox, consumer: Consumer, tasks: Mapping[int, Task]) -> None:
    """Make everything sealed since the last commit visible, together with how far the inputs were read.

    1. Begin a transaction, if none is open: offsets alone are worth one.
    2. (Frames, late rows and dead letters were produced into it as they came about.)
    3. Send the input offsets: per input the oldest row a restart needs, with the frontier, the watermark,
       the parity of the rows sent and the next offset not yet seen in the metadata.
    4. Commit.  Until this returns nothing has happened; once it returns everything has.
    5. Local state follows, at its own slower pace (`checkpoint`), and only for what step 4 made true.

    Raises what the bus raises: AbortableError, UnknownOutcomeError, FencedError, BusUnavailableError.
    """
    reach(COMMIT_BEGIN)
    outbox.begin()
    positions: dict[TopicPartition, Position] = {}
    for number, task in tasks.items():
        for topic, progress in task.progress().items():
            positions[TopicPartition(topic, number)] = to_position(
                Committed(
                    progress,
                    task.operator.frontier_ns,
                    task.parity,
                    told=task.told(topic),
                )
            )
    reach(COMMIT_OFFSETS)
    outbox.producer.send_offsets(positions, consumer)
    reach(COMMIT_END)
    outbox.producer.commit()
    outbox.done()
    reach(COMMIT_STATE)
