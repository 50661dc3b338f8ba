"""Ownership: which tasks are this worker's, opened where the last commit left them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from app.errors import RunError
from app.process.away import wait_out
from app.process.failpoints import RECALL, RESTORE, REVOKE, reach
from app.process.meter import Meter
from app.reading.dead import ahead_places
from app.reading.last_known import last_known_entries
from app.reading.late import late_places
from app.task.metadata import Committed, from_position
from app.task.task import Task
from app.wiring.pipeline import Pipeline
from operators.inputs.progress import InputProgress
from operators.join.snapshot_format import SnapshotError
from operators.operator import Operator
from schemas.clocks import BEGINNING_NS
from state.errors import StateLockedError
from state.restore import Restored, restore
from state.store import TaskStore
from topics.block import TopicPartition
from topics.bus import Consumer
from topics.catalogue import LAST_KNOWN

log = structlog.get_logger()

FOLDERS_MAX = 10  # for the state of one task, the others held by processes that hang


class Ownership:
    """Opens a task when all its inputs are assigned, and gives it up when the group takes it.

    `before_revoke` commits what is sealed, while it is still ours to commit; `after_lost` takes back
    what was sent and is not.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        consumer: Consumer,
        meter: Meter,
        before_revoke: Callable[[], None],
        after_lost: Callable[[], None],
    ) -> None:
        self.tasks: dict[int, Task] = {}
        self._pipeline = pipeline
        self._consumer = consumer
        self._before_revoke = before_revoke
        self._after_lost = after_lost
        self._meter = meter
        self._assigned: set[TopicPartition] = set()  # tasks open once all their inputs are here

    def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Open the tasks whose inputs are all here now and return where to read each input from.

        The classic protocol deals all partitions at once: an input without the others then is a group that
        was set up wrongly.  The consumer protocol may bring them one by one, as others let go of them.
        """
        self._assigned |= set(partitions)
        starts: dict[TopicPartition, int] = {}
        whole = []
        for number in sorted({source.partition for source in partitions}):
            inputs = {TopicPartition(topic, number) for topic in self._pipeline.input_topics}
            if inputs <= self._assigned:
                whole.append(number)
                continue
            if self._pipeline.settings.bus.group_protocol == "classic":
                raise RunError(self._unequal(number))
            log.info("waiting for the other inputs of a task", partition=number)
            starts |= {source: self._consumer.offsets(source)[1] for source in inputs & set(partitions)}
        return starts | self.open(whole)

    def incomplete(self) -> str | None:
        """What is wrong with tasks of which only some inputs are here; None where there are none."""
        numbers = {source.partition for source in self._assigned} - set(self.tasks)
        return self._unequal(min(numbers)) if numbers else None

    def _unequal(self, number: int) -> str:
        inputs = {TopicPartition(topic, number) for topic in self._pipeline.input_topics}
        there, missing = (
            ", ".join(sorted(source.topic for source in sources))
            for sources in (inputs & self._assigned, inputs - self._assigned)
        )
        return (
            f"the group gave this worker partition {number} of {there} without {missing}: inputs must have "
            'equal partition counts and every member the "range" assignor'
        )

    def open(self, numbers: Sequence[int]) -> dict[TopicPartition, int]:
        """(Re)open tasks at the committed offsets; returns where to read each input from."""
        return wait_out(lambda: self._open(numbers))

    def _open(self, numbers: Sequence[int]) -> dict[TopicPartition, int]:
        sources = [TopicPartition(topic, n) for n in numbers for topic in self._pipeline.input_topics]
        committed = self._consumer.committed(sources)
        starts: dict[TopicPartition, int] = {}
        for number in numbers:
            self._drop(number)
        for number in numbers:
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
        try:
            reach(RESTORE)
            state_next = {stream: progress.needed_offset for stream, progress in inputs.items()}
            older = state.checkpoint is None
            if state.checkpoint is not None:
                older = any(state.checkpoint.next_offsets[name] < state_next[name] for name in inputs)
                state_next = dict(state.checkpoint.next_offsets)
            if older and resumed and operator.keeps_last_known:
                for stream, offset in self._recall(number, operator, frontier_ns).items():
                    inputs[stream] = _needed_from(min(offset, state_next[stream]), inputs[stream])
                    if state.checkpoint is None:
                        state_next[stream] = inputs[stream].needed_offset
            operator.resume(frontier_ns, self._with_all_late(number, inputs, state_next), state_next)
            starts = {
                TopicPartition(topic, number): state_next[stream]
                for topic, stream in self._pipeline.input_topics.items()
            }
            self._require_in_log(starts, inputs)
        except BaseException:
            state.store.close()  # or the next to open it would find it locked
            raise
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
            reread={
                source.topic: (start, start, inputs[self._pipeline.input_topics[source.topic]].next_offset)
                for source, start in starts.items()
            },
        )
        log.info(
            "task opened",
            partition=number,
            frontier_ns=frontier_ns,
            state=state.reason,
            starts={source.topic: start for source, start in starts.items()},
        )
        return starts

    def _recall(self, number: int, operator: Operator, frontier_ns: int) -> Mapping[str, int]:
        """Give the operator the last rows that need not be read again; return from where on others do."""
        settings = self._pipeline.settings
        group = f"{settings.pipeline.prefix}-{settings.worker.slot}"
        entries = last_known_entries(self._pipeline, number, group=group, meter=self._meter)
        reach(RECALL)
        try:
            older = operator.recall(entries.items(), frontier_ns)
        except SnapshotError as unusable:
            raise RunError(
                f"{settings.topic(LAST_KNOWN)}[{number}]: {unusable}. Rows before the restart offsets are "
                "nowhere else: run with what it was kept for, or choose another pipeline.prefix"
            ) from None
        log.info("last rows read back", partition=number, entries=len(entries))
        if older:
            log.warning(
                "last rows kept with other columns: their inputs are read again",
                partition=number,
                offsets=dict(older),
            )
        return older

    def _require_in_log(
        self, starts: Mapping[TopicPartition, int], inputs: Mapping[str, InputProgress]
    ) -> None:
        for source, start in starts.items():
            low, high = self._consumer.offsets(source)
            if not low <= start <= high:
                progress = inputs[self._pipeline.input_topics[source.topic]]
                raise RunError(
                    f"{source.topic}[{source.partition}]: offset {start} is needed but the log holds {low} "
                    f"(low) to {high} (high), committed is {progress.needed_offset} (read up to "
                    f"{progress.next_offset}): retention removed rows that sealing still depends on. Restore "
                    "them, or delete the group, which seals what is left anew from the start of the log"
                )

    def _restored(
        self, number: int, identity: str, committed: Mapping[str, int]
    ) -> tuple[Restored, Operator]:
        """The task's local state and its operator; state that cannot be taken up is wiped and rebuilt."""
        path, state = self._unlocked(self._pipeline.state_path(number), identity, committed)
        operator = self._pipeline.operator()
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

    def _unlocked(self, path: Path, identity: str, committed: Mapping[str, int]) -> tuple[Path, Restored]:
        """The state in the first folder that no other process holds.

        The last owner of one may hang, and hold it for ever.  Offsets say what any folder's state is worth.
        """
        slot = self._pipeline.settings.worker.slot
        others = (f"{path.name}-{slot}", *(f"{path.name}-{slot}-{n}" for n in range(2, FOLDERS_MAX)))
        for instead in others:
            try:
                return path, restore(path, identity, committed)
            except StateLockedError as locked:
                path = path.with_name(instead)
                log.warning("local state is held by another worker", instead=str(path), reason=str(locked))
        return path, restore(path, identity, committed)

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
        # At least once, the topics may be ahead of the commit; what they name there is judged anew.
        aside = {name: {*inputs[name].late, *late[name], *ahead[name]} for name in short}
        aside = {n: {row for row in rows if row[0] < inputs[n].next_offset} for n, rows in aside.items()}
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
        self._assigned -= set(partitions)
        numbers = {source.partition for source in partitions} & set(self.tasks)
        if not numbers:
            return
        reach(REVOKE)
        self._before_revoke()
        for number in sorted(numbers):
            self._drop(number)
        log.info("tasks revoked", partitions=sorted(numbers))

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget the tasks of these partitions: they are another worker's already."""
        self._assigned -= set(partitions)
        for number in {source.partition for source in partitions}:
            self._drop(number)
        self._after_lost()
        log.warning("tasks lost", partitions=sorted({source.partition for source in partitions}))

    def close(self) -> None:
        """Give up everything without committing."""
        for number in list(self.tasks):
            self._drop(number)

    def _drop(self, number: int) -> None:
        task = self.tasks.pop(number, None)
        if task is not None:
            task.close()


def _needed_from(offset: int, progress: InputProgress) -> InputProgress:
    """The progress of an input of which older rows are needed than was committed."""
    if offset >= progress.needed_offset:
        return progress
    # The commit names rows set aside only from the offset on that it asked for.
    late_from = max(progress.late_from, progress.needed_offset)
    return replace(progress, needed_offset=offset, late_from=late_from)
