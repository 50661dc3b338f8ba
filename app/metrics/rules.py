"""The alerts: what is worth waking somebody, as rules that Prometheus reads."""

from typing import Final, Literal, NamedTuple

RUNBOOKS: Final = "docs/alerts.md"  # has a heading for each


class Alert(NamedTuple):
    """One alert: fires where `expression` has held for `lasting`, and says `summary`."""

    name: str
    expression: str
    lasting: str
    severity: Literal["page", "ticket"]
    summary: str


_READ_RATE: Final = "rate(tidemark_messages_read_total[{}])"
_STREAM: Final = "sum by (stream) ({})"

ALERTS: Final = (
    Alert(
        "FrontierStuck",
        "(time() - tidemark_frontier_moved_timestamp_seconds > 60)"
        " and on (partition) (sum by (partition) (tidemark_waiting_rows) > 0)",
        "1m",
        "page",
        "Task {{ $labels.partition }} has rows that wait, and its frontier has not moved for a minute.",
    ),
    Alert(
        "TaskUnowned",
        "tidemark_group_tasks_unowned > 0",
        "2m",
        "page",
        "{{ $value }} tasks have no worker.",
    ),
    Alert(
        "CommitsStopped",
        "(time() - tidemark_last_commit_timestamp_seconds > 30)"
        f" and on (instance) (sum by (instance) ({_READ_RATE.format('1m')}) > 0)",
        "1m",
        "page",
        "{{ $labels.instance }} reads, and has committed nothing for half a minute.",
    ),
    Alert(
        "Behind",
        f"{_STREAM.format('tidemark_lag_messages')}"
        f" / clamp_min({_STREAM.format(_READ_RATE.format('5m'))}, 1) > 30",
        "5m",
        "page",
        "At the rate of the last minutes, {{ $labels.stream }} is {{ $value | humanizeDuration }} behind.",
    ),
    Alert(
        "SealSlow",
        "histogram_quantile(0.99, sum by (le) (rate(tidemark_seal_delay_seconds_bucket[5m]))) > 0.25",
        "5m",
        "ticket",
        "One row in a hundred is sealed later than {{ $value | humanizeDuration }} after what it needed.",
    ),
    Alert(
        "LateRows",
        f"{_STREAM.format('rate(tidemark_rows_late_total[10m])')}"
        f" / clamp_min({_STREAM.format('rate(tidemark_rows_read_total[10m])')}, 1) > 1e-4",
        "5m",
        "ticket",
        "{{ $value | humanizePercentage }} of the rows of {{ $labels.stream }} are late.",
    ),
    Alert(
        "DeadLetters",
        "sum by (stream, reason) (increase(tidemark_dead_letters_total[10m])) > 0",
        "0s",
        "ticket",
        "Messages of {{ $labels.stream }} are dead: {{ $labels.reason }}.",
    ),
    Alert(
        "TransactionsUndone",
        'sum(increase(tidemark_commits_total{outcome!="done"}[10m])) > 3',
        "0s",
        "ticket",
        "{{ $value }} commits came to nothing within ten minutes.",
    ),
    Alert(
        "UpstreamTransactionOpen",
        "min_over_time(tidemark_uncommitted_messages[2m]) > 0",
        "1m",
        "page",
        "A producer's open transaction hides messages of {{ $labels.stream }}[{{ $labels.partition }}].",
    ),
    Alert(
        "QuietInput",
        "(time() - tidemark_input_read_timestamp_seconds > 15) and on () (tidemark_session_open == 1)",
        "30s",
        "page",
        "{{ $labels.stream }}[{{ $labels.partition }}] is silent while its venue trades.",
    ),
    Alert(
        "MatchRateDropped",
        "sum by (stream) (rate(tidemark_rows_unmatched_total[10m]))"
        " / on () group_left () clamp_min(sum(rate(tidemark_rows_sealed_total[10m])), 1) > 0.02",
        "10m",
        "ticket",
        "{{ $value | humanizePercentage }} of the sealed rows have no match in {{ $labels.stream }}.",
    ),
    Alert(
        "SinkRowsMissing",
        "sum by (instance) (increase(tidemark_sink_rows_missing_total[10m])) > 0",
        "0s",
        "page",
        "{{ $labels.instance }} read frames before which {{ $value }} rows are missing.",
    ),
    Alert(
        "VersionSkew",
        "count(count by (version) (tidemark_worker_info)) > 1",
        "30m",
        "ticket",
        "Workers of {{ $value }} versions run side by side.",
    ),
    Alert("Gone", "absent(tidemark_worker_info)", "2m", "page", "No worker is scraped at all."),
)


def rules_text(runbooks: str = RUNBOOKS) -> str:
    """The rules as YAML; `runbooks` is where the page about alerts is found."""
    lines = ["groups:", "  - name: tidemark", "    rules:"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {_quoted(alert.expression)}",
            f"        for: {alert.lasting}",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {_quoted(alert.summary)}",
            f"          runbook_url: {_quoted(f'{runbooks}#{alert.name.lower()}')}",
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text as YAML has it between single quotes, where nothing but a quote is special."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
