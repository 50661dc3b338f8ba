"""The commit: five numbered steps between what was sealed and what is true."""

from collections.abc import Collection, Mapping

from app.commit.input_counts import InputCounts
from app.commit.outbox import Outbox
from app.process.failpoints import (
    COMMIT_BEGIN,
    COMMIT_END,
    COMMIT_LAST_KNOWN,
    COMMIT_OFFSETS,
    COMMIT_STATE,
    reach,
)
from app.task.metadata import Committed, to_position
from app.task.task import Task
from operators.sealed import ALIGNED
from topics.block import TopicPartition
from topics.bus import Consumer, Position


def commit(
    outbox: Outbox,
    consumer: Consumer,
    counts: InputCounts,
    tasks: Mapping[int, Task],
    last_known: Collection[int] = (),
    node_state: Collection[int] = (),
) -> None:
    """Make everything sealed since the last commit count, together with how far the inputs were read.

    1. Exactly once: begin a transaction, if none is open; offsets alone are worth one.  At least once: wait
       until all rows are acknowledged, for offsets never lead the rows they depend on.  (Where nobody has to
       know the outcome at once, `app.commit.later_commit` takes these steps without waiting.)
    2. (Frames, late rows and dead letters were produced as they came about.)  For the tasks in `last_known`
       the last rows that changed follow, always in a transaction, so that step 3 need not ask for them again.
       So does the record of each task with more outputs than the aligned topic, and for the tasks in
       `node_state` what changed of what their nodes remember.
    3. Send the input offsets: per input the oldest row a restart needs, with the frontier, the watermark,
       the parity of the rows sent and the next offset not yet seen in the metadata.
    4. Commit, once the broker has answered that no input has got more partitions by now.  Until this returns
       nothing has happened; once it returns everything has.  (At least once the rows are there before: a
       crash until here repeats those since the last commit.)
    5. Local state follows, at its own slower pace (`checkpoint`), and only for what step 4 made true.

    Raises what the bus raises: AbortableError, UnknownOutcomeError, FencedError, BusUnavailableError; and
    RunError where an input has another number of partitions.
    """
    reach(COMMIT_BEGIN)
    counts.ask()
    # `kept` comes before `positions_of`: what the topic keeps now, no restart needs from the inputs.
    entries: dict[int, list[tuple[bytes, bytes | None]]] = {
        number: [*((key, None) for key in keeps.taken_back()), *keeps.kept(outbox.entry_size_max)]
        for number in last_known
        if (keeps := tasks[number].operator.keeps)
    }
    records = {number: task.record() for number, task in tasks.items() if task.has_record}
    states = {number: tasks[number].operator.nodes.kept() for number in node_state}
    transaction = outbox.prepare(atomic=bool(records) or any(entries.values()) or any(states.values()))
    for number, changed in entries.items():
        outbox.last_known(number, changed)
    for number, record in records.items():
        outbox.task_record(number, record)
    for number, remembered in states.items():
        outbox.node_state(number, remembered)
    reach(COMMIT_LAST_KNOWN)
    positions = positions_of(tasks)
    if transaction is None:
        counts.require()
        reach(COMMIT_END)
        consumer.commit(positions)
    else:
        reach(COMMIT_OFFSETS)
        transaction.send_offsets(positions, consumer)
        counts.require()
        reach(COMMIT_END)
        transaction.commit()
    outbox.done()
    reach(COMMIT_STATE)


def positions_of(tasks: Mapping[int, Task]) -> dict[TopicPartition, Position]:
    """What step 3 sends: how far each input of the tasks has come."""
    positions: dict[TopicPartition, Position] = {}
    for number, task in tasks.items():
        progress = task.progress()
        for topic, reading in task.readings.items():
            positions[TopicPartition(topic, number)] = to_position(
                Committed(
                    progress.inputs[reading.stream],
                    progress.frontier_ns,
                    task.sinks[ALIGNED].parity,
                    through=progress.through.get(ALIGNED),
                    report=task.report(topic),
                    complete=progress.final,
                    log=reading.log,
                    rule=task.committed_rule,
                    member=task.life.member,
                    program=task.life.program,
                )
            )
    return positions
