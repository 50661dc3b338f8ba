"""Shards on a Ray cluster; Ray is imported here alone, and only where somebody asks for it."""

from pathlib import Path
from typing import Any, Final

from app.backfill.shard import run_shard
from app.config import tell_nobody
from app.errors import RunError, UsageError
from app.wiring.broker import ROOT
from replay.errors import HistoryError

LOCAL: Final = "local"
RETRIES_MAX: Final = 3  # of a shard whose process was killed: the cluster starts it again
STARTS_MAX: Final = 3  # of a cluster here: Ray gives its node 30 s, too few on a machine that is busy
SLOW: Final = "timed out during startup"
AHEAD: Final = 2  # shards for each processor of the cluster, so that none waits for the driver


class RayRunner:
    """Runs shards as tasks of a cluster whose machines all see the stage and the history."""

    def __init__(self, stage: Path, address: str, processors: int | None) -> None:
        """Join the cluster at `address`, or start one of this machine with so many processors for "local".

        Raises UsageError where Ray is not installed, or no cluster is there.
        """
        tell_nobody("RAY_USAGE_STATS_ENABLED")
        try:
            import ray
        except ImportError:
            raise UsageError(
                "--ray needs Ray, which is not installed: `make ray` here, or pip install 'ray>=2.50'; "
                "--processes needs none"
            ) from None
        self._ray: Any = ray
        self._stage = stage
        _join(ray, address, processors)
        count = max(int(ray.cluster_resources().get("CPU", 1)), 1)
        self.name = f"Ray with {count} processors"
        self.slots = AHEAD * count
        self._task = ray.remote(max_retries=RETRIES_MAX, num_cpus=1)(run_shard)
        self._shards: dict[Any, str] = {}

    def start(self, shard: str) -> None:
        """Give a shard to the cluster."""
        self._shards[self._task.remote(str(self._stage), shard)] = shard

    def wait(self) -> dict[str, bool]:
        """Wait for a shard; the cluster itself starts again what was lost with a process."""
        ended, _ = self._ray.wait(list(self._shards), num_returns=1)
        done = {}
        for reference in ended:
            shard = self._shards.pop(reference)
            try:
                done[str(self._ray.get(reference))] = True
            except self._ray.exceptions.RayTaskError as wrong:
                if isinstance(wrong.cause, UsageError | RunError | HistoryError):
                    raise wrong.cause from None
                raise
            except self._ray.exceptions.RayError:
                done[shard] = False
        return done

    def close(self) -> None:
        """Leave the cluster, and end one that was started here."""
        self._ray.shutdown()


def _join(ray: Any, address: str, processors: int | None) -> None:
    """Join a cluster, or start one here; raises UsageError where none is to be had."""
    own = address == LOCAL
    for left in reversed(range(STARTS_MAX)):
        try:
            ray.init(
                address=address,
                num_cpus=processors if own else None,
                include_dashboard=False if own else None,
                log_to_driver=False,
                # The tasks' machines run the code that lies where ours does.
                runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}},
            )
            return
        except Exception as away:  # which is what Ray raises where a node of its own is slow to start
            ray.shutdown()
            if not (own and left and SLOW in str(away)):
                raise UsageError(f"--ray {address}: no cluster answers there ({away})") from None
