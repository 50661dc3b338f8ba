"""A whole run in this process and one thread: publish a step, let every worker turn, until all is sealed."""

from collections.abc import Sequence

from app.day.request import ReplayRequest
from app.errors import RunError
from app.process.clock import monotonic_ns, pause
from app.wiring.pipeline import Pipeline
from app.worker.assembly import open_worker
from app.worker.worker import Worker
from replay.publish.publication import Publication
from replay.store.day import Day
from schemas.clocks import NS_PER_S

PAUSE_S = 0.002  # while nothing is due
STUCK_NS = 30 * NS_PER_S


def run_embedded(request: ReplayRequest, pipeline: Pipeline, days: Sequence[Day]) -> None:
    """Run the same publisher and the same workers as on Kafka over the embedded bus, paced if asked."""
    settings = pipeline.settings
    publication = Publication(
        bus=pipeline.bus,
        registry=pipeline.registry,
        days=days,
        topics={name: settings.topic(name) for name in settings.stream_names},
        partitions=settings.bus.partitions,
        shape=request.shape,
        grace_ns=settings.pipeline.grace_ns,
        clock=settings.pipeline.clock,
        run=settings.pipeline.prefix,
        speed=request.speed,
    )
    slots = map(str, range(request.workers))
    running = [open_worker(pipeline.with_slot(slot), until_final=True) for slot in slots]
    try:
        _drive(publication, running)
    except BaseException:
        for worker in running:
            worker.close(failed=True)
        raise
    for worker in running:
        worker.close()


def run_published(pipeline: Pipeline) -> None:
    """Let one worker join what has been published whole, up to its final records."""
    worker = open_worker(pipeline, until_final=True)
    try:
        _drive(None, [worker])
    except BaseException:
        worker.close(failed=True)
        raise
    worker.close()


def _drive(publication: Publication | None, running: list[Worker]) -> None:
    moved_ns = monotonic_ns()
    while not all(worker.finished() for worker in running):
        waits = publication is not None and not publication.done
        due = publication is not None and waits and publication.wait_ns(monotonic_ns()) == 0
        if publication is not None and due:
            publication.step()
            waits = not publication.done
        messages = sum(worker.turn() for worker in running)
        if due or messages or waits:
            moved_ns = monotonic_ns()
        elif monotonic_ns() - moved_ns > STUCK_NS:
            raise RunError("everything is published and read, yet not everything is sealed: this is a defect")
        if not due and not messages:
            pause(PAUSE_S)
