"""The processes of the latency benches: each says when it is ready, and ends once a line comes in."""

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from app.config import Settings
from app.wiring.broker import SCRIPT

CLOCK_TICKS_PER_S: Final = 100  # of /proc's CPU times
END_S_MAX: Final = 120
# Of a producer: a retry keeps the order, and Python is called for a message only where it is lost.
CHECKED: Final[dict[str, bool]] = {"enable.idempotence": True, "delivery.report.only.error": True}

Process = subprocess.Popen[str]


def start(file: Path, folder: Path, modules: Mapping[str, str]) -> dict[str, Process]:
    """Start processes, each by its name and the module that has it, and wait until all are ready.

    Their logs are in the folder.  Where one does not start, none is left.
    """
    processes: dict[str, Process] = {}
    try:
        for name, module in modules.items():
            with (folder / f"latency-{name}.log").open("w") as log:
                processes[name] = subprocess.Popen(
                    [sys.executable, "-m", module, name, str(file)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        for name, process in processes.items():
            assert _line(process) == "ready", f"{name} did not start: see {folder}"
    except BaseException:
        end(processes.values())
        raise
    return processes


def begin(process: Process, folder: Path) -> None:
    """Send the line that a process waits for, and wait until it says that it has begun."""
    assert process.stdin is not None
    process.stdin.write("go on\n")
    process.stdin.flush()
    assert _line(process) == "begun", f"a process of the bench failed: see {folder}"


def _line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: Process, folder: Path) -> None:
    """Tell a process to end, and wait until it has."""
    process.communicate("go on\n", timeout=END_S_MAX)
    assert process.returncode == 0, f"a process of the bench failed: see {folder}"


def end(processes: Iterable[Process]) -> None:
    """Kill those that still run: something failed."""
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def broker_pid() -> dict[str, int]:
    """The process of the loopback broker, where there is one."""
    status = subprocess.run([*SCRIPT, "status"], capture_output=True, text=True, check=False).stdout
    _, runs, rest = status.partition(", pid ")
    return {"broker": int(rest.partition(",")[0])} if runs else {}


def cpu_s(pids: Mapping[str, int | str]) -> dict[str, float]:
    """CPU seconds of processes so far, all their threads."""
    seconds = {}
    for name, pid in pids.items():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds[name] = (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_S
    return seconds


def ready_until_told() -> threading.Event:
    """Say that all is set up; the event is set once a line has come in, or the starter has ended."""
    line_came = threading.Event()

    def wait_for_line() -> None:
        sys.stdin.readline()
        line_came.set()

    threading.Thread(target=wait_for_line, daemon=True).start()
    print("ready", flush=True)
    return line_came


def note_messages(settings: Settings, *topics: str) -> list[tuple[int, Any]]:
    """Say `ready`, read topics from their beginning until a line comes in: each message, and when it came."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bus.bootstrap,
            "group.id": "bench-reader",
            "isolation.level": "read_committed",
        }
    )
    numbers = range(settings.bus.partitions)
    consumer.assign([TopicPartition(topic, number, 0) for topic in topics for number in numbers])
    line_came, noted = ready_until_told(), []
    with no_pauses():
        while not line_came.is_set():
            message = consumer.poll(0.1)
            if message is not None:
                noted.append((time.time_ns(), message))
    consumer.close()
    for _, message in noted:
        assert message.error() is None, message.error()
    return noted


@contextmanager
def no_pauses() -> Iterator[None]:
    """Python's collector does not run meanwhile: its pauses would be taken for Kafka's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def require_delivered(error: KafkaError | None, _: Message) -> None:
    """Fail where a message was lost."""
    assert error is None, error
