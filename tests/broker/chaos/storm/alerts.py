"""Events against alerts: `make storm-alerts SECONDS=1800 SEED=1`.

Three workers under supervision (whoever ends is started again), each with its figures on, and the exporter
beside them are scraped by a real Prometheus that has our rules.  Workers are killed all along, and at planned
times something happens that has an alert of its own.  Each of these must fire, and nothing else.
"""

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep, time, time_ns
from typing import Any, Final

from confluent_kafka import Producer

from tests.broker.chaos.crew import Hand
from tests.broker.chaos.own_broker import NoBrokerError, own_broker
from tests.broker.chaos.proxy import END_TRANSACTION
from tests.broker.chaos.storm.blocks import encoded, symbol_name
from tests.broker.chaos.storm.incidents import BEGIN_S, Incident, judged, plan
from tests.broker.chaos.storm.market import Market
from tests.broker.chaos.storm.prometheus import Fired, NoPrometheusError, Prometheus, prometheus
from tests.broker.chaos.storm.setting import PARTITIONS, Setting, set_up
from tests.stage.day_runs import until
from tests.stage.programs import ROOT
from topics.partitioner import partition_of

OUT: Final = ROOT / "build/chaos"
SLOTS: Final = ("0", "1", "2")
THIN: Final = 4  # 4,800 rows/s: three workers, a broker and Prometheus share a small machine
TICK_S: Final = 0.2
SUPERVISED_S: Final = 2.0  # until a supervisor starts again what has ended
LATE_NS: Final = 60 * 10**9
LATE_EVERY_S: Final = 2.0
OPEN_MS: Final = 600_000
POISONED: Final = 3  # messages


class Company:
    """Three workers, whoever supervises them, and what may happen to them."""

    def __init__(self, setting: Setting, port: int) -> None:
        self._setting, self._port = setting, port
        self._hands: dict[str, Hand] = {}
        self._ended_s: dict[str, float] = {}
        self._down = False
        self._late = Market(time_ns() - LATE_NS, seed=99, thin=THIN)
        self._late_s: float | None = None
        self._undo: list[tuple[float, Callable[[], None]]] = []
        self.restarts = 0

    def tend(self) -> None:
        """Start again who has ended, end what has lasted, and go on with what goes on."""
        now_s = monotonic()
        for due in [one for one in self._undo if one[0] <= now_s]:
            self._undo.remove(due)
            due[1]()
        for slot in SLOTS if not self._down else ():
            hand = self._hands.get(slot)
            if hand is not None and hand.alive:
                continue
            if hand is None or now_s - self._ended_s.setdefault(slot, now_s) >= SUPERVISED_S:
                self._ended_s.pop(slot, None)
                self.restarts += hand is not None
                environment = {
                    "TIDEMARK_WORKER__STATE": str(self._setting.state(slot)),
                    "TIDEMARK_METRICS__PORT": str(self._port),
                }
                self._hands[slot] = self._setting.crew.hire(slot, until_final=False, environment=environment)
        if self._late_s is not None and now_s - self._late_s >= LATE_EVERY_S:
            self._late_s = now_s
            self._send_late()

    def strike(self, incident: Incident) -> None:
        """Let something happen, and have it end in its time."""
        acts: dict[str, Callable[[Incident], Callable[[], None] | None]] = {
            "worker killed": self._kill,
            "worker stands still": self._stop,
            "poison": self._poison,
            "transaction left open": self._leave_open,
            "all workers down": self._take_down,
            "late rows": self._be_late,
            "answers lost": self._lose_answers,
            "broker stands still": self._stop_broker,
        }
        if undo := acts[incident.kind](incident):
            self._undo.append((monotonic() + incident.lasts_s, undo))

    def _kill(self, incident: Incident) -> None:
        _signal(self._hands[incident.slot], signal.SIGKILL)

    def _stop(self, incident: Incident) -> Callable[[], None]:
        hand = self._hands[incident.slot]
        _signal(hand, signal.SIGSTOP)
        return lambda: _signal(hand, signal.SIGCONT)

    def _poison(self, _: Incident) -> None:
        producer = self._producer()
        for _number in range(POISONED):
            producer.produce(self._topic("quote"), b"no row", symbol_name(1), self._partition(1))
        assert producer.flush(30) == 0

    def _leave_open(self, _: Incident) -> Callable[[], None]:
        producer = self._producer(
            **{
                "transactional.id": f"{self._setting.source.prefix}-left-open",
                "transaction.timeout.ms": OPEN_MS,
            }
        )
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce(self._topic("quote"), b"never read", symbol_name(1), self._partition(1))
        producer.flush(30)
        return lambda: producer.abort_transaction(30)

    def _take_down(self, _: Incident) -> Callable[[], None]:
        self._down = True
        for hand in self._hands.values():
            _signal(hand, signal.SIGKILL)

        def undo() -> None:
            self._down = False

        return undo

    def _be_late(self, _: Incident) -> Callable[[], None]:
        self._late_s = monotonic()

        def undo() -> None:
            self._late_s = None

        return undo

    def _send_late(self) -> None:
        rows = self._late.step()["trade"]
        producer = self._producer()
        for value, symbol in zip(
            encoded(self._setting.source.ids["trade"], rows), rows.symbol.tolist(), strict=True
        ):
            producer.produce(self._topic("trade"), value, symbol_name(symbol), self._partition(symbol))
        assert producer.flush(30) == 0

    def _lose_answers(self, incident: Incident) -> Callable[[], None]:
        proxy = self._setting.broker.proxy
        proxy.drop = (END_TRANSACTION, f"{self._setting.source.prefix}-{incident.slot}")

        def undo() -> None:
            proxy.drop = None

        return undo

    def _stop_broker(self, _: Incident) -> Callable[[], None]:
        self._setting.broker.send(signal.SIGSTOP)
        return lambda: self._setting.broker.send(signal.SIGCONT)

    def _producer(self, **settings: Any) -> Producer:
        return Producer({"bootstrap.servers": self._setting.broker.bootstrap, "log_level": 2, **settings})

    def _topic(self, stream: str) -> str:
        return f"{self._setting.source.prefix}.{stream}"

    def _partition(self, symbol: int) -> int:
        return partition_of(symbol_name(symbol), PARTITIONS)


def _signal(hand: Hand, number: signal.Signals) -> None:
    if hand.alive:
        with suppress(ProcessLookupError):  # it may end this very moment
            hand.send(number)


def main(seconds: float, seed: int) -> int:
    """Play and judge; 1 where an alert was missing or had no reason, 2 where it cannot be played here."""
    OUT.mkdir(parents=True, exist_ok=True)
    incidents = plan(seconds, seed)
    try:
        with TemporaryDirectory(prefix="tidemark-alerts-") as name:
            fired, restarts = _played(Path(name), seed, incidents, seconds)
    except (NoBrokerError, NoPrometheusError) as absent:
        sys.stdout.write(f"storm-alerts: {absent}\n")
        return 2
    wrong = judged(incidents, fired)
    record = {"seconds": seconds, "seed": seed, "restarts": restarts, "wrong": wrong}
    lists = {"incidents": [asdict(one) for one in incidents], "alerts": [asdict(one) for one in fired]}
    (OUT / "alerts.json").write_text(json.dumps(record | lists, indent=1, default=sorted))
    for line in [*_lines(incidents, fired), *wrong]:
        sys.stdout.write(f"{line}\n")
    said = "WRONG" if wrong else "ok"
    told = f"{len(incidents)} incidents, {restarts} restarts, {len(fired)} alerts"
    sys.stdout.write(f"storm-alerts: {said}; {told}; both lists: {OUT / 'alerts.json'}\n")
    return 1 if wrong else 0


def _played(folder: Path, seed: int, incidents: list[Incident], seconds: float) -> tuple[list[Fired], int]:
    """The alerts that fired, by the time since the begin, and how often a worker was started again."""
    port = _free_ports(len(SLOTS) + 2)
    targets = [port + number for number in range(len(SLOTS) + 1)]
    try:
        with (
            own_broker(folder / "kafka") as broker,
            set_up(broker, folder / "pipeline", seed, tolerance=False, thin=THIN) as setting,
            _exporter(setting, targets[-1]),
        ):
            company = Company(setting, port)
            setting.feed.start()
            company.tend()
            until(lambda: setting.watcher.shown_s(0.0, setting.source.begin_ns) is not None, "rows come", 120)
            with prometheus(folder / "prometheus", port + len(targets), targets) as watching:
                begun_s = _play(company, incidents, seconds, watching)
                fired = watching.fired(begun_s, time())
            return [
                Fired(one.name, one.begin_s - begun_s, one.end_s - begun_s) for one in fired
            ], company.restarts
    finally:
        kept = OUT / "alerts"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        for log in [*folder.glob("pipeline/*.log"), *folder.glob("prometheus/*.log")]:
            shutil.copy2(log, kept)


def _play(company: Company, incidents: list[Incident], seconds: float, watching: Prometheus) -> float:
    """Let everything happen in its time; returns when that began, by the wall clock in seconds."""
    begun_s, begun = time(), monotonic()
    open_ones = list(incidents)
    while (at_s := monotonic() - begun) < seconds:
        company.tend()
        while open_ones and open_ones[0].at_s <= at_s:
            incident = open_ones.pop(0)
            words = f"{incident.kind} {incident.slot}".strip()
            sys.stdout.write(f"{at_s:7.1f} s  {words}\n")
            sys.stdout.flush()
            company.strike(incident)
        if BEGIN_S - 1 < at_s < BEGIN_S:
            down = {where: health for where, health in watching.scraped().items() if health != "up"}
            assert not down, f"not scraped: {down}"
        sleep(TICK_S)
    return begun_s


@contextmanager
def _exporter(setting: Setting, port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "app", "exporter", "--config", str(setting.folder / "tidemark.toml")]
    with (setting.folder / "exporter.log").open("wb") as log:
        process = subprocess.Popen([*command, "--port", str(port)], cwd=ROOT, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody has, below those of outgoing connections."""
    return next(
        first
        for first in range(21_000, 31_000, 16)
        if all(_is_free(first + number) for number in range(count))
    )


def _is_free(port: int) -> bool:
    with socket.socket() as trial, suppress(OSError):
        trial.bind(("127.0.0.1", port))
        return True
    return False


def _lines(incidents: list[Incident], fired: list[Fired]) -> Iterator[str]:
    """Both lists beside one another, in the order of time."""
    told = [
        (one.at_s, f"{one.at_s:7.0f} s  {one.kind} {one.slot}") for one in incidents if one.must or one.may
    ]
    told += [(one.begin_s, f"{one.begin_s:7.0f} s    {one.name}, until {one.end_s:.0f} s") for one in fired]
    for _, line in sorted(told):
        yield line


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2])))
