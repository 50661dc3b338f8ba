"""The experiments of a check: each runs the same rows in another way, and says where they come out other."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.graph.context import context, take_again
from app.graph.day_rows import RootRows, by_key
from app.graph.functions import functions
from app.graph.labels import as_far, before, cause_ahead, labels, more_words
from app.graph.models import has_models, models
from app.graph.outcome import Outcome
from app.graph.trial import Difference, Outputs, Trial, difference, one_batch
from operators.entries import KeptEntries
from operators.inputs.progress import RowPlace
from operators.sealed import Sealed
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

CUTS: Final = 200
CUT_ROWS: Final = (1, 100, 10_000)
SINGLE_ROWS_MAX: Final = 2_000  # cut one by one: each call costs as much as a hundred rows
MOMENTS: Final = 64
MOMENTS_OF_CALLS: Final = 16  # where functions are called
KILLS: Final = 40
LOSSES: Final = 4  # every fourth kill loses all state
GAP_NS_MAX: Final = 1_000_000_000  # between rows that are put in the place of others
OTHERS_MAX: Final = 1_000  # of each root, where rows are made of them: prices far away make thousands of bars
OTHERS_OF_CALLS: Final = 100  # so that they lie in some tiles alone
CHANGE: Final = (0.5, 2.0)  # of floats: times so much
CHANGE_OF_BARS: Final = (0.99, 1.01)


def experiments(trial: Trial, wanted: Outputs, seed: int) -> Iterator[Outcome]:
    """Every experiment on rows alone, with `wanted` made in one pass; the same seed draws the same."""
    runs: tuple[Callable[[Trial, Outputs, np.random.Generator], Outcome], ...]
    runs = (twice, cuts, look_ahead, restart, symbols, context)
    extra = ((functions, trial.calls), (labels, trial.labels.nodes), (models, has_models(trial)))
    more = [run for run, there in extra if there]
    for number, run in enumerate((*runs, *more)):
        yield run(trial, wanted, np.random.default_rng([seed, number]))


def twice(trial: Trial, wanted: Outputs, _: np.random.Generator) -> Outcome:
    """The same rows in the same calls."""
    return _outcome(
        "twice",
        "the same pass again",
        difference(trial, wanted, trial.run()),
        "not the same twice: it reads something besides its rows, such as a clock or a random number",
        ("in one pass", "in the same pass again"),
    )


def cuts(trial: Trial, wanted: Outputs, draws: np.random.Generator) -> Outcome:
    """The same rows cut into other calls."""
    count = trial.day.count
    random = np.unique(draws.integers(1, max(count, 2), CUTS))
    ways = [(f"{random.size} random cuts", [int(cut) for cut in random if cut < count])]
    for rows in CUT_ROWS:
        start = int(draws.integers(0, max(count - SINGLE_ROWS_MAX, 0) + 1)) if rows == 1 else rows
        stop = min(start + SINGLE_ROWS_MAX, count) if rows == 1 else count
        ways.append((f"cuts of {rows:,}", list(range(max(start, 1), stop, rows))))
    what = f"one pass against {random.size} random cuts and cuts of 1, 100, 10,000 rows"
    for way, edges in ways:
        apart = difference(trial, wanted, trial.run(cuts=edges))
        if apart is not None:
            cause = "keeps state over cuts: its value hangs on how rows were cut into calls"
            return _outcome("cuts", what, apart, cause, ("in one pass", f"in {way}"))
    return _outcome("cuts", what)


def look_ahead(trial: Trial, wanted: Outputs, draws: np.random.Generator) -> Outcome:
    """Rows before a moment, with other rows from it on, of every root."""
    day = trial.day
    count = min(MOMENTS, MOMENTS_OF_CALLS) if trial.calls else MOMENTS
    moments = np.unique(day.times_ns[draws.integers(0, day.count, count)])
    what = f"rows from {moments.size} moments on replaced by others"
    for moment_ns in moments.tolist():
        firsts = day.before(int(np.searchsorted(day.times_ns, moment_ns)))
        others = {name: _with_others(trial, root, firsts[name], draws) for name, root in day.roots.items()}
        outputs = trial.run(day.with_rows(others))
        apart = difference(trial, *before(trial, wanted, outputs, moment_ns))
        if apart is not None:
            ways = ("as it was", "with other rows behind it")
            return _outcome("look-ahead", what, apart, cause_ahead(trial, apart), ways)
    result = "equal before each" + (", labels where they end before" if trial.labels.nodes else "")
    return Outcome("look-ahead", what, result)


def restart(trial: Trial, wanted: Outputs, draws: np.random.Generator) -> Outcome:
    """Graphs that die between two rows, and new ones that go on from the last snapshot, or from none.

    Without one the rows that a node says it needs are taken again.
    """
    count = trial.day.count
    kills = np.unique(draws.integers(1, max(count, 2), KILLS)).tolist()
    kills = [kill for kill in kills if kill < count]
    stops = [int(draws.integers(0, kill + 1)) for kill in kills]
    losses = 0 if trial.plan is None else len(kills) // LOSSES
    if trial.joins:  # no root is sealed in the midst of a time, and what a join was given in part is not kept
        stops = np.searchsorted(trial.day.times_ns, trial.day.times_ns[stops]).tolist()
    calls, lost = _with_kills(trial, kills, stops, losses=losses > 0)
    what = f"{len(kills)} kills" + (f", {losses} of them without local state" if losses else "")
    apart = Difference(lost[0], "") if lost else difference(trial, wanted, trial.gather(calls))
    cause = "cannot take back its own snapshot" if lost else "loses state: its snapshot lacks what it needs"
    if apart is not None and losses and not lost:
        calls, _ = _with_kills(trial, kills, stops, losses=False)
        if difference(trial, wanted, trial.gather(calls)) is None:
            cause = "cannot be made anew: it hangs on rows before those that it says it needs"
    return _outcome("restart", what, apart, cause, ("in one pass", f"with {len(kills)} restarts"))


def _with_kills(
    trial: Trial, kills: list[int], stops: list[int], *, losses: bool
) -> tuple[list[dict[str, Sealed]], tuple[str, ...]]:
    """What graphs give that die before the rows `kills`, and the nodes that failed.

    The last snapshot that each wrote is of before the rows `stops`.
    """
    day, count = trial.day, trial.day.count
    kept: dict[bytes, bytes] = {}
    graph, calls, done = trial.make(), list[dict[str, Sealed]](), 0
    lost: tuple[str, ...] = ()
    for number, (kill, stop) in enumerate(zip([*kills, count], [*stops, count], strict=True), 1):
        last = max(done, stop)
        if last > done:
            calls += map(dict, trial.pass_through(graph, day, span=(done, last)))
        if last:  # nobody keeps a state of no row: it would stand nowhere
            snapshot = graph.snapshot(places_before(trial, last))
            kept.update(snapshot.puts)
            for key in snapshot.deletes:
                kept.pop(key, None)
        if kill > last:  # what was taken behind the snapshot is taken again by the next graph
            list(trial.pass_through(graph, day, span=(last, kill)))
        graph, done = trial.make(), last
        if losses and number % LOSSES == 0 and trial.plan is not None:
            kept.clear()
            take_again(trial, trial.plan, graph, done)
        else:
            lost += graph.restore(KeptEntries(kept.items()), {})
    return calls, lost


def places_before(trial: Trial, place: int) -> Mapping[str, RowPlace]:
    """By root the place of its row before a place, by which nodes know what they took last."""
    day = trial.day
    counts = {name: count for name, count in day.before(place).items() if count}
    return {
        name: (int(day.roots[name].rows.column(trial.on)[count - 1].as_py()), 0, 0, count - 1)
        for name, count in counts.items()
    }


def symbols(trial: Trial, wanted: Outputs, _: np.random.Generator) -> Outcome:
    """The rows of each key alone, as if it had a partition of its own."""
    alone = [trial.run(day) for day in trial.day.by_symbol()]
    what = f"each of {len(alone):,} symbols alone"
    together = {name: by_key(outputs, trial.key_of(name)) for name, outputs in wanted.items()}
    one_by_one, more = as_far(trial, together, trial.gather_runs(alone))
    apart = difference(trial, together, one_by_one)
    cause = "mixes symbols: its value hangs on rows of another symbol"
    if apart is None and more:
        return Outcome("symbols", what, "equal" + more_words(more))
    return _outcome("symbols", what, apart, cause, ("with all symbols", "with this one alone"))


def _outcome(
    name: str,
    what: str,
    apart: Difference | None = None,
    cause: str = "",
    ways: tuple[str, str] = ("", ""),
) -> Outcome:
    return Outcome(name, what, "equal" if apart is None else "differs", apart, cause, ways)


def _with_others(trial: Trial, root: RootRows, first: int, draws: np.random.Generator) -> pa.RecordBatch:
    """The rows of a root, those from `first` on other ones."""
    if first == root.rows.num_rows:
        return root.rows
    return one_batch(pa.Table.from_batches([root.rows.slice(0, first), _others(trial, root, first, draws)]))


def _others(trial: Trial, root: RootRows, first: int, draws: np.random.Generator) -> pa.RecordBatch:
    """Rows in the place of those from `first` on: other values in another order, at other later times."""
    on, change = trial.on, CHANGE_OF_BARS if trial.makes_rows else CHANGE
    most = OTHERS_OF_CALLS if trial.calls else OTHERS_MAX if trial.makes_rows else None
    rows = root.rows.slice(first, most)
    count = rows.num_rows
    shuffled = rows.take(pa.array(draws.permutation(count)))
    columns = []
    for field, column in zip(rows.schema, shuffled.columns, strict=True):
        if field.name == on:
            start_ns = rows.column(field.name)[0].as_py()
            column = pa.array(start_ns + np.cumsum(draws.integers(0, GAP_NS_MAX, count)), field.type)
        elif field.name in (LEFT_OFFSET, LEFT_INDEX):
            column = rows.column(field.name)
        elif field.type in (pa.float32(), pa.float64()):
            column = pc.multiply(column, pa.array(draws.uniform(*change, count), pa.float64())).cast(
                field.type
            )
        elif pa.types.is_int64(field.type) and field.name not in root.key:
            column = pc.add(pc.bit_wise_and(column, (1 << 62) - 1), pa.array(draws.integers(1, 100, count)))
        elif pa.types.is_boolean(field.type):
            column = pc.invert(column)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)
