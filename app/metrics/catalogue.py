"""Every metric by name: its type, its labels with their values, who gives it, and what it says.

Names are an interface: dashboards and alerts of other people hang on them.  `tests/golden/metrics.txt` has
them all, and a change there is a line of the changelog.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from schemas.clocks import NS_PER_MS
from schemas.letters import DEAD_AHEAD, DEAD_BROKEN_RULE, DEAD_UNREADABLE

Kind = Literal["counter", "gauge", "histogram"]
By = Literal["worker", "exporter", "sink"]

# A counter as the ledger keeps it: its name, and the values of its labels in their order.
Key: TypeAlias = tuple[str, ...]

# Upper bounds of the buckets, inclusive; what is above lies in a last one without a bound.
EDGES_MS: Final = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000)
EDGES_NS: Final = tuple(int(edge_ms * NS_PER_MS) for edge_ms in EDGES_MS)

REASONS: Final[Mapping[str, str]] = {  # of a dead letter, by what the letter says of itself
    DEAD_UNREADABLE: "unreadable",
    DEAD_BROKEN_RULE: "rule",
    DEAD_AHEAD: "ahead",
}

# The values of each label that are known beforehand; those of the others are names of settings and numbers.
VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "outcome": ("done", "aborted", "unknown", "fenced"),
    "phase": ("wait", "decode", "push", "seal", "send", "commit", "state"),
    "state": ("owned", "rereading", "incomplete"),
    "event": ("assigned", "revoked", "lost"),
    "what": ("broker", "registry"),
    "client": ("producer", "consumer"),
    "for": ("frame", "slot", "consumer", "copy"),
}

ROWS_READ: Final = "tidemark_rows_read_total"
MESSAGES_READ: Final = "tidemark_messages_read_total"
BYTES_READ: Final = "tidemark_read_bytes_total"
ROWS_SEALED: Final = "tidemark_rows_sealed_total"
ROWS_UNMATCHED: Final = "tidemark_rows_unmatched_total"
ROWS_LATE: Final = "tidemark_rows_late_total"
ROWS_ASSUMED: Final = "tidemark_rows_assumed_total"
DEAD_LETTERS: Final = "tidemark_dead_letters_total"
SEAL_LATENCY: Final = "tidemark_seal_delay_seconds"
COMMIT_DURATION: Final = "tidemark_commit_duration_seconds"
COMMITS: Final = "tidemark_commits_total"
LAST_COMMIT: Final = "tidemark_last_commit_timestamp_seconds"
PHASES: Final = "tidemark_phase_seconds_total"
TURN: Final = "tidemark_turn_timestamp_seconds"
TASKS: Final = "tidemark_tasks"
REBALANCES: Final = "tidemark_rebalances_total"
STATE_BYTES: Final = "tidemark_state_bytes"
STATE_REBUILDS: Final = "tidemark_state_rebuilds_total"
RECOVERY: Final = "tidemark_recovery_seconds"
REPLACED: Final = "tidemark_clients_replaced_total"
AWAY: Final = "tidemark_away_seconds_total"
WORKER: Final = "tidemark_worker_info"


class Metric(NamedTuple):
    """One metric; `values` are the values of a label that is closed for this metric alone."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    by: By
    words: str
    values: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def closed(self, label: str) -> tuple[str, ...]:
        """The values that a label of it can have, where they are known beforehand."""
        return self.values.get(label) or VALUES.get(label, ())


def _worker() -> Iterator[Metric]:
    """What a worker says of itself."""
    stream = ("stream",)
    yield Metric(
        WORKER,
        "gauge",
        ("version", "pipeline", "slot", "guarantee", "reading"),
        "worker",
        "1; what runs here, and how it reads messages.",
    )
    yield Metric(MESSAGES_READ, "counter", stream, "worker", "Messages read, again after a restart or not.")
    yield Metric(BYTES_READ, "counter", stream, "worker", "Bytes of the values of messages read.")
    yield Metric(ROWS_READ, "counter", stream, "worker", "Rows read for the first time, and committed.")
    yield Metric(ROWS_SEALED, "counter", (), "worker", "Joined rows sealed and committed.")
    yield Metric(
        ROWS_UNMATCHED, "counter", stream, "worker", "Sealed rows without a match in this right stream."
    )
    yield Metric(ROWS_LATE, "counter", stream, "worker", "Rows that came below the frontier.")
    yield Metric(
        ROWS_ASSUMED, "counter", (), "worker", "Sealed rows that only the silence of an idle input let out."
    )
    yield Metric(
        DEAD_LETTERS,
        "counter",
        ("stream", "reason"),
        "worker",
        "Messages that are dead, whole or in some rows.",
        {"reason": tuple(REASONS.values())},
    )
    yield Metric(SEAL_LATENCY, "histogram", (), "worker", "From when a task read last to its rows sealed.")
    yield Metric(COMMIT_DURATION, "histogram", (), "worker", "How long commits took.")
    yield Metric(COMMITS, "counter", ("outcome",), "worker", "Commits, by what became of them.")
    yield Metric(LAST_COMMIT, "gauge", (), "worker", "Wall clock of the last commit that counts.")
    yield Metric(PHASES, "counter", ("phase",), "worker", "Where the time of the loop goes.")
    yield Metric(TURN, "gauge", (), "worker", "Wall clock of the loop's last heartbeat.")
    yield Metric(TASKS, "gauge", ("state",), "worker", "Tasks owned, read again, and with some inputs only.")
    yield Metric(REBALANCES, "counter", ("event",), "worker", "What the group did with tasks of this worker.")
    yield Metric(STATE_BYTES, "gauge", (), "worker", "Bytes of local state on disk.")
    yield Metric(
        STATE_REBUILDS,
        "counter",
        ("reason",),
        "worker",
        "Tasks opened without usable local state.",
        {"reason": ("none", "wiped")},
    )
    yield Metric(RECOVERY, "histogram", (), "worker", "From a task opened to it caught up.")
    yield Metric(
        REPLACED,
        "counter",
        ("client", "reason"),
        "worker",
        "Kafka clients thrown away for new ones.",
        {"reason": ("doubt", "expired", "lost", "rejoined", "strayed")},
    )
    yield Metric(AWAY, "counter", ("what",), "worker", "Time spent waiting for what did not answer.")


def _exporter() -> Iterator[Metric]:
    """What is seen from outside the workers, of hung ones as well."""
    partition, both = ("partition",), ("stream", "partition")
    for name, labels, words in (
        ("frontier_timestamp_seconds", partition, "Market time below which all rows are sealed."),
        ("frontier_moved_timestamp_seconds", partition, "Wall clock at which the frontier rose last."),
        ("watermark_timestamp_seconds", both, "Market time below which no row is expected any more."),
        ("newest_timestamp_seconds", both, "Market time of the newest row read."),
        ("input_read_timestamp_seconds", both, "Wall clock at which a row came last."),
        ("waiting_rows", both, "Rows that wait for the frontier."),
        ("waiting_bytes", both, "Bytes that wait for the frontier."),
        ("input_idle", both, "1 where the input is left out of the frontier for being quiet."),
        ("input_paused", both, "1 where the input is at its limit of memory."),
        ("lag_messages", both, "Offsets up to the last stable one that no commit has seen."),
        ("uncommitted_messages", both, "Offsets behind the oldest open transaction."),
        ("group_tasks_unowned", (), "Tasks that no worker of the group has."),
        ("session_open", (), "1 within a session of graph.anchor; not there without one."),
    ):
        yield Metric(f"tidemark_{name}", "gauge", labels, "exporter", words)


def _sink() -> Iterator[Metric]:
    """What a reader of aligned rows says, where it shows the collector of `gpu_sink.metrics`."""
    counts: tuple[tuple[str, tuple[str, ...], str], ...] = (
        ("rows_total", (), "Rows handed over."),
        ("batches_total", (), "Batches handed over."),
        ("copied_bytes_total", (), "Bytes of slots handed to the copy engine."),
        ("rows_missing_total", (), "Rows that are missing before frames that were read."),
        ("rows_repeated_total", (), "Rows that came again."),
        ("frame_errors_total", ("reason",), "Frames that could not be used."),
        ("wait_seconds_total", ("for",), "Time spent waiting."),
    )
    for name, labels, words in counts:
        values = {"reason": ("frame", "gap", "column")} if "reason" in labels else {}
        yield Metric(f"tidemark_sink_{name}", "counter", labels, "sink", words, values)
    yield Metric("tidemark_sink_delay_seconds", "histogram", (), "sink", "From sealed to handed over.")


METRICS: Final[tuple[Metric, ...]] = (*_worker(), *_exporter(), *_sink())
BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}


def keys_of(metric: Metric, streams: tuple[str, ...]) -> Iterator[Key]:
    """Every key of a counter: a scrape shows it from the beginning, for nobody sees a rise from nothing."""
    keys: list[Key] = [(metric.name,)]
    for label in metric.labels:
        values = streams if label == "stream" else metric.closed(label)
        keys = [(*key, value) for key in keys for value in values]
    yield from keys
