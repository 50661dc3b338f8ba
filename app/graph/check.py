"""The check of a graph over a day: every way in which its bits could hang on more than they say."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from app.config import Settings
from app.day.history import GENERATED, find_days, join_of_days
from app.day.reading import Reading
from app.errors import UsageError
from app.graph.arrival import SHUFFLE_NS, Joined, join_days, join_shuffled, rows_in_order
from app.graph.columns import newest_date
from app.graph.day_rows import RootRows
from app.graph.experiments import experiments
from app.graph.judge import second_judge
from app.graph.labels import as_far, more_words
from app.graph.outcome import Outcome
from app.graph.sample import sample_of
from app.graph.trial import Outputs, Trial, by_time, difference, one_batch
from app.lock.changes import require_meanings
from app.wiring.planning import graph_plan
from app.words import duration
from operators.graph.graph import Graph
from operators.hashing.parity import Parity, sealed_hashes
from operators.sealed import ALIGNED
from replay.store.day import Day
from replay.store.days import HistoryStore
from replay.store.objects import Folder
from schemas.clocks import clock_column

DATE: Final = "2024-01-15"  # is generated where there is no history
PARTITIONS: Final = (1, 4)
NAME_WIDTH: Final = 14
WHAT_WIDTH: Final = 72
PARITY_LENGTH: Final = 8  # hex digits that are shown


class Report(NamedTuple):
    """What a check came to: lines to read, and whether all was equal."""

    lines: list[str]
    equal: bool


def days_to_check(
    settings: Settings, on: str | None, data: Path | None, store: Folder | None, say: Callable[[str], None]
) -> list[Day]:
    """The day of each input; raises UsageError, before anything else, where the graph cannot be checked.

    Without a date it is the newest of the history.
    """
    if not settings.graph.nodes:
        raise UsageError(
            f"{settings.file or 'settings'}: there is no graph, no table [graph.NAME] with features"
        )
    if on is None and data is not None:
        raise UsageError("--data needs --on: which day of it to check over")
    date = on or newest_date(HistoryStore(store or GENERATED), settings) or DATE
    _, days = find_days(date, settings.stream_names, data=data, store=store, reading=Reading(), say=say)
    asof = join_of_days(settings, days)
    graph_plan(settings, asof, "")  # which names all that is wrong with it
    require_meanings(settings, asof)
    return days


def check_graph(
    settings: Settings,
    days: Sequence[Day],
    seed: int,
    say: Callable[[str], None],
    *,
    whole_day: bool = False,
) -> Report:
    """Check the graph of the settings over these days; each line is said as it is known.

    Where it calls functions a part of the day is taken, unless it is to be the `whole_day`.  Raises
    UsageError where the day has no row to check.
    """
    with TemporaryDirectory(prefix="tidemark-graph-") as folder:
        if not whole_day:
            plan = graph_plan(settings, join_of_days(settings, days), "")
            draws = np.random.default_rng([seed, SAMPLE])
            sample = sample_of(settings, days, plan, Path(folder) / "sample", draws)
            days = sample.days
            if sample.words:
                say(sample.words)
        joined = join_days(settings, days, Path(folder) / "published")
        trial = trial_of(joined)
        if trial.rows.num_rows == 0:
            raise UsageError(f"{days[0].date} has no row of {settings.pipeline.left} to check a graph with")
        wanted = trial.run()
        keys = sum(1 for _ in trial.day.by_symbol())
        of_streams = [f"{one.rows.num_rows:,} of {name}" for name, one in trial.streams.items()]
        counts = ", ".join([f"{trial.rows.num_rows:,} rows", *of_streams])
        say(f"{', '.join(wanted)}: {counts}, {keys:,} symbols, seed {seed}")
        outcomes = []
        for outcome in _outcomes(settings, days, Path(folder), joined, trial, wanted, seed):
            say(outcome_line(outcome))
            outcomes.append(outcome)
    return Report(verdict(trial, wanted, outcomes), all(one.difference is None for one in outcomes))


def trial_of(joined: Joined) -> Trial:
    """The joined rows of a run on one partition, the streams that its graph reads, and the graph."""
    plan, settings = joined.pipeline.graph, joined.pipeline.settings
    assert plan is not None, "a graph is checked that is there"
    return Trial(
        make=lambda: Graph(plan),
        rows=one_batch(joined.rows[ALIGNED]),
        on=clock_column(settings.pipeline.clock),
        key=joined.pipeline.asof.left.key,
        plan=plan,
        streams={
            name: RootRows(rows_in_order(joined.pipeline, name), stream.key)
            for name, stream in plan.streams.items()
        },
        end_ns=joined.end_ns,
    )


def verdict(trial: Trial, wanted: Outputs, outcomes: Sequence[Outcome]) -> list[str]:
    """The last lines: parity where all is equal, else the first row that differs, both values and the cause.

    A feature can fail several experiments for one reason.  That which fails the same pass twice fails all,
    what looks ahead fails cuts too, and so on: the first of the order below is the cause.
    """
    failed = {one.name: one for one in outcomes if one.difference is not None}
    if not failed:
        parities = ", ".join(f"{name} {_parity(rows)}" for name, rows in wanted.items())
        return [f"parity {parities}"]
    # Of a function that mixes symbols a value hangs on later rows too, those of others in its tile.
    causes = (CAUSES[0], "symbols", *CAUSES[1:]) if trial.calls else CAUSES
    name = next(name for name in causes if name in failed)
    outcome = failed[name]
    apart = outcome.difference
    assert apart is not None, "only what differs is here"
    subject = f"{apart.node}.{apart.column}" if apart.column else apart.node
    lines = [f"{_place_of(trial, apart.node)}{subject}: {outcome.cause}"]
    if apart.counts is not None:
        first, second = apart.counts
        lines.append(f"  {first:,} rows {outcome.ways[0]}, {second:,} {outcome.ways[1]}")
    elif apart.column:
        lines.append(f"  first at {trial.describe(apart)}, {outcome.ways[0]} and {outcome.ways[1]}")
    return lines


def outcome_line(outcome: Outcome) -> str:
    """An experiment in a line."""
    return f"  {outcome.name:<{NAME_WIDTH}} {outcome.what:<{WHAT_WIDTH}} {outcome.result}"


SAMPLE: Final = 10  # the stream of a seed that the sample is drawn from; experiments have those below
CAUSES: Final = (
    *("twice", "look-ahead", "labels", "models", "symbols", "functions", "cuts", "context", "restart"),
    *("arrival", "second judge"),
)


def arrival(trial: Trial, wanted: Outputs, runs: Iterable[tuple[str, Joined]]) -> Outcome:
    """The rows that workers made of the same day, which arrived and was shared out as each run says."""
    what = f"shuffled by up to {duration(SHUFFLE_NS)} within the grace; 1 and 4 partitions"
    ordered = {name: by_time(trial, name, pa.Table.from_batches([rows])) for name, rows in wanted.items()}
    most = 0
    for way, run in runs:
        actual, more = as_far(
            trial, ordered, {name: by_time(trial, name, run.rows[name]) for name in ordered}
        )
        most = max(most, more)
        apart = difference(trial, ordered, actual, places=False)
        if apart is not None:
            cause = "hangs on the order of arrival, on partitions, or on who runs it"
            return Outcome("arrival", what, "differs", apart, cause, ("in one pass", way))
    return Outcome("arrival", what, "equal" + more_words(most))


def _outcomes(
    settings: Settings,
    days: Sequence[Day],
    folder: Path,
    joined: Joined,
    trial: Trial,
    wanted: Outputs,
    seed: int,
) -> Iterator[Outcome]:
    yield from experiments(trial, wanted, seed)
    yield arrival(trial, wanted, _runs(settings, days, folder, joined, seed))
    yield second_judge(trial, wanted, joined.pipeline.declared)


def _runs(
    settings: Settings, days: Sequence[Day], folder: Path, joined: Joined, seed: int
) -> Iterator[tuple[str, Joined]]:
    yield "by the worker, as published", joined
    for n in PARTITIONS:
        draws = np.random.default_rng([seed, len(CAUSES) + n])
        run = join_shuffled(settings, days, folder / f"shuffled-{n}", n, draws)
        yield f"by the worker, shuffled, {n} partition{'s' * (n > 1)}", run


def _place_of(trial: Trial, node: str) -> str:
    """Where the function of a node stands, for the beginning of a line; empty for another node."""
    nodes = () if trial.plan is None else trial.plan.nodes
    tiles = next((one.tiles for one in nodes if one.name == node), None)
    return "" if tiles is None else f"{tiles.function.place}  "


def _parity(rows: pa.RecordBatch) -> str:
    _, _, digits = str(Parity().roll(sealed_hashes(rows))).partition("-")
    return digits[:PARITY_LENGTH]
