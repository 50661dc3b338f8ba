"""How far back a graph's features hang on earlier rows, and whether it is as far as its nodes say."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from app.audit.past import Past
from app.graph.outcome import Outcome
from app.graph.trial import Difference, Outputs, Trial, difference
from app.words import duration
from operators.formula.history import Reach, Start, latest_start
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


def reach_of(graph: Graph) -> Reach:
    """The farthest that any node says that it looks back."""
    needs = graph.needs.values()
    return Reach(max((need.rows for need in needs), default=0), max((need.ns for need in needs), default=0))


def rows_before(trial: Trial, plan: Plan, first: int, reaching: Reaching) -> Int64s:
    """The places of the rows before row `first` that rows from it on hang on."""
    frame = pl.DataFrame(pa.Table.from_batches([trial.rows]))
    past = Past.of(frame.select(trial.on, *trial.key), trial.key, trial.on, plan.sessions.ids)
    stretches = past.stretches(by_session=False)
    session = past.session[stretches.order]
    parts = [np.empty(0, np.int64)]
    for lower, end in stretches.spans():
        place = lower + int(np.searchsorted(stretches.order[lower:end], first))
        if place == end:
            continue  # no later row hangs on its rows
        from_place = place
        if reaching.start == "genesis":
            from_place = lower
        elif reaching.start == "session":
            from_place = lower + int(np.argmax(session[lower:end] == session[place]))
        times = stretches.time_ns[lower:end]
        rows, ns = reaching.reach
        if ns:
            at = max(from_place - rows * reaching.back_first, lower)
            from_place = lower + int(np.searchsorted(times, stretches.time_ns[at] - ns, "right"))
        parts.append(stretches.order[max(from_place - rows, lower) : place])
    return np.sort(np.concatenate(parts))


def take_again(trial: Trial, plan: Plan, graph: Graph, first: int) -> None:
    """Let a new graph take what it needs of the rows before row `first`, for nothing but its state."""
    reaching = Reaching(reach_of(graph), latest_start(_starts(plan)))
    rows = trial.rows.take(pa.array(rows_before(trial, plan, first, reaching)))
    if rows.num_rows:
        list(trial.pass_through(graph, rows))


def context(trial: Trial, wanted: Outputs, draws: np.random.Generator) -> Outcome:
    """Rows from a moment on, with no more before them than the graph says that it needs."""
    what = "declared, ten times, and the least that is enough"
    plan, count = trial.plan, trial.rows.num_rows
    reach = reach_of(trial.make())
    if plan is None or not count:
        return Outcome("context", what, "equal")
    start: Start = "session" if "session" in _starts(plan) else ""
    firsts = np.unique(draws.integers(0, count, MOMENTS)).tolist()

    def apart(reaching: Reaching, compared: Compared) -> Difference | None:
        differences = _differences(trial, plan, wanted, firsts, reaching, compared)
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
    compared = {node: [*dict.fromkeys([*trial.key, trial.on, column])]}
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
    for first in firsts:
        before = rows_before(trial, plan, first, reaching)
        count = min(COMPARED_ROWS, trial.rows.num_rows - first)
        rows = trial.rows.take(pa.array(np.concatenate([before, np.arange(first, first + count)])))
        made = trial.run(rows)
        yield difference(
            trial,
            {name: wanted[name].slice(first, count).select(columns) for name, columns in compared.items()},
            {name: made[name].slice(before.size).select(columns) for name, columns in compared.items()},
        )
