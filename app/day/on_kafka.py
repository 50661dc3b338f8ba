"""A day through a real broker: the publisher and the workers as processes, and what they wrote read back."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from app.config import child_environment
from app.day.processes import Child, start, stop, wait_all
from app.day.request import ReplayRequest
from app.process.clock import monotonic_ns
from app.wiring.pipeline import Pipeline
from app.worker.ownership import OPENED
from operators.sealed import ALIGNED
from replay.store.objects import Folder, located
from schemas.clocks import NS_PER_S


def run_processes(
    request: ReplayRequest, pipeline: Pipeline, folder: Path, store: Folder, meanwhile: Callable[[], None]
) -> float:
    """Publish and join the day; return the seconds from the publisher's start to the end of all processes.

    The publisher is held until the workers have their tasks, so that no start-up counts as work.  `meanwhile`
    is called when it is let go: before, the processors have enough to do.
    """
    settings = pipeline.settings
    speed = "max" if request.speed is None else str(request.speed)
    publish = ["replay", "publish", "--store", str(located(store)), "--date", request.date]
    publish += ["--bootstrap", settings.bus.bootstrap, "--prefix", settings.pipeline.prefix]
    publish += ["--registry", settings.bus.schema_registry, "--shape", request.shape]
    publish += ["--clock", settings.pipeline.clock]
    publish += ["--grace-ns", str(settings.pipeline.grace_ns), "--speed", speed, "--client-config", "-"]
    workers = []
    for slot in range(request.workers):
        align = ["app", "align", "--config", str((folder / "tidemark.toml").resolve())]
        align += ["--slot", str(slot), "--until-final"]
        workers.append(start(f"worker-{slot}", align, folder, environment=child_environment(settings)))
    publisher = start("publisher", publish, folder, own_terminal=sys.stderr.isatty(), told=None)
    gate = Gate(publisher, workers, _client_config(pipeline), settings.bus.partitions, meanwhile)
    wait_all([publisher, *workers], gate.open_when_due)
    return gate.seconds()


class ReadBack:
    """Lets the client library read each output, as a model service would, and compare it with the Parquet.

    The embedded bus and Avro rows are not for that library to read.
    """

    def __init__(self, pipeline: Pipeline, folder: Path, rows_folder: Callable[[str], Path]) -> None:
        """`rows_folder` gives the folder of an output's rows."""
        self._pipeline, self._folder, self._rows_folder = pipeline, folder, rows_folder
        self._children: list[Child] = []

    def start(self) -> None:
        """Start a process for each output; it loads what it needs, and waits."""
        settings = self._pipeline.settings
        if self._pipeline.bus.name == "embedded":
            return
        whole = () if settings.worker.format == "avro" else (ALIGNED,)
        for name in (*whole, *settings.node_outputs):
            read = ["gpu_sink", "--bootstrap", settings.bus.bootstrap, "--topic", settings.topic(name)]
            read += ["--folder", str(self._rows_folder(name).resolve()), "--client-config", "-"]
            self._children.append(start(f"read-back-{name}", read, self._folder, told=None))

    def begin(self) -> None:
        """Let them read, now that the Parquet is there."""
        if not self._children:
            self.start()
        for child in self._children:
            child.tell(_client_config(self._pipeline))

    def wait(self) -> None:
        """Return when all is read; raises RunError where a process has found a difference."""
        wait_all(self._children)

    def close(self) -> None:
        """End what still runs."""
        stop(self._children)


def _client_config(pipeline: Pipeline) -> str:
    return "".join(f"{key}={value}\n" for key, value in pipeline.settings.bus.client_settings().items())


class Gate:
    """Holds the publisher until every partition is some worker's."""

    def __init__(
        self,
        publisher: Child,
        workers: Sequence[Child],
        words: str,
        partitions: int,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """`words` are what the publisher waits for on standard input; `then` is called once it has them."""
        self._publisher, self._workers = publisher, workers
        self._words, self._partitions, self._then = words, partitions, then
        self._opened_ns: int | None = None

    def open_when_due(self) -> None:
        """Look once; a worker that has ended well, since all was done before, is not waited for."""
        if self._opened_ns is None and (
            any(worker.process.poll() == 0 for worker in self._workers)
            or len(set().union(*map(_partitions_opened, self._workers))) == self._partitions
        ):
            self._opened_ns = monotonic_ns()
            self._publisher.tell(self._words)
            self._then()

    def seconds(self) -> float:
        """Since the publisher was let go."""
        return 0.0 if self._opened_ns is None else (monotonic_ns() - self._opened_ns) / NS_PER_S


def _partitions_opened(worker: Child) -> set[int]:
    """The partitions whose task a worker has opened, as its log says."""
    opened = set()
    for line in worker.log.read_text(errors="replace").splitlines():
        with suppress(ValueError):  # not every line is from our log
            said = json.loads(line)
            if isinstance(said, dict) and said.get("event") == OPENED:
                opened.add(int(said["partition"]))
    return opened
