"""What stands between inputs and sinks: roots, which seal rows, and the operator that a worker drives.

The worker drives every computation through `Operator` and never asks what it computes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from operators.inputs.inputs import Inputs
from operators.inputs.intake import Accepted
from operators.inputs.progress import RowPlace, TaskProgress
from operators.inputs.resuming import ResumePlan
from operators.rows.store import RowStore
from operators.sealed import Entries, Held, Sealed, Snapshot
from operators.tiles.calls import FailedTile
from schemas.arrived import Arrived
from schemas.batch import Bools

Kept = tuple[bytes, bytes]  # key, value: an entry of a log that keeps the newest value of each key


class Standing(NamedTuple):
    """What became of the kept state of nodes, by name, as a graph took it back.

    `same` have theirs; `new` and `changed` nodes had none, those of `lost` could not be used, and nodes that
    are `gone` had some.
    """

    same: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def all_the_same(self) -> bool:
        """Whether every node that remembers rows has what it had."""
        return bool(self.same) and not (self.new or self.changed or self.lost)


class Missing(NamedTuple):
    """The sealed rows of the join that nodes have to take again.

    `start`    the place behind which they begin; `FIRST` where all rows there are count.
    `through`  the place of the last one.
    `nodes`    the names of the nodes.
    """

    start: RowPlace
    through: RowPlace
    nodes: tuple[str, ...]


class Root(Protocol):
    """What stands right behind the inputs and seals their rows in order: a join, or a stream put in order.

    The order of calls, in the life of one task:

    1. `restore` at most once, on a new root; then `recall` where rows are kept beside the inputs; then
       `resume` once, and `rereading_ended` once every input has been read again.
    2. `take` for each batch that an input accepted, in the order of its log.
    3. `seal` whenever the frontier may have moved; after it `needed_offset`, `mistakable` and `held`.
    4. `kept` and `snapshot` after a seal, once nothing is read again.

    Only accepted rows and frontiers come in, so that what comes out hangs on nothing else.

    `name`     of its output; its state is kept under it.
    `meaning`  16 hex digits, equal where kept state means the same.
    `streams`  the inputs it takes rows of.
    `layout`   the columns of its rows.
    """

    name: str
    meaning: str
    streams: tuple[str, ...]
    layout: pa.Schema

    def take(self, stream: str, rows: Accepted) -> None:
        """Take rows that an input accepted."""
        ...

    def seal(self, frontier_ns: int) -> Sealed:
        """Return the rows that are final once the frontier stands there, in order."""
        ...

    @property
    def end_ns(self) -> int:
        """A frontier that seals all it holds, and that nothing it sealed could still have matched."""
        ...

    @property
    def is_empty(self) -> bool:
        """Whether no row waits to be sealed."""
        ...

    def needed_offset(self, stream: str, otherwise: int) -> int:
        """The oldest offset of a row that a restart needs, at most `otherwise`."""
        ...

    def mistakable(self, stream: str, rows: RowStore) -> Bools:
        """Which rows set aside a restart could take for rows that counted."""
        ...

    def held(self, stream: str) -> Held:
        """What waits of an input."""
        ...

    @property
    def through(self) -> RowPlace | None:
        """The place of the last row sealed, None before the first."""
        ...

    def resume(
        self, frontier_ns: int, through: RowPlace | None, needed: Mapping[str, int], held_ns: int = 0
    ) -> None:
        """Take up committed progress: rows below `needed`, by stream, are known without being read again.

        By the rule of the earlier life, left rows may have waited up to `held_ns` behind the frontier.
        """
        ...

    def rereading_ended(self) -> int:
        """Every input has been read again; until then rows may come that waited below the frontier.

        Returns a time below which every row of its output was sealed.
        """
        ...

    def snapshot(self) -> Snapshot:
        """Return what changed since the last snapshot."""
        ...

    def restore(self, entries: Entries) -> None:
        """Take back the entries of all snapshots so far; raises SnapshotError and is then as new."""
        ...


class Keeps(Protocol):
    """What a root or an operator does that needs rows without any bound behind the frontier.

    The entries go to a log that keeps the newest value of each key, in one transaction with the next
    progress: that asks for no row any more which the entries of all calls hold.
    """

    def kept(self, entry_size_max: int | None = None) -> Sequence[Kept]:
        """Return entries for what changed since the last call; only after `seal`, once caught up.

        Of one whose key and value would have more than `entry_size_max` bytes the rows are left out: `recall`
        asks for them.
        """
        ...

    def taken_back(self) -> Sequence[bytes]:
        """The keys of void entries, once: to be deleted before what `kept` returned is sent."""
        ...

    def recall(self, entries: Iterable[Kept], frontier_ns: int) -> Mapping[str, int]:
        """Restore the newest entry of each key; call it before `resume` with `frontier_ns`.

        Returns, by stream, the offset from which rows must be read again because their entries were kept with
        other columns or without rows.
        """
        ...


class Nodes(Protocol):
    """What an operator has to do for nodes that remember earlier rows.

    After `recall` or `Operator.restore`, and `Operator.resume`, they may lack sealed rows: `warm` gives them
    those, and nothing is sealed before.
    """

    @property
    def remembers(self) -> bool:
        """Whether nodes whose rows go out remember earlier rows."""
        ...

    @property
    def missing(self) -> Missing | None:
        """The sealed rows of the join that nodes have to take again, with `warm`; None for none."""
        ...

    @property
    def warmed_rows(self) -> int:
        """How many sealed rows of the join were taken again."""
        ...

    @property
    def standing(self) -> Standing:
        """What became of the state of nodes that was kept."""
        ...

    @property
    def due(self) -> bool:
        """Whether sealed rows wait that nodes have to take before more is sealed."""
        ...

    def run(self) -> Mapping[str, Sealed]:
        """Let nodes take the sealed rows that wait for them; return what goes out, by sink."""
        ...

    def failures(self) -> Sequence[FailedTile]:
        """The tiles whose function failed since this was asked last."""
        ...

    def warm(self, rows: pa.RecordBatch) -> None:
        """Let nodes take sealed rows again, as they were read back, in the order of their topic."""
        ...

    def kept(self) -> Sequence[tuple[bytes, bytes | None]]:
        """What changed since the last call of what nodes remember; a key without a value is taken back.

        Only once caught up and after `seal`, and committed with that progress or not at all.
        """
        ...

    def recall(self, entries: Entries, committed: TaskProgress) -> None:
        """Give nodes back what `kept` wrote; on a new operator, before `resume` with that commit.

        Raises SnapshotError where an entry is none of ours, or nodes have rows beyond the commit.
        """
        ...

    @property
    def streams(self) -> Collection[str]:
        """The streams of which nodes whose rows go out remember rows."""
        ...

    def begins_ns(self, committed: TaskProgress) -> Mapping[str, int]:
        """By stream from which time on its rows have to be read again for nodes that start without state.

        After `recall`, before `resume` with that commit, which asks for the rows that the other nodes need.
        """
        ...


class Operator(Protocol):
    """One task's share of a computation over named streams, as a worker drives it.

    The life of a task: `restore` and `recall` where there is something to take back, then `resume` once (a
    fresh task resumes from nothing).  Then any number of `push`, `seal` at the end of each turn, and `finish`
    when a bounded run ends without final records.  Letters, pausing, idle inputs and the frontier are asked
    of `inputs`.
    """

    @property
    def inputs(self) -> Inputs:
        """The inputs and how far they are complete."""
        ...

    @property
    def sinks(self) -> Mapping[str, pa.Schema]:
        """The columns of each output, by name."""
        ...

    @property
    def final(self) -> bool:
        """Whether every input has read its final record and nothing waits to be sealed."""
        ...

    @property
    def caught_up(self) -> bool:
        """Whether all that was committed has been taken again: rows of inputs, and sealed rows by nodes."""
        ...

    @property
    def nodes(self) -> Nodes:
        """The nodes behind the root, and what they lack or have to keep."""
        ...

    @property
    def settled(self) -> bool:
        """Whether a commit may name this rule: nothing is read again, and nothing kept by another is left."""
        ...

    @property
    def keeps(self) -> Keeps | None:
        """What has to be kept beside the inputs, None where nothing has."""
        ...

    def push(self, stream: str, arrived: Arrived, *, now_ns: int | None = None) -> None:
        """Take what arrived of one input, in the order of its log (see `Inputs.accept`)."""
        ...

    def seal(self, *, nodes: bool = True) -> Mapping[str, Sealed]:
        """Move the frontier as far as the inputs allow; return the rows of each sink that became final.

        Without `nodes` the rows may wait for `Nodes.run`.
        """
        ...

    def finish(self) -> Mapping[str, Sealed]:
        """Seal everything that is left, as if every input had ended."""
        ...

    def held(self, stream: str) -> Held:
        """What waits of an input."""
        ...

    def progress(self) -> TaskProgress:
        """How far the task has come, for the commit; ask after `seal`, and `Nodes.run` where rows wait."""
        ...

    def resume(self, plan: ResumePlan) -> None:
        """Take up committed progress; until every input is read again nothing is sealed."""
        ...

    def snapshot(self) -> Snapshot:
        """Return what changed since the last snapshot; once caught up, after `seal` and `Nodes.run`."""
        ...

    def restore(self, entries: Entries) -> None:
        """Take back the entries of all snapshots so far; only on a new operator, before `resume`.

        Raises SnapshotError where they are of another meaning, damaged or incomplete.
        """
        ...
