"""Names are an interface: the golden list, alerts, dashboard and pages say the same as the code."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.metrics.catalogue import BY_NAME, EDGES_MS, METRICS, keys_of
from app.metrics.dashboard import dashboard_text
from app.metrics.reference import expressions, golden_lines, reference_text
from app.metrics.rules import ALERTS, rules_text
from gpu_sink.figures import EDGES_S
from tests.stage.programs import ROOT

GOLDEN = ROOT / "tests/golden/metrics.txt"
RULES = ROOT / "docs/monitoring/rules.yml"
DASHBOARD = ROOT / "docs/monitoring/dashboard.json"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool on PATH (Debian: prometheus): the alert rules are NOT checked"
)
PARTS = ("_bucket", "_count", "_sum")


def names_in(expression: str) -> set[str]:
    """The metrics that an expression names, histograms by their own names."""
    names = set(re.findall(r"\btidemark_\w+", expression))
    return {next((name.removesuffix(part) for part in PARTS if name.endswith(part)), name) for name in names}


def test_metrics_are_those_of_the_golden_list() -> None:
    said = "a name that changes leaves dashboards empty: say so in CHANGELOG.md, and write the list anew"
    assert golden_lines() == GOLDEN.read_text().splitlines(), said


def test_every_name_in_alerts_and_dashboard_is_a_metric_with_these_labels() -> None:
    for expression in expressions():
        names = names_in(expression)
        assert names <= BY_NAME.keys(), expression
        known = {label for name in names for label in BY_NAME[name].labels} | {"le", "instance"}
        for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
            assert set(re.findall(r"\w+", labels)) <= known, expression


def test_every_metric_is_on_the_dashboard() -> None:
    shown = set().union(*map(names_in, expressions()))
    assert BY_NAME.keys() - shown == set()


def test_names_are_in_base_units_and_counters_are_totals() -> None:
    for metric in METRICS:
        assert metric.name.startswith("tidemark_")
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert not re.search(r"_(ms|ns|us|kb|mb)(_|$)", metric.name)
        assert not {"symbol", "offset", "schema", "error"} & set(metric.labels)


def test_series_stay_within_their_budget() -> None:
    streams, partitions = ("trade", "quote"), 16
    fixed = sum(len(list(keys_of(m, streams))) for m in METRICS if m.by == "worker" and m.kind == "counter")
    fixed += sum(
        1 if m.kind == "gauge" else len(EDGES_MS) + 3
        for m in METRICS
        if m.by == "worker" and m.kind != "counter"
    )
    outside = sum(
        (len(streams) if "stream" in m.labels else 1) * (partitions if "partition" in m.labels else 1)
        for m in METRICS
        if m.by == "exporter"
    )
    assert fixed <= 130
    assert outside <= 10 + 10 * len(streams) * partitions


def test_readers_and_workers_have_the_same_buckets() -> None:
    assert [edge_s * 1_000 for edge_s in EDGES_S] == list(EDGES_MS)


@pytest.mark.parametrize(
    ("path", "text", "command"),
    [
        (RULES, rules_text(), "rules"),
        (DASHBOARD, dashboard_text(), "grafana"),
        (ROOT / "docs/metrics.md", reference_text(), "metrics"),
    ],
)
def test_what_is_committed_is_what_the_command_prints(path: Path, text: str, command: str) -> None:
    assert path.read_text() == text, f"python -m app dashboards {command} > {path.relative_to(ROOT)}"


def test_the_command_prints_the_text_and_nothing_else() -> None:
    command = [sys.executable, "-m", "app", "dashboards", "rules", "--runbooks", "https://example.org/a"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == rules_text("https://example.org/a")


def test_each_alert_has_its_page_and_says_what_it_is_about() -> None:
    page = (ROOT / "docs/alerts.md").read_text()
    headings = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert headings == [alert.name for alert in ALERTS]
    for heading in headings:
        assert f"#{heading.lower()}'" in rules_text()


def test_the_dashboard_is_json_whose_panels_do_not_overlap() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    cells = [
        (x, y)
        for grid in (panel["gridPos"] for panel in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels}) == len(panels)


@needs_promtool
def test_promtool_takes_the_rules() -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, "check", "rules", str(RULES)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


@needs_promtool
def test_alerts_fire_for_what_they_are_about_and_for_nothing_else() -> None:
    assert PROMTOOL is not None
    scenes = Path(__file__).with_name("alerts.yml")
    done = subprocess.run(
        [PROMTOOL, "test", "rules", str(scenes)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
