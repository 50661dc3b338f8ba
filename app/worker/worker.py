"""The worker: poll, decode, push, seal, send, commit, over all its tasks, in one loop and one thread."""

from collections.abc import Callable, Mapping

from app.commit.commits import UNDONE, Commits, State
from app.commit.producers import Producers
from app.metrics.standing import Standing
from app.process.failpoints import SEALED, reach
from app.process.memory import Leftovers
from app.task.task import Task
from app.worker.bounded import BoundedRun
from app.worker.dispatch import Dispatch
from app.worker.idle import IdleWatch
from app.worker.ownership import Ownership
from app.worker.relief import Relief
from app.worker.rereading import Rereading
from app.worker.turn_watch import TurnWatch
from topics.block import MessageBlock
from topics.bus import AbortableError, Consumer


class Worker:
    """One member of the consumer group, and the only writer of its tasks' partitions of the aligned topic."""

    def __init__(
        self,
        *,
        consumer: Consumer,
        producers: Producers,
        ownership: Ownership,
        dispatch: Dispatch,
        idle: IdleWatch,
        relief: Relief,
        rereading: Rereading,
        commits: Commits,
        bounded: BoundedRun | None,
        leftovers: Leftovers,
        watch: TurnWatch,
    ) -> None:
        """`app.worker.assembly` builds them; `bounded` is None for a run that ends only when told to."""
        self.consumer = consumer
        self._producers = producers
        self._ownership = ownership
        self._dispatch = dispatch
        self._idle = idle
        self._relief = relief
        self._rereading = rereading
        self._commits = commits
        self._bounded = bounded
        self._leftovers = leftovers
        self._watch = watch
        self._is_done = False  # a bounded run whose period is over

    @property
    def tasks(self) -> Mapping[int, Task]:
        """The tasks owned now, by partition."""
        return self._ownership.tasks

    def run(self, stopping: Callable[[], bool]) -> None:
        """Turn until stopped; a bounded run also ends when its period is over."""
        while not stopping():
            if self.finished():
                self._is_done = True
                return
            self.turn()

    def turn(self) -> int:
        """Do what one poll brings and return the number of messages; waits a moment if there are none.

        Messages from which nodes take sealed rows again count as well.

        Where tasks went without a commit in that poll, or a commit comes to nothing, the others go back to
        the last one.
        """
        wait_ms = 0 if self._dispatch.warming else self._commits.wait_ms()
        block = self.consumer.poll(messages_max=self._dispatch.messages_max(), wait_ms=wait_ms)
        read = block.messages
        self._watch.polled()
        if self._commits.state is State.LOST:
            self._rewind(AbortableError("the group took tasks away while their rows were in a transaction"))
            return read
        try:
            read += self._work(block)
        except UNDONE as undone:
            self._rewind(undone)
        self._watch.follow()
        self._watch.tally.report_when_due(self.tasks.values())
        self._watch.ended()
        return read

    def commit(self) -> None:
        """Commit what is sealed, now."""
        self._commits.commit()
        self._watch.follow()

    def finished(self) -> bool:
        """Whether the run is bounded, and the whole group has committed that every task is complete."""
        return self._bounded is not None and self._bounded.finished()

    def closing_words(self) -> str:
        """What a worker that was closed has done, in a line; a warning first where many rows were late."""
        tally = self._watch.tally
        tally.warn_of_late(tally.committed)
        return tally.closing_words(finished=self._is_done)

    def standing(self) -> Standing:
        """How the tasks stand now; from any thread."""
        return self._watch.standing()

    def close(self, *, failed: bool = False) -> None:
        """Leave the group, with what is sealed committed and the state written down.

        After a failure nothing more is committed: the restart must meet the failure again.
        """
        if failed:
            self._commits.fail()
        self._rereading.close()
        self._watch.stop()
        self._dispatch.close()
        try:
            self.consumer.close()
        finally:
            self._watch.follow()
            if self._bounded is not None:
                self._bounded.close()
            self._ownership.close()
            self._producers.close()

    def _work(self, block: MessageBlock) -> int:
        """The order of a turn behind its poll; returns how many messages nodes took rows of again."""
        touched = self._dispatch.take(block)
        warm, messages = self._dispatch.warm()
        touched |= warm
        left_out = self._idle.leave_out(self.tasks)
        for number in left_out:
            self._dispatch.seal(self.tasks[number])
        touched |= left_out
        reach(SEALED)
        if touched:
            self._commits.mark_dirty()
        if self._bounded is not None and not block.messages:
            self._bounded.finish_ended()
        for number in touched:
            self._relief.relieve(self.tasks[number])
        self._rereading.show(self.tasks.values())
        self._commits.go_on()
        self._ownership.require_whole()
        self._leftovers.give_back_when_due()
        return messages

    def _rewind(self, undone: Exception) -> None:
        """Undo what was sent since the last commit, and read on from there."""
        self._commits.undo(undone)
        self._watch.tally.undo()
        paused = self._relief.paused_inputs(self.tasks.values())
        for source, start in self._ownership.open(sorted(self.tasks)).items():
            self.consumer.seek(source, start)
        self._relief.resume(paused)
        self._leftovers.came()
