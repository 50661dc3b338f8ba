"""How far back a graph's features hang on earlier rows, and whether it is as far as its nodes say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from app.audit.past import Past
from app.audit.walk import frame_of
from app.graph.day_rows import DayRows, Key, RootRows
from app.graph.made_rows import context_by_time, take_since
from app.graph.outcome import Outcome
from app.graph.trial import Difference, Outputs, Trial, difference, one_batch
from app.words import duration
from operators.formula.history import Reach, Start, farthest, latest_start
from operators.graph.graph import Graph
from operators.graph.plan import Plan
from schemas.batch import Int64s
from schemas.clocks import NS_PER_S

Compared: TypeAlias = Mapping[str, list[str]]  # by node: columns

MOMENTS: Final = 16
COMPARED_ROWS: Final = 200  # from each moment on
STEPS: Final = 300  # of a length of time, to find the shortest that is enough: seconds of five minutes
TIMES: Final = 10
NS_PER_MINUTE: Final = 60 * NS_PER_S
LENGTHS: Final = (
    ("d", 1440 * NS_PER_MINUTE),
    ("h", 60 * NS_PER_MINUTE),
    ("min", NS_PER_MINUTE),
    ("s", NS_PER_S),
)


class Reaching(NamedTuple):
    """What is taken again before a row: `reach` before it and before the `start` of what is since one.

    `back_first`  whether the rows of the reach are also gone back before its time is: then it is enough
                  however values are made of one another, and without it as far as it says.
    """

    reach: Reach
    start: Start = ""
    back_first: bool = True


def reach_of(graph: Graph, plan: Plan | None = None) -> Reach:
    """The farthest that any node says that it looks back; of what a join looks up the plan says it."""
    nodes = () if plan is None else plan.nodes
    joins = [node.features.reaches.values() for node in nodes if node.join is not None]
    own = [Reach(need.rows, need.ns) for need in graph.needs.values()]
    return farthest([*own, *(reach for reaches in joins for reach in reaches)])


def rows_before(trial: Trial, plan: Plan, first: int, reaching: Reaching) -> DayRows:
    """The rows before a place that those from it on hang on.

    What a row is joined with hangs on when that row is, so each root reaches back from the rows of the others
    once more for each join.
    """
    firsts, roots = trial.day.before(first), trial.day.roots
    sides = {name: _Before(trial, plan, root, firsts[name]) for name, root in roots.items()}
    begins: dict[str, dict[Key, int]] = {name: {} for name in roots}
    for _ in range(1 + sum(node.join is not None for node in plan.nodes)):
        for name, side in sides.items():
            side.reach_back(reaching, [of_root for other, of_root in begins.items() if other != name])
        begins = {name: side.begins_ns() for name, side in sides.items()}
    return trial.day.with_rows(
        {name: root.rows.take(pa.array(sides[name].places())) for name, root in roots.items()}
    )


class _Before:
    """The rows of one root before its row `first`, by symbol, and from which on they are taken."""

    def __init__(self, trial: Trial, plan: Plan, root: RootRows, first: int) -> None:
        names = [*dict.fromkeys([trial.on, *root.key])]
        frame = frame_of(pa.Table.from_batches([root.rows.select(names)]))
        past = Past.of(frame, root.key, trial.on, plan.sessions.ids)
        self._waits = trial.waits
        self._stretches = past.stretches(by_session=False)
        self._session = past.session[self._stretches.order]
        self._symbols: dict[
            Key, tuple[int, int, int]
        ] = {}  # where one begins, ends, and has its first later row
        order = self._stretches.order
        for lower, end in self._stretches.spans():
            place = lower + int(np.searchsorted(order[lower:end], first))
            if place < end or self._waits:  # else no later row hangs on rows of a symbol that ended
                self._symbols[frame.select(root.key).row(int(order[lower]))] = lower, end, place
        self._from = {key: place for key, (_, _, place) in self._symbols.items()}

    def reach_back(self, reaching: Reaching, begins: Sequence[Mapping[Key, int]]) -> None:
        """Take what rows from `first` on reach, or those of other roots that begin then, by symbol."""
        for key, (lower, end, place) in self._symbols.items():
            others_ns = [of_root[key] for of_root in begins if key in of_root]
            if others_ns:
                times = self._stretches.time_ns[lower:end]
                place = min(place, lower + int(np.searchsorted(times, min(others_ns))))
            if place > lower:
                self._from[key] = min(self._from[key], self._reached(lower, end, place, reaching))

    def begins_ns(self) -> dict[Key, int]:
        """By symbol the time of the first row that is taken."""
        times = self._stretches.time_ns
        return {
            key: int(times[self._from[key]])
            for key, (_, _, place) in self._symbols.items()
            if self._from[key] < place
        }

    def places(self) -> Int64s:
        """The rows that are taken, in their order."""
        spans = [(self._from[key], place) for key, (_, _, place) in self._symbols.items()]
        parts = [self._stretches.order[begin:end] for begin, end in spans]
        return np.sort(np.concatenate([np.empty(0, np.int64), *parts]))

    def _reached(self, lower: int, end: int, place: int, reaching: Reaching) -> int:
        """The first row that those of a symbol from a place on hang on."""
        # A join looks up the last row before, which may be of an earlier session; rows that wait are before.
        at = place - 1 if self._waits else place
        begin, (rows, ns) = place, reaching.reach
        if reaching.start == "genesis":
            begin = lower
        elif reaching.start == "session":
            begin = lower + int(np.argmax(self._session[lower:end] == self._session[at]))
        if ns:
            times = self._stretches.time_ns
            back = max(min(begin, at) - rows * reaching.back_first, lower)
            begin = lower + int(np.searchsorted(times[lower:end], times[back] - ns, "right"))
        return max(begin - rows, lower)


def take_again(trial: Trial, plan: Plan, graph: Graph, first: int) -> None:
    """Let a new graph take what it needs of the rows before a place, for nothing but its state."""
    if trial.by_time:
        take_since(trial, plan, graph, first)
        return
    reaching = Reaching(reach_of(graph, plan), latest_start(_starts(plan)))
    rows = rows_before(trial, plan, first, reaching)
    if rows.count:
        list(trial.pass_through(graph, rows, complete_ns=trial.day.complete_ns(first)))


def context(trial: Trial, wanted: Outputs, draws: np.random.Generator) -> Outcome:
    """Rows from a moment on, with no more before them than the graph says that it needs."""
    what = "declared, ten times, and the least that is enough"
    plan, count = trial.plan, trial.day.count
    if plan is not None and trial.by_time and count:
        return context_by_time(trial, plan, wanted, draws)
    reach = reach_of(trial.make(), plan)
    if plan is None or not count:
        return Outcome("context", what, "equal")
    start: Start = "session" if "session" in _starts(plan) else ""
    firsts = np.unique(draws.integers(0, count, MOMENTS))
    if trial.joins:  # of the rows of one time none is before another for a join
        firsts = np.unique(np.searchsorted(trial.day.times_ns, trial.day.times_ns[firsts]))

    def apart(reaching: Reaching, compared: Compared) -> Difference | None:
        differences = _differences(trial, plan, wanted, firsts.tolist(), reaching, compared)
        return next((difference for difference in differences if difference is not None), None)

    for more in (1, TIMES):
        reaching = Reaching(Reach(reach.rows * more, reach.ns * more), start)
        differs = apart(reaching, _compared(plan, reaching))
        if differs is not None:
            cause = f"hangs on rows before its context, which is {reach_words(reaching.reach)}"
            return Outcome(
                "context", what, "differs", differs, cause, ("with all rows", "with its context alone")
            )
    node, column, own = _farthest(plan)
    if own == Reach():
        return Outcome("context", what, "equal")
    compared = {node: [*dict.fromkeys([*trial.key_of(node), trial.on, column])]}
    short = _too_short(own, lambda reaching: apart(reaching, compared) is not None)
    least = "hangs on no row before, over this day" if short is None else f"fails with {reach_words(short)}"
    return Outcome("context", what, f"enough; {node}.{column} {least}")


def reach_words(reach: Reach) -> str:
    """`5 min and 1 row`."""
    rows = f"{reach.rows:,} row{'s' * (reach.rows != 1)}"
    if not reach.ns:
        return rows if reach.rows else "nothing"
    return length_words(reach.ns) + (f" and {rows}" if reach.rows else "")


def length_words(ns: int) -> str:
    """A length of time to the second, `4 min 59 s`; one with a part of a second is rounded."""
    if ns < NS_PER_MINUTE or ns % NS_PER_S:
        return duration(ns)
    parts = []
    for unit, size in LENGTHS:
        count, ns = divmod(ns, size)
        parts += [f"{count:,} {unit}"] if count else []
    return " ".join(parts)


def _farthest(plan: Plan) -> tuple[str, str, Reach]:
    """Of the features that hang on no start the one that looks back farthest: node, column, how far."""
    windows = [
        (node.name, column, node.features.reaches[column])
        for node in plan.nodes
        for column in node.features.columns
        if node.carried is not None and column in node.carried and not node.features.starts[column]
        if node.tiles is None  # whose context is tried by itself
    ]
    return max(windows, key=lambda one: (one[2].ns, one[2].rows), default=("", "", Reach()))


def _too_short(reach: Reach, fails: Callable[[Reaching], bool]) -> Reach | None:
    """The longest reach that is not enough; None where nothing is."""
    back_first = fails(Reaching(reach, back_first=False))
    steps = min(STEPS, reach.ns) if reach.ns else reach.rows

    def part(step: int) -> Reach:
        return Reach(reach.rows, reach.ns * step // steps) if reach.ns else Reach(step)

    enough, short = steps, -1
    while enough - short > 1:
        step = (enough + short) // 2
        if fails(Reaching(part(step), back_first=back_first)):
            short = step
        else:
            enough = step
    return None if short < 0 else part(short)


def _starts(plan: Plan) -> set[Start]:
    """All starts that features hang on."""
    return {start for node in plan.nodes for start in node.features.starts.values()}


def _compared(plan: Plan, reaching: Reaching) -> Compared:
    """By node the features that hang on no earlier start than that."""
    kept: dict[str, list[str]] = {}
    for node in plan.nodes:
        starts = node.features.starts
        if node.carried is not None:
            kept[node.name] = [
                name
                for name in node.carried
                if latest_start([starts.get(name, ""), reaching.start]) == reaching.start
            ]
    return kept


def _differences(
    trial: Trial,
    plan: Plan,
    wanted: Outputs,
    firsts: list[int],
    reaching: Reaching,
    compared: Compared,
) -> Iterator[Difference | None]:
    day, roots = trial.day, {name: trial.root_of(name) for name in compared}
    # A node that has other rows than its root is named by the second judge.
    whole = [name for name, root in roots.items() if wanted[name].num_rows == day.roots[root].rows.num_rows]
    for first in firsts:
        before = rows_before(trial, plan, first, reaching)
        end = _compared_end(trial, first)
        begins, ends = day.before(first), day.before(end)
        tables = {
            name: one_batch(pa.Table.from_batches([before.roots[name].rows, rows]))
            for name, rows in day.part(first, end).items()
        }
        made = trial.run(day.with_rows(tables))
        as_it_was, anew = dict[str, pa.RecordBatch](), dict[str, pa.RecordBatch]()
        for name in whole:
            root, columns = roots[name], compared[name]
            rows = wanted[name].slice(begins[root], ends[root] - begins[root])
            as_it_was[name] = rows.select(columns)
            anew[name] = made[name].slice(before.roots[root].rows.num_rows).select(columns)
        yield difference(trial, as_it_was, anew)


def _compared_end(trial: Trial, first: int) -> int:
    """Before which place rows are compared; for a join all rows of one time are there, or none."""
    times, end = trial.day.times_ns, first + COMPARED_ROWS
    if end >= times.size:
        return times.size
    return int(np.searchsorted(times, times[end - 1], "right")) if trial.joins else end
