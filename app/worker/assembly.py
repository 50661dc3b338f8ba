"""Assembly: a worker is put together from a pipeline, and joins its group."""

from collections.abc import Callable
from functools import partial

from app.commit.commit import commit
from app.commit.commits import CommitCall, Commits
from app.commit.input_counts import InputCounts
from app.commit.outbox import Outbox
from app.commit.producers import Producers
from app.metrics.health import Health
from app.metrics.ledger import Ledger
from app.process.clock import monotonic_ns, now_ns
from app.process.memory import Leftovers
from app.process.meter import Meter
from app.reading.models import feed_of
from app.task.task import Task
from app.wiring.pipeline import Pipeline
from app.wiring.slot import member_id
from app.worker.bounded import BoundedRun
from app.worker.dispatch import Dispatch
from app.worker.idle import IdleWatch
from app.worker.ownership import Ownership
from app.worker.relief import Relief
from app.worker.rereading import Rereading
from app.worker.tally import Tally
from app.worker.turn_watch import TurnWatch
from app.worker.worker import Worker
from topics.registry.unknown import UnknownIds


def open_worker(
    pipeline: Pipeline,
    *,
    until_final: bool = False,
    elapsed_ns: Callable[[], int] = monotonic_ns,
    wall_ns: Callable[[], int] = now_ns,
    commit: CommitCall = commit,
    ledger: Ledger | None = None,
    health: Health | None = None,
) -> Worker:
    """Return a worker that has joined the group.

    `elapsed_ns` paces commits and checks and says how long an input has been silent; `wall_ns` stamps, and is
    what `max_ahead_of = "wall"` measures times by.  `ledger` and `health` are for those who watch the worker.
    """
    settings, group = pipeline.settings.worker, pipeline.settings.pipeline.prefix
    ledger = _beaten(ledger or Ledger(pipeline.settings.stream_names), pipeline)
    member, once = f"{group}-{settings.slot}", settings.guarantee == "exactly_once"
    tasks, meter = dict[int, Task](), Meter(on_step=ledger.heart.beat)  # Ownership alone changes the tasks

    def has_place() -> bool:
        return ownership.has_place()

    # The producers come first: they end what an earlier life left open, and ask for our place much later.
    producers = Producers(pipeline.bus, member, has_place, exactly_once=once, ledger=ledger)
    outbox = Outbox(pipeline.settings, producers, pipeline.registry, pipeline.output_limits())
    consumer = pipeline.bus.consumer(group=group, client_id=member_id(pipeline.settings))
    topics, partitions = list(pipeline.input_topics), pipeline.settings.bus.partitions
    counts = InputCounts(pipeline.bus, topics, partitions, partial(ledger.waited, "broker"))
    idle, relief = IdleWatch(pipeline.settings, consumer, elapsed_ns), Relief(consumer)
    tally, leftovers = Tally(pipeline.bus, pipeline.settings.pipeline.left, elapsed_ns), Leftovers(elapsed_ns)
    dispatch = Dispatch(tasks, outbox, idle, settings, wall_ns, tally, ledger, feed_of(pipeline, elapsed_ns))
    commits = Commits(tasks, outbox, consumer, counts, settings, elapsed_ns, dispatch.before(commit), ledger)

    def on_close(number: int) -> None:
        commits.forget(number)
        idle.forget(number)
        leftovers.came()

    ownership = Ownership(pipeline, consumer, counts, tasks, meter, elapsed_ns, commits, on_close, ledger)
    bounded = None
    if until_final:
        observer = pipeline.bus.consumer(group=group, client_id=f"{member}-observer")
        bounded = BoundedRun(pipeline, observer, tasks, dispatch, commits, relief, elapsed_ns)
    worker = Worker(
        consumer=consumer,
        producers=producers,
        ownership=ownership,
        dispatch=dispatch,
        idle=idle,
        relief=relief,
        rereading=Rereading(meter),
        commits=commits,
        bounded=bounded,
        leftovers=leftovers,
        watch=TurnWatch(tally, ledger, health or Health(), ownership, commits, elapsed_ns),
    )
    consumer.subscribe(topics, ownership)
    return worker


def _beaten(ledger: Ledger, pipeline: Pipeline) -> Ledger:
    """The ledger; its heart beats at each question to the registry, of which one poll can ask thousands."""
    if isinstance(pipeline.registry, UnknownIds):
        pipeline.registry.on_question = ledger.heart.beat
    return ledger
