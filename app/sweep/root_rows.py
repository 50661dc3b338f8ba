"""The rows of roots over a day of history, call by call: the join, and the streams that nodes read."""

from collections.abc import Mapping, Sequence

from app.batch.judge import Judge
from app.batch.run import progress_of, steps_of
from app.errors import RunError
from app.process.clock import now_ns
from app.settings.graph import GraphTable
from app.sweep.cache import Cache, Entry, Writing, key_of
from app.wiring.pipeline import Pipeline
from app.wiring.resolved import settings_id
from operators.graph.task_graph import RootsAlone
from operators.sealed import ALIGNED
from replay.publish.steps import Step
from replay.store.day import Day
from schemas.arrived import Arrived
from schemas.kernel_cache import fingerprint

RootEntries = list[dict[str, Entry]]  # by partition, those of each root


def root_rows(pipeline: Pipeline, days: Sequence[Day], cache: Cache) -> tuple[RootEntries, bool]:
    """The entries of all roots, and whether they were there already.

    Raises RunError where a policy of the settings is to stop.
    """
    names = [ALIGNED, *(() if pipeline.graph is None else pipeline.graph.streams)]
    keys = [{name: _key(pipeline, days, name, number) for name in names} for number in _numbers(pipeline)]
    entries = [{name: cache.find(key) for name, key in of.items()} for of in keys]
    if all(entry is not None for of in entries for entry in of.values()):
        return [{name: entry for name, entry in of.items() if entry is not None} for of in entries], True
    return _joined(pipeline, days, cache, keys), False


def _joined(
    pipeline: Pipeline, days: Sequence[Day], cache: Cache, keys: Sequence[Mapping[str, str]]
) -> RootEntries:
    """Join the day, and keep what each root gave."""
    settings = pipeline.settings
    judges = {name: Judge(settings, pipeline.streams[name]) for name in settings.stream_names}
    tasks = [_Task(pipeline, judges, cache, of) for of in keys]
    try:
        for step in steps_of(pipeline, days):
            for number, task in enumerate(tasks):
                task.take(step, number)
        return [task.finish() for task in tasks]
    except BaseException:
        for task in tasks:
            task.abandon()
        raise


class _Task:
    """The roots of one task, whose rows go to entries."""

    def __init__(
        self, pipeline: Pipeline, judges: Mapping[str, Judge], cache: Cache, keys: Mapping[str, str]
    ) -> None:
        self._pipeline = pipeline
        self._judges = judges
        self._operator = RootsAlone(pipeline.asof, pipeline.graph)
        self._writing: dict[str, Writing] = {
            name: cache.writing(key, self._operator.layouts[name]) for name, key in keys.items()
        }

    def take(self, step: Step, number: int) -> None:
        """Take the rows of a step, and write what is final with them."""
        released_ns = now_ns()
        for stream, judge in self._judges.items():
            batch = step.batches.get(stream, {}).get(number)
            accepted = None if batch is None else judge.accepted(batch)
            progress = progress_of(step, stream, number)
            self._operator.push(stream, Arrived(accepted, progress), now_ns=released_ns)
            if accepted is not None:
                self._require_taken(stream, judge)
        self._write()

    def finish(self) -> dict[str, Entry]:
        """Write the rows that still wait; the entries."""
        if not self._operator.final:
            for name, sealed in self._operator.finish().items():
                self._writing[name].add(sealed)
        return {name: writing.keep() for name, writing in self._writing.items()}

    def abandon(self) -> None:
        """Remove what was written."""
        for writing in self._writing.values():
            writing.abandon()

    def _write(self) -> None:
        for name, sealed in self._operator.seal().items():
            self._writing[name].add(sealed)

    def _require_taken(self, stream: str, judge: Judge) -> None:
        """Raise RunError where a row is late or too far ahead, and that is to stop a run."""
        inputs = self._operator.inputs
        ahead = inputs.ahead(stream)
        if ahead.num_rows:
            judge.too_far_ahead(ahead, self._pipeline.ahead_limit())
        late = inputs.late(stream).num_rows
        policy, setting = self._pipeline.settings.late(stream)
        if late and policy == "fail":
            raise RunError(f'{late:,} rows of stream {stream} are late; {setting} = "fail" stops here')


def _numbers(pipeline: Pipeline) -> range:
    return range(pipeline.settings.bus.partitions)


def _key(pipeline: Pipeline, days: Sequence[Day], root: str, number: int) -> str:
    """All that the rows of a root follow from: settings but those of the graph, days, and this program."""
    settings = pipeline.settings
    bare = settings.model_copy(update={"graph": GraphTable()})
    inputs = sorted((day.stream.name, day.summary.digest) for day in days)
    streams = () if pipeline.graph is None else tuple(pipeline.graph.streams)
    return key_of("root", root, number, settings_id(bare), inputs, streams, fingerprint())
