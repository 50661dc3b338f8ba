"""A backfill from plan to commit: shards go to a runner, and one rename makes all of their rows true.

Until then everything lies in a stage beside OUT, whose name no reader looks at.  A run that was killed is
taken up by the next one with the same plan: shards that are done are not run again.
"""

import fcntl
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

from app.backfill.plan import NAME as PLAN
from app.backfill.plan import Plan, hands_over, make_plan
from app.backfill.record import parts_of, record_lines, record_of
from app.backfill.runners import Runner
from app.backfill.shard import SHARDS, UNFINISHED, Manifest
from app.backfill.tables import commit_tables, committed, open_tables
from app.config import Settings
from app.day.days import history_of
from app.day.history import join_of_days
from app.day.kernels import Kernels
from app.day.request import ReplayRequest
from app.day.summary import write_json
from app.day.without_bus import make_pipeline
from app.errors import RunError, UsageError
from app.lock.changes import require_meanings
from app.wiring.pipeline import Pipeline
from app.wiring.planning import graph_plan
from replay.store.day import Day
from replay.store.objects import Folder

NAME: Final = "backfill.json"  # in OUT: the commit
LOST_MAX: Final = 3  # times that a shard may be lost with its process

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What became of a backfill: its record, and how many shards were run here, known, or lost on the way."""

    record: Mapping[str, Any]
    run: int
    known: int
    lost: int
    way: str

    def lines(self) -> Iterator[str]:
        """What to print: a line for each output, and what was done."""
        yield from record_lines(self.record)
        if not self.run and not self.known:
            yield "committed before: nothing was run"
            return
        lost = f", {self.lost} lost with a process and run again" if self.lost else ""
        by = f" by {self.way}" if self.way else ""
        yield f"{self.run} shards run{by}, {self.known} known from before{lost}"


def run_backfill(
    span: str,
    request: ReplayRequest,
    open_runner: Callable[[Path], Runner],
    *,
    overnight: bool,
    groups: int | None,
    say: Say,
    into: Folder | None = None,
) -> Result:
    """Run the days of `span` (`FIRST..LAST`) as shards, and put their rows into OUT with one commit.

    With `into` the rows go to tables of that store, named after the outputs, in one commit of each table, and
    OUT has the record alone.

    The rows of an output lie in OUT/NAME/day=DATE, a file for each partition.  With `overnight` what the join
    and the nodes know goes on from day to day, as on the topics of a live run; else each day stands alone.
    `open_runner` is called with the stage once there is something to run.  The partitions are in so many
    `groups`, each of which is a shard of its own on a day, or in fewer where days stand alone; None makes a
    group of each.  Raises UsageError where OUT holds something else, or the days cannot be run together.
    """
    wanted = _Wanted.of(span, request, into, overnight=overnight, say=say)
    out, stage = request.out, _stage(request.out)
    _require_ours(out, into)
    with _alone(stage, out):
        before = Plan.read(stage) if (stage / PLAN).exists() else None
        pipeline, plan = wanted.planned(stage, groups)
        if before is not None and (before.id, before.into) == (plan.id, plan.into):
            plan = before  # cut into shards as it was
        else:
            shutil.rmtree(stage)  # of another plan, or of one that was being committed
            stage.mkdir()
            pipeline, plan = wanted.planned(stage, groups)
        if into is not None:
            first = wanted.days[min(wanted.days)]
            done = committed(plan, pipeline.sinks(0))
            if done is None:
                open_tables(into, pipeline, first[0].zone, plan.dates)
        else:
            done = _committed(out, plan)
        if done is not None:
            shutil.rmtree(stage)
            return Result(done, 0, 0, 0, "")
        if overnight and not hands_over(pipeline):
            say("pipeline.max_ahead_ns is set, so no day can be handed over: each shard has all days")
        result = _run(plan, pipeline, stage, open_runner, say)
        _commit(stage, out, result.record)
    return result


@dataclass(frozen=True)
class _Wanted:
    """The settings asked for, the days by date, and the grace of each day; None where settings name it."""

    settings: Settings
    store: Folder
    days: Mapping[str, Sequence[Day]]
    grace_ns: Mapping[str, int | None]
    overnight: bool
    into: Folder | None

    @classmethod
    def of(
        cls, span: str, request: ReplayRequest, into: Folder | None, *, overnight: bool, say: Say
    ) -> "_Wanted":
        """That of a request; raises UsageError where the days cannot be run together."""
        settings = request.settings()
        history, dates = history_of(span, request, settings.stream_names, say)
        days = {date: history.days(date, settings.stream_names, say) for date in dates}
        require_alike(days)
        join = join_of_days(settings, days[dates[0]])
        require_meanings(settings, join)
        graph_plan(settings, join, "")  # what is wrong with it is said of the file that somebody wrote
        grace_ns = {date: request.grace_ns_for(of, settings) for date, of in days.items()}
        return cls(settings, history.store.root, days, grace_ns, overnight, into)

    def planned(self, stage: Path, groups: int | None) -> tuple[Pipeline, Plan]:
        """Write the settings into the stage; the pipeline of them, and the plan."""
        first = self.days[min(self.days)]
        named = [ns for ns in self.grace_ns.values() if ns is not None]
        longest = max(named, default=None)
        pipeline = make_pipeline(self.settings, first, stage, prefix="backfill", grace_ns=longest)
        of_all = pipeline.settings.pipeline.grace_ns
        groups = groups or pipeline.settings.bus.partitions
        plan = make_plan(
            pipeline,
            self.store,
            self.days,
            {date: of_all if ns is None else ns for date, ns in self.grace_ns.items()},
            overnight=self.overnight,
            # Days that stand alone are shards enough: each group of partitions would read its day once more.
            groups=groups if self.overnight else ceil(groups / len(self.days)),
            into=self.into,
        )
        return pipeline, plan


def require_alike(days: Mapping[str, Sequence[Day]]) -> None:
    """Raise UsageError where days of a stream have other columns, or another key, than the first."""
    first: dict[str, Day] = {}
    for of_date in days.values():
        for day in of_date:
            model = first.setdefault(day.stream.name, day)
            kinds = [(one.stream.schema, one.stream.key, one.stream.sequence) for one in (model, day)]
            if kinds[0] != kinds[1]:
                words = [f"{schema.names}, key {', '.join(key)}" for schema, key, _ in kinds]
                raise UsageError(
                    f"{day.stream.name} of {day.date} has {words[1]}, and of {model.date} {words[0]}: "
                    "backfill days with the same columns together"
                )


def _run(
    plan: Plan, pipeline: Pipeline, stage: Path, open_runner: Callable[[Path], Runner], say: Say
) -> Result:
    """Run the shards that are not done, each after the one it goes on from."""
    manifests = {shard.name: Manifest.read(stage, shard.name) for shard in plan.shards}
    done = {name: one for name, one in manifests.items() if one is not None}
    known, lost, way = len(done), 0, ""
    plan.write(stage)
    if known < len(plan.shards):
        kernels = Kernels(say, nodes=pipeline.settings.graph.kinds, wire=False)
        try:
            kernels.wait()
        finally:
            kernels.close()
        runner = open_runner(stage)
        way = runner.name
        try:
            lost = _drive(plan, stage, runner, done, say)
        finally:
            runner.close()
    record = record_of(plan, pipeline, done)
    if plan.into:
        commit_tables(plan, record, parts_of(done, record["outputs"]))
        for name in record["outputs"]:
            shutil.rmtree(stage / name)
    return Result(record, len(done) - known, known, lost, way)


def _drive(plan: Plan, stage: Path, runner: Runner, done: dict[str, Manifest], say: Say) -> int:
    """Keep the runner busy until all shards are done; returns how many were lost on the way."""
    waiting = {shard.name: shard for shard in plan.shards if shard.name not in done}
    begun: set[str] = set()
    lost: Counter[str] = Counter()
    while waiting:
        for shard in waiting.values():
            free = len(begun) < runner.slots and shard.name not in begun
            if free and (not shard.after or shard.after in done):
                runner.start(shard.name)
                begun.add(shard.name)
        for name, whole in runner.wait().items():
            begun.discard(name)
            manifest = Manifest.read(stage, name, checked=False) if whole else None
            if manifest is not None:
                done[name] = manifest
                del waiting[name]
                say(f"{name}: done, {len(done)} of {len(plan.shards)} shards")
                continue
            lost[name] += 1
            if lost[name] >= LOST_MAX:
                raise RunError(
                    f"shard {name} was lost {LOST_MAX} times with the process that ran it, which something "
                    "killed, as a machine short of memory does: run it again with fewer --processes; what is "
                    "done stays done"
                )
            say(f"{name}: its process was killed; it is run again")
    return sum(lost.values())


def _commit(stage: Path, out: Path, record: Mapping[str, Any]) -> None:
    """Put the stage in the place of OUT; the rename is the commit, and nobody sees less than all."""
    write_json(stage / NAME, record)
    shutil.rmtree(stage / "schemas", ignore_errors=True)
    shutil.rmtree(stage / "state", ignore_errors=True)
    shutil.rmtree(stage / SHARDS, ignore_errors=True)
    (stage / PLAN).unlink(missing_ok=True)
    for left in [*stage.rglob(f"*{UNFINISHED}")]:  # of processes that were killed
        left.unlink()
    replaced = out.with_name(f".{out.name}.replaced")
    if replaced.exists():
        shutil.rmtree(replaced)
    if out.exists():
        out.rename(replaced)
    stage.rename(out)
    shutil.rmtree(replaced, ignore_errors=True)


def _stage(out: Path) -> Path:
    """Where a backfill is made ready: beside its place, so that a rename is all that is left to do."""
    return out.with_name(f".{out.name}.backfill")


def _committed(out: Path, plan: Plan) -> dict[str, Any] | None:
    """The record in OUT, where it is that of this plan and all its files are there."""
    try:
        record: dict[str, Any] = json.loads((out / NAME).read_text())
        whole = record["plan"] == plan.id and all((out / path).is_file() for path in record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if whole else None


def _require_ours(out: Path, into: Folder | None) -> None:
    """Raise UsageError where OUT holds something that is no backfill, or rows: they would be replaced."""
    if into is not None and any(out.glob("*/day=*")):
        raise UsageError(
            f"OUT={out} holds the rows of a backfill, which the record of this one would replace: name "
            "another folder with --out"
        )
    if out.is_dir() and any(out.iterdir()) and not (out / NAME).exists():
        raise UsageError(
            f"OUT={out} holds something else than a backfill, which would be replaced: name another folder"
        )


@contextmanager
def _alone(stage: Path, out: Path) -> Iterator[None]:
    """Make the stage, and hold it against a second run.

    Raises UsageError where one is at work, or the disk refuses.
    """
    lock = out.with_name(f".{out.name}.lock")
    try:
        stage.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as refused:
        raise UsageError(f"OUT={out} cannot be written beside: {refused.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another backfill into OUT={out} is at work: wait for it, or name another"
            ) from None
        yield
