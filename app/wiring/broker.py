"""Which log a run uses: your broker, the one that `make kafka` starts, or the embedded bus."""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from app.errors import UsageError
from topics.bus import Bus, BusError
from topics.kafka.bus import KafkaBus
from topics.kafka.reader import Reading
from topics.kafka.settings import GroupProtocol
from topics.memory.bus import MemoryBus

log = structlog.get_logger()

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "kafka" / "kafka.sh"
CHECK_MS = 10_000


def choose_bus(
    bus: str | None,
    bootstrap: str | None,
    say: Callable[[str], None],
    config: Mapping[str, str] | None = None,
) -> Bus:
    """Return the bus to run on; raises UsageError where the requested one cannot be had.

    `config` is for the clients of a broker that is given; the one started here is open to this machine.
    """
    if bus == "embedded":
        return MemoryBus()
    if bootstrap is None:
        missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
        if missing and bus == "kafka":
            raise UsageError(
                f"BUS=kafka: {' and '.join(missing)} not on PATH, so no broker can be started here; "
                "give a running one with BOOTSTRAP=host:port, or say BUS=embedded"
            )
        if missing:
            say(f"no broker here ({' and '.join(missing)} not on PATH): using the embedded bus")
            return MemoryBus()
        return open_kafka(start_broker())
    return open_kafka(bootstrap, config)


def open_kafka(
    bootstrap: str,
    config: Mapping[str, str] | None = None,
    group_protocol: GroupProtocol = "classic",
    reading: Reading = "auto",
) -> Bus:
    """Return the bus of a broker that answers; raises UsageError naming the address or setting otherwise."""
    try:
        bus = KafkaBus(
            bootstrap,
            config or {},
            reading=reading,
            group_protocol=group_protocol,
            on_wait=lambda said: log.warning("waiting", reason=said),
        )
        bus.check(timeout_ms=CHECK_MS)
    except BusError as wrong:
        raise UsageError(str(wrong)) from None
    return bus


def start_broker() -> str:
    """Start the loopback broker, or find it running, and return its `host:port`."""
    done = subprocess.run([str(SCRIPT), "start"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise UsageError(f"the broker did not start: {lines[-1]}")
    return done.stdout.strip().splitlines()[-1]
