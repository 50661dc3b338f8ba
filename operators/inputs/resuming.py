"""Where a task goes on after a restart: one decision, from the commit, the local state and the kept rows.

| local state         | each input is read from        | rows read again                                |
|---------------------|--------------------------------|------------------------------------------------|
| none                | its committed `needed_offset`  | were judged, up to the committed `next_offset` |
| at the commit       | the committed `next_offset`    | none                                           |
| behind the commit   | the state's next offset        | were judged, up to the committed `next_offset` |
| ahead of the commit | (wiped before: as with none)   |                                                |

A join without a tolerance may need rows that lie further back than that.  They come from the last-known topic
(`needs_kept`); entries that were kept with other columns name the offset of their oldest row instead, and
the input is read again from there.  So is one of which another rule needs older rows (`reaching_back`).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from operators.inputs.progress import InputProgress, TaskProgress


@dataclass(frozen=True, slots=True)
class ResumePlan:
    """What an operator takes up: `committed` progress, and by stream the offset reading starts from.

    Left rows may wait up to `held_ns` behind the frontier: an earlier life had another rule, and held them.
    What it kept beside the inputs, under the keys `void`, is of no use then.
    """

    committed: TaskProgress
    read_from: Mapping[str, int]
    held_ns: int = 0
    void: Collection[bytes] = ()

    @property
    def unnamed(self) -> tuple[str, ...]:
        """The streams of which rows are read again that may have been set aside without being named."""
        inputs = self.committed.inputs
        return tuple(name for name, progress in inputs.items() if progress.late_from > self.read_from[name])

    def with_set_aside(
        self, stream: str, rows: Iterable[tuple[int, int]], *, whole: bool = True
    ) -> "ResumePlan":
        """Name these rows, as (offset, index), of an input too.

        Rows beyond the commit are left out of it: they will be judged anew.  `whole` says that all are named
        now.
        """
        progress = self.committed.inputs[stream]
        named = {row for row in (*progress.late, *rows) if row[0] < progress.next_offset}
        late_from = 0 if whole else progress.late_from
        completed = replace(progress, late=tuple(sorted(named)), late_from=late_from)
        inputs = {**self.committed.inputs, stream: completed}
        return replace(self, committed=replace(self.committed, inputs=inputs))


def reaching_back(committed: TaskProgress, offsets: Mapping[str, int]) -> TaskProgress:
    """The progress of a task of which rows from `offsets` on, by stream, are needed for another purpose.

    The commit names the rows set aside that could be mistaken for others by its own rule; so all are looked
    up.
    """
    inputs = {
        name: replace(
            progress,
            needed_offset=min(progress.needed_offset, offsets.get(name, progress.needed_offset)),
            late_from=progress.next_offset,
        )
        for name, progress in committed.inputs.items()
    }
    return replace(committed, inputs=inputs)


def needs_kept(committed: TaskProgress, state: Mapping[str, int] | None) -> bool:
    """Whether rows kept beside the inputs have to be recalled before `plan_resume`.

    State that is at or beyond what the commit needs holds them itself; `state` is its next offset by stream.
    """
    if state is None:
        return True
    return any(state[name] < progress.needed_offset for name, progress in committed.inputs.items())


def plan_resume(
    committed: TaskProgress, state: Mapping[str, int] | None, recalled: Mapping[str, int]
) -> ResumePlan:
    """Decide where each input is read from.

    `committed` is what the last commit says, of a task that never committed the low ends of its logs.
    `state` is the next offset of each input in the restored state, None where there is none.  `recalled`
    says, by stream, from which offset rows have to be read again that kept entries could not give back.
    """
    needed = {name: progress.needed_offset for name, progress in committed.inputs.items()}
    read_from = dict(needed if state is None else state)
    inputs = dict(committed.inputs)
    for name, offset in recalled.items():
        inputs[name] = _needed_from(min(offset, read_from[name]), inputs[name])
        if state is None:
            read_from[name] = inputs[name].needed_offset
    return ResumePlan(replace(committed, inputs=inputs), read_from)


def _needed_from(offset: int, progress: InputProgress) -> InputProgress:
    """The progress of an input of which older rows are needed than was committed."""
    if offset >= progress.needed_offset:
        return progress
    # The commit names rows set aside only from its restart offset on.
    late_from = max(progress.late_from, progress.needed_offset)
    return replace(progress, needed_offset=offset, late_from=late_from)
