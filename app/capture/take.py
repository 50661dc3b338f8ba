"""A capture taken: where each task stands now and a while later, and the sealed rows in between.

Nothing is asked of a worker.  What it sealed lies in topics, committed once, and a commit says of each row
whether it was sealed by then; so a worker may die meanwhile, and a capture costs it nothing.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import tomli_w

from app.audit.auditable import require_auditable
from app.capture.edges import Edge, edge_of
from app.capture.folder import (
    SETTINGS,
    Captured,
    Span,
    open_rows,
    partition_folder,
    write_entries,
    write_rows,
    write_streams,
)
from app.capture.roots import StreamRows, group_of, since_of, split_joined, starts_at
from app.capture.stands import Stand, read_stands
from app.errors import RunError, UsageError
from app.process.clock import monotonic_ns, pause
from app.process.meter import Meter
from app.reading.between import rows_between
from app.reading.last_known import kept_entries
from app.wiring.pipeline import Pipeline
from app.wiring.resolved import resolved_tables
from operators.entries import KeptEntries, owner_prefix
from operators.graph.graph import Graph
from operators.operator import Missing
from operators.sealed import ALIGNED
from topics.catalogue import STATE

LOOK_S: Final = 0.2

Entries = dict[bytes, bytes]


def take_capture(
    pipeline: Pipeline,
    name: str,
    out: Path,
    *,
    length_ns: int | None,
    stopping: Callable[[], bool],
    say: Callable[[str], None],
) -> Captured:
    """Capture an edge for so long, or until `stopping`; None is all that there is from its beginning on.

    Raises UsageError where the edge or the folder cannot be, RunError where rows are gone, or where the graph
    changed meanwhile.
    """
    edge = edge_of(pipeline.graph, pipeline.settings.stream_names, name)
    _require_capturable(pipeline, edge)
    if out.exists():
        raise UsageError(f"{out} is there already: name another folder with --out")
    numbers = range(pipeline.settings.bus.partitions)
    if length_ns is None:
        entries: list[Entries] = [{} for _ in numbers]
        lower = {number: Stand() for number in numbers}
    else:
        # What nodes remember is read first: then it stands at the commits that follow, or before them.
        entries = [_entries(pipeline, edge, number) for number in numbers]
        lower = read_stands(pipeline)
        say(f"capturing {name} from {_words(lower)} on")
        until_ns = monotonic_ns() + length_ns
        while monotonic_ns() < until_ns and not stopping():
            pause(LOOK_S)
    upper = read_stands(pipeline)
    _require_one_graph(lower, upper)
    unfinished = out.with_name(f"{out.name}.unfinished")
    writing = _Writing(pipeline, edge, unfinished)
    spans = tuple(writing.partition(n, entries[n], (lower[n], upper[n])) for n in numbers)
    captured = Captured(edge.name, {node.name: node.meaning for node in edge.plan.nodes}, writing.live, spans)
    captured.write(unfinished)
    unfinished.rename(out)
    return captured


class _Writing:
    """Writes the rows of one task after another; `live` are the nodes whose rows lie in topics."""

    def __init__(self, pipeline: Pipeline, edge: Edge, folder: Path) -> None:
        """Begin the folder anew; raises UsageError where the disk refuses."""
        self._pipeline = pipeline
        self._edge = edge
        self._folder = folder
        self.live = tuple(node.name for node in edge.plan.nodes if node.carried is not None)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            raise UsageError(f"{folder} is left of a capture that was cut off: remove it") from None
        except OSError as refused:
            raise UsageError(f"{folder}: cannot be made: {refused.strerror}") from None
        (folder / SETTINGS).write_text(tomli_w.dumps(resolved_tables(pipeline.settings)))
        write_streams(folder, pipeline.streams)

    def partition(self, number: int, entries: Entries, span: tuple[Stand, Stand]) -> Span:
        """Write the rows of a task."""
        folder = partition_folder(self._folder, number)
        folder.mkdir()
        write_entries(folder / "state.arrow", entries.items())
        missing, begins_ns = self._needs(entries, span[0])
        rows: dict[str, int] = {}
        before: dict[str, int] = {}
        for root in self._edge.roots:
            if root == ALIGNED:
                before[root], rows[root] = self._joined(number, missing, span)
            else:
                since_ns = since_of(begins_ns.get(root), span[0])
                before[root], rows[root] = self._stream(number, root, since_ns, span)
        sinks = self._pipeline.sinks(number)
        for name in self.live:
            ends = (span[0].parity(name), span[1].parity(name))
            live = rows_between(self._pipeline, name, number, *ends, group=group_of(self._pipeline))
            write_rows(folder / f"live-{name}.arrow", sinks[name].schema, live)
        return Span(*span, rows, before)

    def _needs(self, entries: Entries, lower: Stand) -> tuple[Missing | None, Mapping[str, int]]:
        """The joined rows that nodes lack at a commit, and by stream from when on they lack some."""
        graph = Graph(self._edge.plan)
        graph.restore(KeptEntries(entries.items()), {}, from_topic=True)
        begins_ns = graph.resume(lower.places(self._edge.roots))
        return graph.missing, begins_ns

    def _joined(self, number: int, missing: Missing | None, span: tuple[Stand, Stand]) -> tuple[int, int]:
        schema = self._pipeline.asof.aligned_schema()
        counts = [0, 0]
        with ExitStack() as files:
            folder = partition_folder(self._folder, number)
            paths = (folder / f"before-{ALIGNED}.arrow", folder / f"{ALIGNED}.arrow")
            writes = [files.enter_context(open_rows(path, schema)) for path in paths]
            for parts in split_joined(self._pipeline, number, starts_at(missing, *span), span):
                for place, part in enumerate(parts):
                    if part.num_rows:
                        writes[place](part)
                        counts[place] += part.num_rows
        return counts[0], counts[1]

    def _stream(self, number: int, name: str, since_ns: int, span: tuple[Stand, Stand]) -> tuple[int, int]:
        rows = StreamRows(self._pipeline, number, name)
        folder = partition_folder(self._folder, number)
        before, within = rows.split(since_ns, span)
        return (
            write_rows(folder / f"before-{name}.arrow", rows.layout, [] if before is None else [before]),
            write_rows(folder / f"{name}.arrow", rows.layout, [] if within is None else [within]),
        )


def _entries(pipeline: Pipeline, edge: Edge, number: int) -> Entries:
    """What the nodes behind an edge remember by now, as their topic has it."""
    settings = pipeline.settings
    if STATE not in settings.restart_topics:
        return {}
    what = f"what nodes of partition {number} remember"
    kept = kept_entries(pipeline, STATE, number, group=group_of(pipeline), meter=Meter(), what=what)
    ours = tuple(owner_prefix(node.name, node.meaning) for node in edge.plan.nodes)
    return {key: value for key, value in kept.items() if key.startswith(ours)}


def _require_capturable(pipeline: Pipeline, edge: Edge) -> None:
    """Raise UsageError where topics do not say once what was sealed, or when."""
    settings = pipeline.settings
    if settings.worker.guarantee != "exactly_once":
        raise UsageError(
            'a capture goes by commits that make rows true once, and worker.guarantee = "at_least_once" '
            "sends some again"
        )
    waits = [node.name for node in edge.plan.nodes if node.has_own_rows]
    if ALIGNED in edge.roots and pipeline.asof.hold_ns and waits:
        raise UsageError(
            f"{waits[0]} makes rows of a join that looks ahead, and a commit does not say how far that was "
            'complete: capture a node of formulas, or join with direction = "backward"'
        )
    if any(root != ALIGNED for root in edge.roots):
        require_auditable(settings)


def _require_one_graph(lower: Mapping[int, Stand], upper: Mapping[int, Stand]) -> None:
    for number, stand in lower.items():
        if stand.rule and upper[number].rule != stand.rule:
            raise RunError(
                f"partition {number}: the join or the graph was changed while it was captured: capture again"
            )


def _words(stands: Mapping[int, Stand]) -> str:
    """How many rows there are so far."""
    rows = sum(stand.parity(ALIGNED).rows for stand in stands.values())
    return f"row {rows:,} of the join"
