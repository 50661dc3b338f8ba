"""Latency as a user has it: from `produce()` of a trade to a reader having its committed row.

Trades and quotes are offered out of order by as much as the grace, a feed, the worker and a reader are
processes of their own.  A bare client that copies the trades, in transactions or each at once, runs in the
same rounds: what Kafka itself takes.  Rounds are interleaved, figures are medians over the rounds.
"""

import json
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
from confluent_kafka import Consumer, TopicPartition

from app.config import Settings
from app.wiring.broker import start_broker
from app.wiring.pipeline import topic_specs
from operators.sealed import ALIGNED
from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS, NS_PER_S
from tests.bench.asof import machine
from tests.bench.kafka_contender import SEEN_COLUMNS
from tests.bench.kafka_load import PARTITIONS, QUOTE, TRADE, Load, bench_settings, make_topics
from tests.bench.kafka_processes import begin, broker_pid, cpu_s, end, finish, start
from tests.bench.user_latency_legs import LEGS, SentLane, Ways, aligned_ways, copied_ways
from tests.bench.user_latency_picture import draw
from topics.bus import TopicSpec
from topics.kafka.bus import KafkaBus

RATES: Final = (5_000, 50_000)  # rows a second: one trade to four quotes
GUARANTEES: Final = ("at_least_once", "exactly_once")
ROUNDS: Final = 3
SECONDS: Final = 10.0
QUICK_SECONDS: Final = 1.0
SETTLE_S: Final = 2.0  # the first rows pay for connections
DRAIN_S: Final = 1.0
GRACE_MS: Final = 50  # and the disorder: as much as the grace allows without a late row
COMMIT_MS: Final = 100
PROMISED_MS: Final = {"at_least_once": GRACE_MS + 15, "exactly_once": GRACE_MS + COMMIT_MS + 30}
# The one that is measured and its reader, by name and module, and the feed.
PROCESSES: Final = {
    "tidemark": dict.fromkeys(("serve", "watch"), "tests.bench.kafka_contender"),
    "copy": dict.fromkeys(("copy", "watch-copy"), "tests.bench.user_latency_copy"),
}
FEED: Final = {"feed": "tests.bench.user_latency_feed"}
READ_AT_ONCE: Final = 10_000


@dataclass(slots=True)
class Contest:
    """One rate and guarantee: the figures of each contender, round by round."""

    rows_per_second: int
    guarantee: str
    rounds: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def medians(self, contender: str) -> dict[str, Any]:
        """The median over the rounds of every figure."""
        return dict(_medians(self.rounds[contender]))

    @property
    def wrong(self) -> int:
        """How many rows were lost or came twice, over all rounds."""
        rounds = [each for rounds in self.rounds.values() for each in rounds]
        return sum(each["lost"] + each["doubled"] for each in rounds)

    def verdict(self) -> dict[str, Any]:
        """The promise, and whether p99 keeps it: as a user has it, and without the wait for the watermark."""
        figures, promised_ms = self.medians("tidemark"), PROMISED_MS[self.guarantee]
        total_ms, own_ms = figures["total_ms"]["p99"], figures["own_ms"]["p99"]
        return {
            "promised_ms": promised_ms,
            "p99_ms": total_ms,
            "kept": total_ms <= promised_ms,
            "own_promised_ms": promised_ms - GRACE_MS,
            "own_p99_ms": own_ms,
            "own_kept": own_ms <= promised_ms - GRACE_MS,
            "planned_wait_p99_ms": figures["planned_wait_ms"]["p99"],
        }

    def as_json(self) -> dict[str, Any]:
        """All figures as plain values."""
        return {
            "rows_per_second": self.rows_per_second,
            "guarantee": self.guarantee,
            "verdict": self.verdict(),
            "medians": {name: self.medians(name) for name in self.rounds},
            "rounds": self.rounds,
        }


def run(out: Path, *, quick: bool) -> bool:
    """Measure; write user-latency.json and user-latency.png and print tables.

    False if a row was lost or came twice; what becomes of the promises is printed and no failure, since it
    depends on the machine.
    """
    folder = out / "user-latency"
    folder.mkdir(parents=True, exist_ok=True)
    seconds = QUICK_SECONDS if quick else SECONDS
    contests = compare(start_broker(), folder, RATES, rounds=1 if quick else ROUNDS, seconds=seconds)
    for contest in contests:
        for line in lines(contest):
            print(line, flush=True)
    report(out, contests, quick=quick)
    return not any(contest.wrong for contest in contests)


def report(out: Path, contests: Sequence[Contest], *, quick: bool) -> None:
    """Write the figures and the picture."""
    figures = {
        "machine": machine(),
        "quick": quick,
        "grace_ms": GRACE_MS,
        "commit_ms": COMMIT_MS,
        "contests": [contest.as_json() for contest in contests],
    }
    (out / "user-latency.json").write_text(json.dumps(figures, indent=2) + "\n")
    draw([contest.as_json() for contest in contests], out / "user-latency.png")


def compare(
    bootstrap: str, folder: Path, rates: Sequence[int], *, rounds: int, seconds: float
) -> list[Contest]:
    """Measure every rate and guarantee, the contenders in turn within a round."""
    contests = [Contest(rate, guarantee) for rate in rates for guarantee in GUARANTEES]
    for _ in range(rounds):
        for contest in contests:
            for contender in PROCESSES:
                figures = measure(bootstrap, folder, contest, contender, seconds=seconds)
                contest.rounds.setdefault(contender, []).append(figures)
    return contests


def measure(
    bootstrap: str, folder: Path, contest: Contest, contender: str, *, seconds: float
) -> dict[str, Any]:
    """Offer rows for some seconds to one contender, and follow each trade to the reader."""
    name = f"bench-{uuid4().hex[:8]}"
    settings = bench_settings(
        bootstrap,
        folder,
        Load(name="offered", quotes=1),
        prefix=name,
        inputs=name,
        grace_ns=GRACE_MS * NS_PER_MS,
        guarantee=contest.guarantee,
        commit_interval_ms=COMMIT_MS,
    )
    make_topics(settings, message_timestamp_type="LogAppendTime")
    admin = KafkaBus(bootstrap).admin()
    admin.create([TopicSpec(name=f"{name}.to", partitions=PARTITIONS, configs={})])
    config = {
        "settings": settings.model_dump(mode="json", by_alias=True),
        "rows_per_second": contest.rows_per_second,
        "seconds": SETTLE_S + seconds,
        "disorder_ns": GRACE_MS * NS_PER_MS,
        "group": f"{name}-copy",
        "from": settings.topic(TRADE.name),
        "to": f"{name}.to",
        "sent": str(folder / "sent.npz"),
        "read": str(folder / "read.npz"),
        "seen": {ALIGNED: str(folder / "seen.npy")} if contender == "tidemark" else str(folder / "seen.npz"),
    }
    file = folder / "run.json"
    file.write_text(json.dumps(config))
    shares = _run_processes(contender, file, folder, SETTLE_S + seconds)
    sent = _written(folder / "sent.npz")
    trades, quotes = (_lanes(settings, stream.name, sent) for stream in (TRADE, QUOTE))
    from_ns = int(sent["begin_ns"][0]) + int(SETTLE_S * NS_PER_S)
    ways = _ways(contender, config, trades, quotes, from_ns)
    admin.delete([*(spec.name for spec in topic_specs(settings)), f"{name}.to"])
    shutil.rmtree(folder / "state", ignore_errors=True)
    behind_ms = round(float(np.quantile(sent["behind_ns"], 0.99)) / NS_PER_MS, 3)
    return {**ways.figures(), "feed_behind_p99_ms": behind_ms, "cpu": shares}


def _run_processes(contender: str, file: Path, folder: Path, offered_s: float) -> dict[str, float]:
    """Run the feed beside a contender and its reader; CPU seconds per second of each meanwhile.

    The feed takes `offered_s`.
    """
    running = start(file, folder, PROCESSES[contender] | FEED)
    try:
        pids: dict[str, int | str] = {name: running[name].pid for name in running}
        pids |= broker_pid()
        begin(running["feed"], folder)
        before_s, begun_s = cpu_s(pids), time.monotonic()
        time.sleep(offered_s)
        elapsed_s, after_s = time.monotonic() - begun_s, cpu_s(pids)
        finish(running["feed"], folder)
        time.sleep(DRAIN_S)
        for name in PROCESSES[contender]:
            finish(running[name], folder)
    finally:
        end(running.values())
    return {name: round((after_s[name] - before_s[name]) / elapsed_s, 3) for name in pids}


def _ways(
    contender: str,
    config: Mapping[str, Any],
    trades: Mapping[int, SentLane],
    quotes: Mapping[int, SentLane],
    from_ns: int,
) -> Ways:
    """What the contender and its reader wrote down, joined with what the feed did."""
    if contender == "tidemark":
        seen = dict(zip(SEEN_COLUMNS, np.load(config["seen"][ALIGNED]), strict=True))
        return aligned_ways(trades, quotes, seen, grace_ns=GRACE_MS * NS_PER_MS, from_ns=from_ns)
    read_ns, seen_ns = (
        {number: columns[str(number)] for number in range(PARTITIONS)}
        for columns in (_written(config["read"]), _written(config["seen"]))
    )
    return copied_ways(trades, read_ns, seen_ns, from_ns=from_ns)


def _written(file: str | Path) -> dict[str, Int64s]:
    """What a process wrote down, by name."""
    with np.load(file) as columns:
        return dict(columns)


def _lanes(settings: Settings, stream: str, sent: Mapping[str, Int64s]) -> dict[int, SentLane]:
    """What the feed sent of a stream, by partition, with the times at which the broker appended it.

    The broker cuts them to whole milliseconds, so half of one is added.
    """
    topic, lanes = settings.topic(stream), {}
    for number in range(settings.bus.partitions):
        event_ns, due_ns, sent_ns = (
            sent[f"{topic}/{number}/{name}"] for name in ("event_ns", "due_ns", "sent_ns")
        )
        appended_ms = _appended_ms(settings, TopicPartition(topic, number, 0), sent_ns.size)
        lanes[number] = SentLane(event_ns, due_ns, sent_ns, appended_ms * NS_PER_MS + NS_PER_MS // 2)
    return lanes


def _appended_ms(settings: Settings, start_at: TopicPartition, count: int) -> Int64s:
    """When the broker appended the first `count` messages of a partition, by its clock."""
    consumer = Consumer({"bootstrap.servers": settings.bus.bootstrap, "group.id": "bench-append"})
    consumer.assign([start_at])
    appended: list[int] = []
    while len(appended) < count:
        for message in consumer.consume(min(READ_AT_ONCE, count - len(appended)), 1.0):
            assert message.error() is None, message.error()
            assert message.offset() == len(appended), f"{start_at}: offset {message.offset()}"
            appended.append(message.timestamp()[1])
    consumer.close()
    return np.array(appended, np.int64)


def _medians(rounds: Sequence[Any]) -> Any:
    """Nested figures of several rounds, each replaced by its median."""
    if isinstance(rounds[0], Mapping):
        return {name: _medians([each[name] for each in rounds]) for name in rounds[0]}
    return round(float(statistics.median(rounds)), 3)


def lines(contest: Contest) -> list[str]:
    """One contest as a table of milliseconds: the whole ways, then the legs."""
    guarantee = contest.guarantee.replace("_", " ")
    ours, bare, verdict = contest.medians("tidemark"), contest.medians("copy"), contest.verdict()
    names = list(ours["total_ms"])
    table = [
        f"{contest.rows_per_second:,} rows/s, {guarantee}: {ours['rows']:,.0f} trades a round, milliseconds",
        f"  {'':<44}" + "".join(f"{name:>10}" for name in names),
    ]
    rows = [("produce() of a trade to a reader of its row", ours["total_ms"])]
    rows += [(f"  {LEGS[leg]}", ms) for leg, ms in ours["legs_ms"].items()]
    rows += [("  all behind the wait", ours["own_ms"])]
    rows += [("bare copy, produce() to its reader", bare["total_ms"])]
    rows += [(f"  {LEGS[leg]}", ms) for leg, ms in bare["legs_ms"].items()]
    table += [f"  {words:<44}" + "".join(f"{ms[name]:>10.1f}" for name in names) for words, ms in rows]
    for words, prefix in (("p99", ""), ("p99 behind the wait", "own_")):
        kept = "kept" if verdict[f"{prefix}kept"] else "MISSED"
        table.append(
            f"  promise: {words} {verdict[f'{prefix}p99_ms']:.1f} ms of at most "
            f"{verdict[f'{prefix}promised_ms']}: {kept}"
        )
    limit = verdict["planned_wait_p99_ms"]
    beyond = ": no program could keep the first" if limit > verdict["promised_ms"] else ""
    table.append(f"  the wait alone, were every row produced when it is due: {limit:.1f} ms p99{beyond}")
    for name in PROCESSES:
        figures = contest.medians(name)
        shares = ", ".join(f"{role} {share:.2f}" for role, share in figures["cpu"].items())
        table.append(
            f"  {name}: CPU seconds per second {shares}; feed behind its plan "
            f"{figures['feed_behind_p99_ms']:.1f} ms p99"
        )
    if contest.wrong:
        table.append(f"  LOST OR DOUBLED {contest.wrong}")
    return table
