"""Workers turn until nothing is left to do."""

from app.worker.worker import Worker


def turn_until_quiet(*workers: Worker) -> None:
    """Let them turn until nothing is read any more, and the group has had the turns to move partitions."""
    quiet = 0
    while quiet < 3:
        quiet = 0 if sum([worker.turn() for worker in workers]) else quiet + 1


def turn_and_commit(worker: Worker) -> None:
    """Let it turn until it is quiet, and commit: exactly once nodes run just before that."""
    turn_until_quiet(worker)
    worker.commit()
