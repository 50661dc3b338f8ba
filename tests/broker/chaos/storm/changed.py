"""A graph that is changed under 20,000 rows/s: what is unchanged keeps its bits, what is new has its past.

A worker runs with one graph, is stopped, and starts with another.  A graph that takes all joined rows in one
life, from the first on, says what each node has to give before the change and behind it.
"""

import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final

import pyarrow as pa
import tomli_w
from confluent_kafka import Message
from rich.console import Console

from app.config import load_settings
from app.wiring.open import pipeline_on
from app.wiring.pipeline import Pipeline, topic_specs
from gpu_sink.source import AlignedStream
from operators.sealed import ALIGNED
from tests.broker.chaos.crew import Hand
from tests.broker.chaos.log_reader import read_all
from tests.broker.chaos.own_broker import own_broker
from tests.broker.chaos.sinks import PLACE, Rows, equal_bits, rows_of, wanted_rows
from tests.broker.chaos.storm.events import ELDER
from tests.broker.chaos.storm.setting import PARTITIONS, Setting, set_up
from tests.stage.day_runs import until
from tests.stage.reference_graph import FEED_NAMES, NODES, QUICK, reference_graph
from topics.catalogue import apply, plan
from topics.kafka.bus import KafkaBus

PATIENCE_S: Final = 120.0

SWING: Final = {"high": "rolling_max(price, '4s')", "mean": "rolling_mean(price, rows=30)"}
WIDER: Final = {"high": "rolling_max(price, '3s')", "mean": SWING["mean"], "low": "rolling_min(price, '3s')"}
AWAY: Final = {"total": "cumsum(number)"}
NEW: Final = {"mean_5s": "rolling_mean(price, '5s')", "before": "lag(price, rows=3)", "sum": "cumsum(number)"}


def graphs() -> tuple[dict[str, Any], dict[str, Any]]:
    """Thirty features that stay, a node that gets a column more, one that goes, and one that comes."""

    def node(features: Mapping[str, str]) -> dict[str, Any]:
        return {"from": QUICK, "features": dict(features), "out": {"columns": list(features)}}

    reference = reference_graph(FEED_NAMES)
    return (
        {**reference, "swing": node(SWING), "away": node(AWAY)},
        {**reference, "swing": node(WIDER), "new": node(NEW)},
    )


@dataclass(slots=True)
class Changed:
    """What came of it: rows, by what is wrong with them; and how long no row was shown, in seconds."""

    rows: int = 0
    rows_behind: int = 0  # of the change
    gap_s: float = 0.0
    wrong: list[str] = field(default_factory=list)
    read_by_columns: int = 0  # rows that a reader saw that chose columns of the node that changes

    def __str__(self) -> str:
        seen = f"{self.read_by_columns:,} read by columns over the change"
        return (
            f"{self.rows:,} joined rows, {self.rows_behind:,} behind the change; new rows shown after "
            f"{self.gap_s:.2f} s; {seen}; {'; '.join(self.wrong) or 'every bit as it should be'}"
        )


def change_under_load(folder: Path, seconds: float) -> Changed:
    """Let a graph run for so long, then the other one, on a broker of one's own."""
    before, after = graphs()
    with (
        own_broker(folder / "kafka") as broker,
        set_up(broker, folder / "changed", 1, graph=before) as setting,
    ):
        config = setting.folder / "tidemark.toml"
        found = Changed()
        setting.feed.start()
        first = _hire(setting)
        _shown(setting, first)
        _pass(setting, seconds)
        old = _pipeline(setting, config)
        first.send(SIGTERM)
        first.ended_well()
        begun_s = monotonic()
        config.write_text(tomli_w.dumps({**tomllib.loads(config.read_text()), "graph": after}))
        admin = KafkaBus(broker.bootstrap).admin()
        apply(admin, plan(admin, topic_specs(load_settings(config))))
        second = _hire(setting)
        found.gap_s = _shown(setting, second) - begun_s
        _pass(setting, seconds)
        setting.feed.finish()
        second.ended_well()
        setting.watcher.close()
        new = _pipeline(setting, config)
        names = {*old.settings.node_outputs, *new.settings.node_outputs, ALIGNED}
        log = read_all(broker.bootstrap, sorted(map(new.settings.topic, names)), PARTITIONS)
        for partition in range(PARTITIONS):
            judge(log, old, new, partition, found)
        found.read_by_columns = _read_by_columns(broker.bootstrap, new.settings.topic("swing"))
        if found.read_by_columns != found.rows:
            found.wrong.append(f"a reader of columns saw {found.read_by_columns:,} of {found.rows:,} rows")
        return found


def judge(
    log: Mapping[str, Sequence[Message]], old: Pipeline, new: Pipeline, partition: int, found: Changed
) -> None:
    """Hold the nodes of one partition against graphs that were there from the beginning."""
    aligned = log[new.settings.topic(ALIGNED)]
    lives = wanted_rows(aligned, old, partition), wanted_rows(aligned, new, partition)
    made = {
        name: rows_of(log[new.settings.topic(name)], partition, (lives[0] | lives[1])[name].rows.schema)
        for name in {*lives[0], *lives[1]}
    }
    places = lives[0][QUICK].places
    change = places.index(made["new"].places[0])  # what is new has rows from the change on
    found.rows += len(places)
    found.rows_behind += len(places) - change
    wanted = {
        **{name: [(lives[1][name], 0, len(places))] for name in NODES},
        "swing": [(lives[0]["swing"], 0, change), (lives[1]["swing"], change, len(places))],
        "away": [(lives[0]["away"], 0, change)],
        "new": [(lives[1]["new"], change, len(places))],
    }
    for name, parts in wanted.items():
        if wrong := _apart(made[name], parts):
            found.wrong.append(f"{name}[{partition}]: {wrong}")


def _apart(made: Rows, parts: Sequence[tuple[Rows, int, int]]) -> str:
    """Where rows are not those of the stretches of lives, in words; empty where they are."""
    places = [place for life, lower, upper in parts for place in life.places[lower:upper]]
    if made.repeated or made.places != places:
        twice = f"{made.repeated:,} twice" if made.repeated else "or in another order"
        return f"{len(made.places):,} rows where {len(places):,} are due, {twice}"
    at = 0
    for life, lower, upper in parts:
        theirs = life.rows.slice(lower, upper - lower)
        columns = [name for name in theirs.schema.names if name not in PLACE]
        mine = made.rows.slice(at, upper - lower)
        both = (pa.Table.from_batches([rows.select(columns)]) for rows in (mine, theirs))
        if differs := int((~equal_bits(*both)).sum()):
            return f"{differs:,} of {upper - lower:,} rows have other values"
        at += upper - lower
    return ""


def _pipeline(setting: Setting, config: Path) -> Pipeline:
    return pipeline_on(load_settings(config), KafkaBus(setting.broker.bootstrap))


def _hire(setting: Setting) -> Hand:
    return setting.crew.hire(ELDER, environment={"TIDEMARK_WORKER__STATE": str(setting.state(ELDER))})


def _shown(setting: Setting, hand: Hand) -> float:
    """Wait until every partition shows rows that are newer than now; when that was."""
    since_s, event_ns = monotonic(), setting.feed.now_ns
    until(
        lambda: setting.watcher.shown_s(since_s, event_ns) is not None or not hand.alive,
        "every partition shows new rows",
        PATIENCE_S,
    )
    shown_s = setting.watcher.shown_s(since_s, event_ns)
    assert shown_s is not None, hand.said()
    return shown_s


def _pass(setting: Setting, seconds: float) -> None:
    """Let so many seconds of market go by."""
    event_ns = setting.feed.now_ns + int(seconds * 1e9)
    until(
        lambda: min(setting.watcher.newest_ns.values()) >= event_ns,
        "the market goes on",
        seconds + PATIENCE_S,
    )


def _read_by_columns(bootstrap: str, topic: str) -> int:
    """How many rows a reader has that chose its columns, one of which is new."""
    stream = AlignedStream.from_kafka(bootstrap, topic, until_end=True)
    batches = stream.batches(columns=["event_ns", "high", "low"], columns_missing="null", batch_rows=4_096)
    return sum(len(batch["event_ns"]) for batch in batches)


def main(seconds: float) -> int:
    """Change a graph after so many seconds; 1 where anything is not as it should be."""
    with TemporaryDirectory(prefix="tidemark-changed-") as folder:
        found = change_under_load(Path(folder), seconds)
    Console().print(str(found), markup=False)
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
