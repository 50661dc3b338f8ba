"""The dashboard: the same metrics for a person, as Grafana reads it."""

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

COLUMNS: Final = 24  # of Grafana's grid
WIDTH: Final = 8
HEIGHT: Final = 7
SCHEMA: Final = 39  # of dashboards, which later versions of Grafana read as well

_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


class Panel(NamedTuple):
    """One picture: its title, its unit in Grafana's words, and each expression with its legend."""

    title: str
    unit: str
    targets: tuple[tuple[str, str], ...]
    words: str = ""


def _quantile(share: float, name: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({name}_bucket[$__rate_interval])))"


def _rate(name: str, by: str = "") -> str:
    total = f"rate({name}[$__rate_interval])"
    return f"sum by ({by}) ({total})" if by else f"sum({total})"


_BEHIND: Final = (
    "sum by (stream) (tidemark_lag_messages)"
    f" / clamp_min({_rate('tidemark_messages_read_total', 'stream')}, 1)"
)
_UNSEALED: Final = (
    "max by (partition) (tidemark_newest_timestamp_seconds)"
    " - on (partition) tidemark_frontier_timestamp_seconds"
)
_ABOVE: Final = (
    "tidemark_watermark_timestamp_seconds - on (partition) group_left () tidemark_frontier_timestamp_seconds"
)

ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "Are sealed rows leaving",
        (
            Panel("Rows sealed", "rowsps", ((_rate("tidemark_rows_sealed_total"), "sealed"),)),
            Panel("Rows read", "rowsps", ((_rate("tidemark_rows_read_total", "stream"), "{{stream}}"),)),
            Panel(
                "Since the frontier moved",
                "s",
                (("time() - tidemark_frontier_moved_timestamp_seconds", "task {{partition}}"),),
                "Of each task: a mean would hide the one that stands.",
            ),
            Panel(
                "Behind, at the present rate",
                "s",
                (
                    (
                        _BEHIND,
                        "{{stream}}",
                    ),
                ),
            ),
            Panel(
                "Market time that is read and not sealed",
                "s",
                (
                    (
                        _UNSEALED,
                        "task {{partition}}",
                    ),
                ),
                "Right in a replay as well, since both are times of the market.",
            ),
            Panel(
                "Last needed message to sealed",
                "s",
                (
                    (_quantile(0.5, "tidemark_seal_delay_seconds"), "p50"),
                    (_quantile(0.99, "tidemark_seal_delay_seconds"), "p99"),
                ),
            ),
        ),
    ),
    (
        "Who holds it",
        (
            Panel(
                "Watermark above the frontier",
                "s",
                (
                    (
                        _ABOVE,
                        "{{stream}}[{{partition}}]",
                    ),
                ),
                "The input at 0 holds its task.",
            ),
            Panel("Rows that wait", "short", (("tidemark_waiting_rows", "{{stream}}[{{partition}}]"),)),
            Panel("Bytes that wait", "bytes", (("tidemark_waiting_bytes", "{{stream}}[{{partition}}]"),)),
            Panel("Unread", "short", (("tidemark_lag_messages", "{{stream}}[{{partition}}]"),)),
            Panel(
                "Hidden by open transactions",
                "short",
                (("tidemark_uncommitted_messages", "{{stream}}[{{partition}}]"),),
            ),
            Panel(
                "Idle and paused inputs",
                "short",
                (
                    ("sum(tidemark_input_idle)", "idle"),
                    ("sum(tidemark_input_paused)", "paused"),
                    ("tidemark_group_tasks_unowned", "tasks without a worker"),
                    ("tidemark_session_open", "session open"),
                ),
            ),
            Panel(
                "Since an input was read",
                "s",
                (("time() - tidemark_input_read_timestamp_seconds", "{{stream}}[{{partition}}]"),),
            ),
        ),
    ),
    (
        "What became of rows",
        (
            Panel("Late", "rowsps", ((_rate("tidemark_rows_late_total", "stream"), "{{stream}}"),)),
            Panel(
                "Dead letters",
                "cps",
                ((_rate("tidemark_dead_letters_total", "stream, reason"), "{{stream}} {{reason}}"),),
            ),
            Panel("Unmatched", "rowsps", ((_rate("tidemark_rows_unmatched_total", "stream"), "{{stream}}"),)),
            Panel("Sealed on silence", "rowsps", ((_rate("tidemark_rows_assumed_total"), "assumed"),)),
            Panel("Bytes read", "Bps", ((_rate("tidemark_read_bytes_total", "stream"), "{{stream}}"),)),
        ),
    ),
    (
        "Workers",
        (
            Panel(
                "Where the time goes",
                "percentunit",
                ((_rate("tidemark_phase_seconds_total", "instance, phase"), "{{instance}} {{phase}}"),),
            ),
            Panel("Commits", "cps", ((_rate("tidemark_commits_total", "outcome"), "{{outcome}}"),)),
            Panel(
                "Commits take",
                "s",
                (
                    (_quantile(0.5, "tidemark_commit_duration_seconds"), "p50"),
                    (_quantile(0.99, "tidemark_commit_duration_seconds"), "p99"),
                ),
            ),
            Panel(
                "Since the last commit and the last turn",
                "s",
                (
                    ("time() - tidemark_last_commit_timestamp_seconds", "{{instance}} commit"),
                    ("time() - tidemark_turn_timestamp_seconds", "{{instance}} turn"),
                ),
            ),
            Panel(
                "Tasks",
                "short",
                (
                    ("sum by (state) (tidemark_tasks)", "{{state}}"),
                    ("count by (version) (tidemark_worker_info)", "workers of {{version}}"),
                ),
            ),
            Panel("Rebalances", "cps", ((_rate("tidemark_rebalances_total", "event"), "{{event}}"),)),
            Panel(
                "Recovery",
                "s",
                ((_quantile(0.99, "tidemark_recovery_seconds"), "p99"),),
            ),
            Panel("Local state", "bytes", (("tidemark_state_bytes", "{{instance}}"),)),
            Panel(
                "Waited for, replaced, rebuilt",
                "short",
                (
                    (_rate("tidemark_away_seconds_total", "what"), "waiting for the {{what}}"),
                    (_rate("tidemark_clients_replaced_total", "client"), "{{client}} replaced"),
                    (_rate("tidemark_state_rebuilds_total", "reason"), "state rebuilt: {{reason}}"),
                ),
            ),
            Panel("Memory", "bytes", (("process_resident_memory_bytes", "{{instance}}"),)),
            Panel(
                "CPU", "percentunit", (("rate(process_cpu_seconds_total[$__rate_interval])", "{{instance}}"),)
            ),
        ),
    ),
    (
        "Readers",
        (
            Panel(
                "Rows handed over",
                "rowsps",
                ((_rate("tidemark_sink_rows_total", "instance"), "{{instance}}"),),
            ),
            Panel("Batches", "cps", ((_rate("tidemark_sink_batches_total", "instance"), "{{instance}}"),)),
            Panel(
                "Copied", "Bps", ((_rate("tidemark_sink_copied_bytes_total", "instance"), "{{instance}}"),)
            ),
            Panel(
                "Sealed to handed over",
                "s",
                (
                    (_quantile(0.5, "tidemark_sink_delay_seconds"), "p50"),
                    (_quantile(0.99, "tidemark_sink_delay_seconds"), "p99"),
                ),
            ),
            Panel(
                "Waiting",
                "percentunit",
                ((_rate("tidemark_sink_wait_seconds_total", "for"), "for {{for}}"),),
            ),
            Panel(
                "Missing, repeated, refused",
                "cps",
                (
                    (_rate("tidemark_sink_rows_missing_total"), "rows missing"),
                    (_rate("tidemark_sink_rows_repeated_total"), "rows repeated"),
                    (_rate("tidemark_sink_frame_errors_total", "reason"), "frames refused: {{reason}}"),
                ),
            ),
        ),
    ),
)


def dashboard_text() -> str:
    """The dashboard as the JSON that Grafana imports."""
    variable = {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
    }
    board = {
        "title": "Tidemark",
        "uid": "tidemark",
        "schemaVersion": SCHEMA,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "tags": ["tidemark"],
        "templating": {"list": [variable]},
        "panels": list(_panels()),
    }
    return json.dumps(board, indent=1) + "\n"


def _panels() -> Iterator[dict[str, Any]]:
    """The rows with their panels, three beside one another."""
    number, top = 0, 0
    for title, panels in ROWS:
        number += 1
        grid = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": grid, "panels": []}
        top += 1
        for place, panel in enumerate(panels):
            number += 1
            yield _drawn(panel, number, place * WIDTH % COLUMNS, top + place * WIDTH // COLUMNS * HEIGHT)
        top += -(-len(panels) * WIDTH // COLUMNS) * HEIGHT


def _drawn(panel: Panel, number: int, left: int, top: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.words,
        "datasource": _DATASOURCE,
        "gridPos": {"x": left, "y": top, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": {"fillOpacity": 8}}, "overrides": []},
        "options": {"tooltip": {"mode": "multi"}, "legend": {"displayMode": "list", "placement": "bottom"}},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "expr": expression,
                "legendFormat": legend,
                "datasource": _DATASOURCE,
            }
            for at, (expression, legend) in enumerate(panel.targets)
        ],
    }
