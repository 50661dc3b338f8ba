"""Who holds the frontier: each task's inputs as the group committed them, against what its topics hold.

Everything is read from outside: no group is joined, so a hung worker is seen as well as a running one.
Figures in, figures out; `app.watch.words` puts them in words, `app.watch.view` shows them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.config import Settings
from app.task.metadata import Committed, InputReport, from_position
from app.watch.rules import RuleReport, rule_report
from app.wiring.slot import slot_of
from operators.inputs.progress import InputProgress
from operators.sealed import ALIGNED
from schemas.clocks import BEGINNING_NS
from schemas.rule import Rule
from topics.block import TopicPartition
from topics.bus import Admin, GroupStanding, LogRange, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFigures:
    """One input of one task.

    `progress` is None where nothing was committed, `report` where no worker has reported.  `unchanged_ns` is
    since when, by `now_ns`, its log has not grown while somebody watched; `tail_ns` is the newest row time at
    the end of its log; 0 where that is not known.
    """

    stream: str
    source: TopicPartition
    log: LogRange
    grace_ns: int
    progress: InputProgress | None
    report: InputReport | None
    unchanged_ns: int = 0
    tail_ns: int = 0

    @property
    def name(self) -> str:
        """What to call it: `quote[3]`."""
        return f"{self.stream}[{self.source.partition}]"

    @property
    def watermark_ns(self) -> int:
        """Upper-exclusive; BEGINNING_NS where there is no evidence yet."""
        return self.progress.watermark_ns if self.progress else BEGINNING_NS

    @property
    def lag(self) -> int:
        """Committed offsets that no committed work has seen; markers of transactions count."""
        return max(0, self.log.stable - (self.progress.next_offset if self.progress else self.log.low))

    @property
    def hidden(self) -> int:
        """Offsets that lie behind the oldest open transaction, which no reader sees."""
        return self.log.high - self.log.stable

    @property
    def idle(self) -> bool:
        """Whether it is taken out of the frontier for being quiet."""
        return self.progress is not None and self.progress.idle

    @property
    def final(self) -> bool:
        """Whether the period has ended and nothing follows it."""
        return self.progress is not None and self.progress.final and not self.lag and not self.hidden

    @property
    def rows(self) -> int | None:
        """Rows that wait for the frontier; None where no worker has reported."""
        return self.report.rows if self.report else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFigures:
    """One partition number of all inputs, the left one first.

    `owners` are group and slot of the members that own its inputs: one, none, or, wrongly, several.
    `moved_ns` is the clock at which the frontier rose last, as far as anybody has seen it; 0 is unknown.
    `rule` is the text of the rule it seals by, empty where no commit says so.
    """

    number: int
    frontier_ns: int
    owners: tuple[str, ...]
    inputs: tuple[InputFigures, ...]
    moved_ns: int
    rule: str = ""

    @property
    def holder(self) -> InputFigures:
        """The input whose watermark is the frontier: the lowest of those that are not idle.

        Of several it is one with something to read, if there is one: the others can only wait.
        """
        awake = [figures for figures in self.inputs if not figures.idle]
        return min(awake or self.inputs, key=lambda f: (f.watermark_ns, f.lag == 0, f.hidden == 0))

    @property
    def left(self) -> InputFigures:
        """The input whose rows are emitted."""
        return self.inputs[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A group at one moment of `now_ns`; `outputs` are the topics its sealed rows go to, by name.

    `rule` is that of the settings, None where the columns of the streams are not known.
    """

    group: str
    standing: GroupStanding
    now_ns: int
    tasks: tuple[TaskFigures, ...]
    outputs: Mapping[str, str] = field(default_factory=dict)
    rule: Rule | None = None

    @property
    def rules(self) -> RuleReport | None:
        """What is to be said of the rules that the tasks seal by."""
        return rule_report({task.number: task.rule for task in self.tasks}, self.rule)


@dataclass(slots=True)
class Watch:
    """Remembers, from one look to the next, since when each frontier and log has not moved."""

    _frontiers: dict[int, tuple[int, int]] = field(default_factory=dict)
    _logs: dict[TopicPartition, tuple[int, int]] = field(default_factory=dict)

    def frontier_moved_ns(self, task: int, frontier_ns: int, now_ns: int) -> int:
        """When this frontier was seen to rise; 0 where it has stood since the first look."""
        before, moved_ns = self._frontiers.get(task, (frontier_ns, 0))
        if frontier_ns != before:
            moved_ns = now_ns
        self._frontiers[task] = (frontier_ns, moved_ns)
        return moved_ns

    def log_unchanged_ns(self, source: TopicPartition, high: int, now_ns: int) -> int:
        """Since when this log has had this end; at the first look, 0."""
        if source not in self._logs:
            self._logs[source] = (high, now_ns)
            return 0
        before, since_ns = self._logs[source]
        if high != before:
            since_ns = now_ns
        self._logs[source] = (high, since_ns)
        return since_ns


def look(admin: Admin, settings: Settings, now_ns: int, watch: Watch | None = None) -> Picture:
    """Ask the group and the logs; three questions to the broker, however many partitions there are.

    Raises RunError where another program committed to the group, BusError where the broker does not answer.
    """
    watch = watch or Watch()
    sources = {
        (name, number): TopicPartition(settings.topic(name), number)
        for number in range(settings.bus.partitions)
        for name in settings.stream_names
    }
    standing = admin.group(settings.pipeline.prefix)
    logs = admin.ranges(list(sources.values()))
    tasks = []
    for number in range(settings.bus.partitions):
        frontier_ns, rule, inputs = BEGINNING_NS, "", []
        for name in settings.stream_names:
            source = sources[name, number]
            since_ns = watch.log_unchanged_ns(source, logs[source].high, now_ns)
            position = standing.committed.get(source)
            committed = _committed(source, position)
            inputs.append(_input(settings, name, source, logs[source], committed, since_ns))
            if committed is not None and committed.frontier_ns >= frontier_ns:
                frontier_ns, rule = committed.frontier_ns, committed.rule
        moved_ns = max(figures.report.moved_ns if figures.report else 0 for figures in inputs)
        tasks.append(
            TaskFigures(
                number=number,
                frontier_ns=frontier_ns,
                owners=_owners(standing, [sources[name, number] for name in settings.stream_names]),
                inputs=tuple(inputs),
                moved_ns=max(moved_ns, watch.frontier_moved_ns(number, frontier_ns, now_ns)),
                rule=rule,
            )
        )
    return Picture(
        group=settings.pipeline.prefix,
        standing=standing,
        now_ns=now_ns,
        tasks=tuple(tasks),
        outputs={name: settings.topic(name) for name in (ALIGNED, *settings.node_outputs)},
    )


def _input(
    settings: Settings,
    name: str,
    source: TopicPartition,
    log: LogRange,
    committed: Committed | None,
    unchanged_ns: int,
) -> InputFigures:
    return InputFigures(
        stream=name,
        source=source,
        log=log,
        grace_ns=settings.grace_ns(name),
        progress=committed.progress if committed else None,
        report=committed.report if committed else None,
        unchanged_ns=unchanged_ns,
    )


def _committed(source: TopicPartition, position: Position | None) -> Committed | None:
    return None if position is None else from_position(position, f"{source.topic}[{source.partition}]")


def _owners(standing: GroupStanding, sources: Sequence[TopicPartition]) -> tuple[str, ...]:
    """The members that own these, by group and slot."""
    owning = [slot_of(member.client_id) for member in standing.members if member.partitions & set(sources)]
    return tuple(sorted(owning))
