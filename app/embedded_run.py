"""A whole run in this process and one thread: publish a tile, let every worker turn, until all is sealed."""

from app.errors import RunError
from app.wiring import Pipeline
from app.worker import Worker
from replay.publish import Publication

IDLE_TURNS_MAX = 100


def run_embedded(pipeline: Pipeline, publication: Publication, workers: int) -> None:
    """Run the same publisher and the same workers as on Kafka over the embedded bus."""
    running = [Worker(pipeline.with_slot(str(slot)), until_final=True) for slot in range(workers)]
    more = True
    idle = 0
    try:
        while not all(worker.finished() for worker in running):
            more = more and publication.step()
            messages = sum(worker.turn() for worker in running)
            for worker in running:
                if not more and not messages:
                    worker.commit()
            idle = 0 if more or messages else idle + 1
            if idle > IDLE_TURNS_MAX:
                raise RunError(
                    "everything is published and read, yet not everything is sealed: this is a defect"
                )
    except BaseException:
        for worker in running:
            worker.close(failed=True)
        raise
    for worker in running:
        worker.close()
