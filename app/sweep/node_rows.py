"""The nodes of one task over the calls of its roots: those whose rows are known are not computed again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from app.batch.outputs import OutputFile
from app.errors import RunError
from app.sweep.cache import Cache, Call, Entry, key_of
from app.wiring.pipeline import Pipeline
from operators.graph.graph import make_node
from operators.graph.plan import Plan, PlannedNode
from operators.graph.row_keys import row_keys
from operators.graph.running import RunningNodes, sessions_by_time
from operators.hashing.parity import Parity, sealed_hashes
from operators.node import Context, Node
from operators.rows.groups import Groups
from operators.sealed import ALIGNED, Entries, Sealed, Snapshot
from schemas.batch import Int64s
from schemas.clocks import clock_column

EVER_NS: Final = 2**63 - 1


class Made(NamedTuple):
    """What became of a task: parities of its outputs, and the nodes that were computed, or known."""

    parities: dict[str, Parity]
    computed: tuple[str, ...]
    known: tuple[str, ...]
    failed_tiles: int


def node_rows(
    pipeline: Pipeline, roots: Mapping[str, Entry], files: Mapping[str, OutputFile], cache: Cache
) -> Made:
    """Run the graph of a task over the rows of its roots, and write the outputs.

    Raises RunError where a function failed and the settings say to stop.
    """
    plan = pipeline.graph
    assert plan is not None, "a sweep is of graphs"
    models = _models(plan)
    keys = {node.name: _key(node, roots, models[node.name]) for node in plan.nodes}
    known = {name: entry for name, key in keys.items() if (entry := cache.find(key)) is not None}
    needed = _needed(plan, known)
    used = {name: entry for name, entry in known.items() if name in needed}
    return _Run(pipeline, plan, needed, used, roots).run(files, cache, keys)


class _Run:
    """One pass over the calls of a task."""

    def __init__(
        self,
        pipeline: Pipeline,
        plan: Plan,
        needed: frozenset[str],
        used: Mapping[str, Entry],
        roots: Mapping[str, Entry],
    ) -> None:
        self._pipeline = pipeline
        self._nodes = {node.name: node for node in plan.nodes if node.name in needed}
        self._known = used
        computed = [node for node in self._nodes.values() if node.name not in used]
        self._computed = tuple(node.name for node in computed)
        read = {name for node in computed for name in node.reads}
        self._calls = max(entry.calls for entry in roots.values())
        self._roots = {name: entry for name, entry in roots.items() if name in read}
        part = replace(plan, nodes=tuple(self._nodes.values()))
        self._graph = RunningNodes(part, self._make, Groups())
        self._plan = plan
        self._on = clock_column(pipeline.asof.clock)
        streams = {name: stream.key for name, stream in plan.streams.items()}
        self._key_of = {ALIGNED: pipeline.asof.left.key, **streams}
        self._key_of |= {name: node.key for name, node in self._nodes.items()}

    def run(self, files: Mapping[str, OutputFile], cache: Cache, keys: Mapping[str, str]) -> Made:
        """Write the outputs to `files`, and what was computed to the cache."""
        outputs = {name: node.output for name, node in self._nodes.items() if name in files}
        parities = dict.fromkeys(outputs, Parity())
        failed = 0
        layouts = {name: self._nodes[name].features.layout for name in self._computed}
        writings = {name: cache.writing(keys[name], layout) for name, layout in layouts.items()}
        try:
            for sealed in self._sealed():
                for name, writing in writings.items():
                    writing.add(sealed[name], self._own_sessions(sealed[name]))
                for name, output in outputs.items():
                    assert output is not None, "it has a file"
                    rows = output.choose(sealed[name]).rows
                    if rows is not None and rows.num_rows:
                        files[name].write(rows)
                        parities[name] = parities[name].roll(sealed_hashes(rows))
                failed += self._failures()
        except BaseException:
            for writing in writings.values():
                writing.abandon()
            raise
        for writing in writings.values():
            # Of tiles that failed a run is to speak each time.
            writing.abandon() if failed else writing.keep()
        return Made(parities, self._computed, tuple(self._known), failed)

    def _sealed(self) -> Iterator[dict[str, Sealed]]:
        """What roots and nodes gave, call by call."""
        roots = {name: entry.read() for name, entry in self._roots.items()}
        used = {name: entry.read() for name, entry in self._known.items()}
        for _ in range(self._calls):
            yield self._graph.run(
                {name: self._keyed(name, next(calls)) for name, calls in roots.items()},
                {name: self._keyed(name, next(calls)) for name, calls in used.items()},
            )

    def _keyed(self, name: str, call: Call) -> Sealed:
        """Rows with the symbols of this task."""
        sealed, session = call
        if sealed.rows is None:
            return sealed
        keys = row_keys(sealed.rows, self._key_of[name], self._on, self._graph.groups)
        return sealed._replace(keys=keys if session is None else keys._replace(session=session))

    def _own_sessions(self, sealed: Sealed) -> Int64s | None:
        """The sessions of rows where their times do not say them: a bar that ends one is of it.

        What times say is left to whoever reads the rows, for that is the anchor's, and not in every meaning.
        """
        keys = sealed.keys
        if sealed.rows is None or keys is None or not keys.session.size:
            return None
        by_time = sessions_by_time(self._plan.sessions, keys.time_ns, made=True)
        return None if np.array_equal(keys.session, by_time) else keys.session

    def _make(self, planned: PlannedNode, groups: Groups) -> Node:
        return _Known(planned) if planned.name in self._known else make_node(planned, groups)

    def _failures(self) -> int:
        """How many tiles failed in a call."""
        worker, failed = self._pipeline.settings.worker, self._graph.failures()
        for one in failed:
            if worker.dead == "fail":
                raise RunError(f'{one.words}; worker.dead = "fail" stops here')
        return len(failed)


class _Known:
    """A node whose rows are known: it is never run."""

    def __init__(self, planned: PlannedNode) -> None:
        self.name = planned.name
        self.meaning = planned.meaning
        self.layout = planned.features.layout
        self.needs = Context()

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Its rows are known."""
        raise AssertionError(f"{self.name} is known, and was run with {len(upstream)} inputs")

    def snapshot(self) -> Snapshot:
        """It remembers nothing."""
        return Snapshot((), ())

    def restore(self, entries: Entries) -> None:
        """It has nothing to take back."""


def _needed(plan: Plan, known: Mapping[str, Entry]) -> frozenset[str]:
    """The outputs, and what has to be computed or read for those that are not known."""
    needed = {node.name for node in plan.nodes if node.carried is not None}
    for node in reversed(plan.nodes):
        if node.name in needed and node.name not in known:
            needed |= {*node.reads}
    return frozenset(needed)


def _models(plan: Plan) -> dict[str, list[str]]:
    """By node the models that its rows hang on, its own and those of nodes that it reads: hashes of them."""
    behind: dict[str, list[str]] = {}
    for node in plan.nodes:
        own = None if node.tiles is None else node.tiles.function.models
        hashes = {one for name in node.reads for one in behind.get(name, [])}
        behind[node.name] = sorted(hashes | ({own.digest(EVER_NS)} if own is not None else set()))
    return behind


def _key(node: PlannedNode, roots: Mapping[str, Entry], models: Sequence[str]) -> str:
    """All that the rows of a node follow from: its meaning and columns, the rows of its roots, its models."""
    layout = [(one.name, str(one.type), one.nullable) for one in node.features.layout]
    inputs = [(name, roots[name].parity, roots[name].cuts) for name in node.roots]
    return key_of("node", node.meaning, layout, node.key, inputs, *([models] if models else []))
