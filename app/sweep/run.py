"""A sweep: every variant over every day, its outputs written, and what came of it in a table."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.batch.outputs import Outputs
from app.config import Settings
from app.day.history import find_days, join_of_days
from app.day.reading import Reading
from app.day.record import SETTINGS
from app.day.request import ReplayRequest
from app.day.summary import write_json
from app.day.without_bus import make_pipeline
from app.errors import UsageError
from app.process.clock import monotonic_ns
from app.sweep.cache import Cache
from app.sweep.node_rows import Made, node_rows
from app.sweep.root_rows import root_rows
from app.sweep.variants import Variant, settings_of
from app.wiring.pipeline import warm_up
from app.wiring.planning import graph_plan
from app.wiring.resolved import ID_LENGTH, settings_id
from app.words import table_lines
from operators.sealed import ALIGNED
from replay.store.day import Day
from schemas.clocks import NS_PER_S

if TYPE_CHECKING:
    from replay.store.objects import Folder

NAME: Final = "sweep.json"
PARITY_LENGTH: Final = 8  # hex digits that are shown


@dataclass(frozen=True, kw_only=True)
class Result:
    """A variant over a day.  `parity` and `rows` are by output, `parity` of its partitions in their order.

    `settings` and `graph` are ids: equal ids over equal inputs, equal rows.  `computed` and `known` name the
    nodes, and the roots they read, that were computed, or came from the cache.
    """

    variant: str
    date: str
    settings: str
    graph: str
    rows: dict[str, int]
    parity: dict[str, list[str]]
    seconds: float
    computed: list[str]
    known: list[str]
    rows_dead: int


def run_sweep(
    dates: Sequence[str],
    variants: Sequence[Variant],
    request: Callable[[str], ReplayRequest],
    cache: Cache,
    say: Callable[[str], None],
) -> list[Result]:
    """Run every variant over every day; outputs lie in OUT/VARIANT/NODE, of several days in day=DATE there.

    All settings are read, and all graphs planned, before anything is computed.  Raises UsageError where one
    is not valid, naming the variant.
    """
    first = request(dates[0])
    base = first.settings()
    wanted = {one.name: _settings(base, one, first.out / one.name / SETTINGS) for one in variants}
    warm_up(base, wire=False)
    results = []
    store: Folder | None = None
    for date in dates:
        own = request(date)
        if store is None:
            history, days = find_days(
                date, base.stream_names, data=own.data, store=own.store, reading=own.reading, say=say
            )
            store = None if own.data is None else history.root  # imported: once is enough
        else:
            _, days = find_days(date, base.stream_names, data=None, store=store, reading=Reading(), say=say)
        for settings in wanted.values():
            graph_plan(settings, join_of_days(settings, days), "")
        for name, settings in wanted.items():
            folder = first.out / name
            results.append(_run(own, name, settings, days, folder, cache, several=len(dates) > 1))
            cache.trim()
            say(f"{name}, {date}: {results[-1].seconds:.1f} s")
    write_json(first.out / NAME, {"results": [asdict(one) for one in results]})
    return results


def result_lines(results: Sequence[Result]) -> Iterator[str]:
    """The table of a sweep: a line for each variant, day and output."""
    header = ("variant", "date", "settings", "graph", "output", "rows", "parity", "s", "from the cache")
    rows = []
    for one in results:
        known = ", ".join(one.known) or "nothing"
        for output, count in one.rows.items():
            rows.append(
                (
                    *(one.variant, one.date, one.settings, one.graph, output, f"{count:,}"),
                    _short(one.parity[output]),
                    f"{one.seconds:.1f}",
                    known,
                )
            )
    yield from table_lines(header, rows, right=("rows", "s"))


def _settings(base: Settings, variant: Variant, file: Path) -> Settings:
    """The settings of a variant; raises UsageError naming it."""
    try:
        settings = settings_of(base, variant, file)
    except UsageError as wrong:
        words = str(wrong)
        named = words if words.startswith(f"variant {variant.name}") else f"variant {variant.name}: {words}"
        raise UsageError(named) from None
    if not settings.node_outputs:
        raise UsageError("a sweep is of graphs, and no node has an output: write a table [graph.NAME.out]")
    if settings.stream_names != base.stream_names:
        raise UsageError(f"variant {variant.name} has other streams: run it by itself")
    for name in settings.node_outputs:
        out = settings.graph.nodes[name].out
        if out is not None and out.available:
            raise UsageError(
                f"variant {variant.name}: graph.{name}.out.available is of the inputs, which a cache of rows "
                "does not have: leave it out, or run backtest without --set and --variants"
            )
    return settings


def _run(
    request: ReplayRequest,
    name: str,
    wanted: Settings,
    days: Sequence[Day],
    folder: Path,
    cache: Cache,
    *,
    several: bool,
) -> Result:
    begun_ns = monotonic_ns()
    pipeline = make_pipeline(
        wanted, days, folder, prefix="sweep", grace_ns=request.grace_ns_for(days, wanted)
    )
    roots, were_known = root_rows(pipeline, days, cache)
    outputs = [output for output in pipeline.sinks(0) if output != ALIGNED]
    folders = {
        output: folder / output / f"day={request.date}" if several else folder / output for output in outputs
    }
    sinks = [
        {output: sink for output, sink in pipeline.sinks(number).items() if output in folders}
        for number in range(len(roots))
    ]
    made: list[Made] = []
    with Outputs(sinks, folders, folder, pipeline.settings.pipeline.right, {}) as files:
        for of_task, entries in zip(files.files, roots, strict=True):
            made.append(node_rows(pipeline, entries, of_task, cache))
        files.keep()
        rows = {output: sum(of[output].rows for of in files.files) for output in folders}
    shutil.rmtree(folder / "schemas", ignore_errors=True)
    shutil.rmtree(folder / "state", ignore_errors=True)
    known, computed = _names(one.known for one in made), _names(one.computed for one in made)
    read = list(roots[0])
    assert pipeline.graph is not None, "it has outputs"
    return Result(
        variant=name,
        date=request.date,
        settings=settings_id(pipeline.settings),
        graph=pipeline.graph.meaning[:ID_LENGTH],
        rows=rows,
        parity={output: [str(one.parities[output]) for one in made] for output in folders},
        seconds=round((monotonic_ns() - begun_ns) / NS_PER_S, 3),
        computed=[*([] if were_known else read), *computed],
        known=[*(read if were_known else []), *(one for one in known if one not in computed)],
        rows_dead=sum(one.failed_tiles for one in made),
    )


def _names(groups: Iterable[Sequence[str]]) -> list[str]:
    """All names, each once, in their order."""
    return list(dict.fromkeys(name for group in groups for name in group))


def _short(parities: Sequence[str]) -> str:
    """Some digits that are equal where all parities are."""
    return hashlib.sha256(" ".join(parities).encode()).hexdigest()[:PARITY_LENGTH]
