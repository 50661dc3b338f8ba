"""Ownership: which tasks are this worker's, opened where the last commit left them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from app.dead_topic import ahead_places
from app.errors import RunError
from app.late_topic import late_places
from app.progress_metadata import Committed, from_position
from app.task import Task
from app.wiring import Pipeline
from operators.operator import InputProgress, Operator
from operators.snapshot_format import SnapshotError
from schemas.clocks import BEGINNING_NS
from state.restore import Restored, restore
from state.store import TaskStore
from topics.block import TopicPartition
from topics.bus import Consumer

log = structlog.get_logger()


class Ownership:
    """Opens a task when all its inputs are assigned, and gives it up when the group takes it.

    `before_revoke` commits what is sealed, while it is still ours to commit.
    """

    def __init__(self, pipeline: Pipeline, consumer: Consumer, before_revoke: Callable[[], None]) -> None:
        self.tasks: dict[int, Task] = {}
        self._pipeline = pipeline
        self._consumer = consumer
        self._before_revoke = before_revoke

    def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Open the tasks of these partitions and return where to read each from."""
        numbers = sorted({source.partition for source in partitions})
        for number in numbers:
            missing = {TopicPartition(topic, number) for topic in self._pipeline.input_topics} - set(
                partitions
            )
            if missing:
                there = ", ".join(sorted(source.topic for source in partitions if source.partition == number))
                raise RunError(
                    f"the group gave this worker partition {number} of {there} without "
                    f"{', '.join(sorted(source.topic for source in missing))}: inputs must have equal "
                    'partition counts and every member the "range" assignor'
                )
        return self.open(numbers)

    def open(self, numbers: Sequence[int]) -> dict[TopicPartition, int]:
        """(Re)open tasks at the committed offsets; returns where to read each input from."""
        sources = [TopicPartition(topic, n) for n in numbers for topic in self._pipeline.input_topics]
        committed = self._consumer.committed(sources)
        starts: dict[TopicPartition, int] = {}
        for number in numbers:
            self._drop(number)
            found: dict[str, Committed] = {}
            resumed = True
            for topic, stream in self._pipeline.input_topics.items():
                source = TopicPartition(topic, number)
                position = committed.get(source)
                if position is None:
                    low, _ = self._consumer.offsets(source)
                    found[stream] = Committed(InputProgress(low, low, BEGINNING_NS), BEGINNING_NS)
                    resumed = False
                else:
                    found[stream] = from_position(position, f"{topic}[{number}]")
            starts |= self._open_task(number, found, resumed=resumed)
        return starts

    def _open_task(
        self, number: int, found: Mapping[str, Committed], *, resumed: bool
    ) -> dict[TopicPartition, int]:
        task = max(found.values(), key=lambda committed: committed.frontier_ns)  # the same in all of them
        frontier_ns, parity = task.frontier_ns, task.parity
        inputs = {stream: committed.progress for stream, committed in found.items()}
        identity = self._pipeline.identity(number)
        committed = {stream: progress.next_offset for stream, progress in inputs.items()} if resumed else {}
        state, operator = self._restored(number, identity, committed)
        state_next = {stream: progress.needed_offset for stream, progress in inputs.items()}
        if state.checkpoint is not None:
            state_next = dict(state.checkpoint.next_offsets)
        operator.resume(frontier_ns, self._with_all_late(number, inputs, state_next), state_next)
        starts = {
            TopicPartition(topic, number): state_next[stream]
            for topic, stream in self._pipeline.input_topics.items()
        }
        for source, start in starts.items():
            low, high = self._consumer.offsets(source)
            if not low <= start <= high:
                state.store.close()
                raise RunError(
                    f"{source.topic}[{source.partition}]: offset {start} is needed but the log holds {low} "
                    f"to {high}: retention removed rows that sealing still depends on"
                )
        self.tasks[number] = Task(
            partition=number,
            operator=operator,
            inputs=self._pipeline.decoders(),
            store=state.store,
            identity=identity,
            parity=parity,
            opened=inputs if resumed else {},
            ahead_limit=self._pipeline.ahead_limit(),
            in_offset_order=self._pipeline.asof.max_ahead_of == "inputs"
            and self._pipeline.asof.max_ahead_ns is not None,
        )
        log.info(
            "task opened",
            partition=number,
            frontier_ns=frontier_ns,
            state=state.reason,
            starts={source.topic: start for source, start in starts.items()},
        )
        return starts

    def _restored(
        self, number: int, identity: str, committed: Mapping[str, int]
    ) -> tuple[Restored, Operator]:
        """The task's local state and its operator; state that cannot be taken up is wiped and rebuilt."""
        path = self._pipeline.state_path(number)
        state, operator = restore(path, identity, committed), self._pipeline.operator()
        if state.checkpoint is None:
            return state, operator
        try:
            for topic, stream in self._pipeline.input_topics.items():
                low, _ = self._consumer.offsets(TopicPartition(topic, number))
                if (begin := state.checkpoint.next_offsets[stream]) < low:
                    raise SnapshotError(f"it goes on at offset {begin} of {topic}, which now begins at {low}")
            operator.restore(state.store.entries())
        except SnapshotError as unusable:
            log.warning("local state wiped and rebuilt", path=str(path), reason=str(unusable))
            state.store.close()
            TaskStore.destroy(path)
            return restore(path, identity, committed), self._pipeline.operator()
        return state, operator

    def _with_all_late(
        self, number: int, inputs: dict[str, InputProgress], state_next: dict[str, int]
    ) -> dict[str, InputProgress]:
        """Complete the rows to be left out where the commit had no room for all that are read again.

        Rows too far ahead lie in the dead-letter topic, late ones in the late topic, unless they are dropped.
        """
        short = [stream for stream, progress in inputs.items() if progress.late_from > state_next[stream]]
        if not short:
            return inputs
        settings = self._pipeline.settings
        dropped = {name for name in short if settings.late(name)[0] == "drop"}
        if settings.worker.dead == "drop" and settings.pipeline.max_ahead_ns is not None:
            dropped = set(short)
        if dropped:
            log.warning(
                "rows that were late or too far ahead may be matched: they were too many for the commit, and "
                '"drop" kept them nowhere else',
                partition=number,
                offsets={stream: (state_next[stream], inputs[stream].late_from) for stream in dropped},
            )
        group = f"{settings.pipeline.prefix}-{settings.worker.slot}"
        late = late_places(self._pipeline, number, group=group)
        ahead = ahead_places(self._pipeline, number)
        aside = {name: {*inputs[name].late, *late[name], *ahead[name]} for name in short}
        log.info(
            "rows set aside read back", partition=number, rows={n: len(rows) for n, rows in aside.items()}
        )
        return inputs | {
            name: replace(
                inputs[name],
                late=tuple(sorted(rows)),
                late_from=inputs[name].late_from if name in dropped else 0,
            )
            for name, rows in aside.items()
        }

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Commit and give up the tasks of these partitions."""
        numbers = {source.partition for source in partitions} & set(self.tasks)
        if not numbers:
            return
        self._before_revoke()
        for number in sorted(numbers):
            self._drop(number)
        log.info("tasks revoked", partitions=sorted(numbers))

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget the tasks of these partitions: they are another worker's already."""
        for number in {source.partition for source in partitions}:
            self._drop(number)
        log.warning("tasks lost", partitions=sorted({source.partition for source in partitions}))

    def close(self) -> None:
        """Give up everything without committing."""
        for number in list(self.tasks):
            self._drop(number)

    def _drop(self, number: int) -> None:
        task = self.tasks.pop(number, None)
        if task is not None:
            task.close()
