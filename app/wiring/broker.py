"""Which log a run uses: your broker, the one that `make kafka` starts, or the embedded bus."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from app.errors import UsageError
from topics.bus import Bus, BusError
from topics.kafka.bus import KafkaBus
from topics.kafka.reader import Reading
from topics.kafka.settings import GroupProtocol
from topics.memory.bus import MemoryBus

log = structlog.get_logger()

ROOT = Path(__file__).resolve().parents[2]
# With this Python, which has the client that the script asks the broker with.
SCRIPT = (
    "env",
    f"KAFKA_PYTHON={sys.executable}",
    str(ROOT / "docker" / "kafka" / "kafka.sh"),
)
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
        return _open_local(say)
    return open_kafka(bootstrap, config)


def _open_local(say: Callable[[str], None]) -> Bus:
    """Return the bus of the broker on loopback, started where it does not run."""
    if address := _ask_script("address"):
        with suppress(UsageError):  # it may have been started a moment ago: the script waits for it
            return open_kafka(address)
    else:
        say("starting Kafka on loopback; the first time it is fetched through Maven (43 MB)")
    return open_kafka(start_broker())


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


def left_running(bus: str) -> str | None:
    """One line on the broker on loopback that stays after a run on `bus`, None where the run used another."""
    address = _ask_script("address") if bus.startswith("kafka ") else None
    if address is None or bus.split()[-1] != address:
        return None
    ends = "make kafka-stop" if (ROOT / "Makefile").exists() else f"{SCRIPT[-1]} stop"  # a wheel has no make
    return f"{_ask_script('status')}: it stays for the next run; `{ends}` ends it"


def _ask_script(word: str) -> str | None:
    """What the script says to a word, None where the answer is no."""
    done = subprocess.run([*SCRIPT, word], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def run_script(word: str, port: int | None = None) -> int:
    """Let the script start, stop or look, saying what it says; returns its exit status, 0 where all is well.

    `port` is forced, else the script keeps the one it had or finds a free one.
    """
    forced = () if port is None else (f"PORT={port}",)
    return subprocess.run([SCRIPT[0], *forced, *SCRIPT[1:], word], check=False).returncode


def start_broker() -> str:
    """Start the loopback broker, or find it running, and return its `host:port`."""
    done = subprocess.run([*SCRIPT, "start"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise UsageError(f"the broker did not start: {lines[-1]}")
    return done.stdout.strip().splitlines()[-1]
