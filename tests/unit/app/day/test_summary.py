import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from app.day.summary import Summary
from app.words import duration

SUMMARY = Summary(
    date="2024-01-15",
    bus="embedded",
    clock="event",
    partitions=3,
    workers=2,
    shape="block",
    rows_in={"trade": 1_000, "quote": 20_000},
    rows_refused={"trade": 0, "quote": 7},
    rows_late={"trade": 0, "quote": 3},
    rows_aligned=1_000,
    rows_matched=990,
    rows_dead=2,
    audit_violations=0,
    audit_findings=[],
    seal_latency_ms={"p50": 1.25, "p99": 20.5},
    age_ns={"quote": {"p50": 71_700_000, "p99": 2_000_000_000}},
    grace_ns=50_000_000,
    hash="0123456789abcdef0123456789abcdef",
    parity=["600-000102030405060708090a0b0c0d0e0f", "400-000102030405060708090a0b0c0d0e0f", "0-" + "0" * 32],
    aligned="build/replay/2024-01-15/aligned",
    seconds=2.0,
)
EMPTY = replace(
    SUMMARY,
    rows_in={"trade": 0, "quote": 0},
    rows_aligned=0,
    rows_matched=0,
    seal_latency_ms={"p50": None, "p99": None},
    age_ns={"quote": {"p50": None, "p99": None}},
    seconds=0.0,
)


def shown(summary: Summary, width: int = 100) -> str:
    sink = io.StringIO()
    summary.show(Console(file=sink, width=width, highlight=False))
    return sink.getvalue()


def test_the_aligned_topic_is_named_where_there_is_one() -> None:
    assert "topic" not in shown(SUMMARY)
    assert shown(replace(SUMMARY, topic="replay-1.aligned")).endswith("\n topic         replay-1.aligned\n")


def test_nulls_of_a_node_are_told_with_their_reasons_the_most_first() -> None:
    nulls = {"tick": {f"x{i}": {"warming": i, "domain": 1} for i in range(1, 6)}}
    summary = replace(SUMMARY, rows_out={"tick": 1_000, "other": 10}, nulls_out=nulls)
    lines = shown(summary).splitlines()
    told = "; ".join(f"x{i} {i} warming, 1 domain" for i in (5, 4, 3))
    assert f" tick out      1,000  (nulls: {told}; 2 more)" in lines
    assert " other out     10" in lines


def test_the_file_has_what_other_programs_read(tmp_path: Path) -> None:
    SUMMARY.write(tmp_path / "summary.json")
    found = json.loads((tmp_path / "summary.json").read_text())
    promised = {
        "date": "2024-01-15",
        "bus": "embedded",
        "rows_in": {"trade": 1_000, "quote": 20_000},
        "rows_late": {"trade": 0, "quote": 3},
        "rows_aligned": 1_000,
        "rows_matched": 990,
        "rows_dead": 2,
        "audit_violations": 0,
        "seconds": 2.0,
        "rows_per_second": 10_500.0,
        "seal_latency_ms": {"p50": 1.25, "p99": 20.5},
        "parity": SUMMARY.parity,
    }
    assert {name: found[name] for name in promised} == promised


def test_a_run_without_rows_is_written_with_nulls_and_shown(tmp_path: Path) -> None:
    EMPTY.write(tmp_path / "summary.json")
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["seal_latency_ms"] == {"p50": None, "p99": None}
    assert found["rows_per_second"] == 0.0
    assert "p50 none, p99 none" in shown(EMPTY)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_every_figure_is_shown_whole_on_any_width(width: int) -> None:
    words = shown(SUMMARY, width).split()
    for figure in (
        "1,000",
        "20,000",
        "990",
        "(99.0%)",
        "1.25",
        "10,500",
        SUMMARY.hash,
        "clean",
    ):
        assert figure in words, figure


def test_the_time_of_the_command_is_shown_with_its_stages_and_apart_from_the_speed() -> None:
    text = shown(replace(SUMMARY, took_s=31.84, stages_s={"kernels": 18.02, "rows": 0.01, "run": 2.0}))
    assert "took          31.8 s: kernels 18.0, run 2.0, other 11.8\n" in text
    text = shown(replace(SUMMARY, took_s=20.03, stages_s={"kernels": 18.02, "rows": 0.01, "run": 2.0}))
    assert "took          20.0 s: kernels 18.0, run 2.0\n" in text
    assert "10,500 rows/s: 2.0 s" in text


def test_refused_rows_are_shown_with_the_reason() -> None:
    assert "7 refused: no event_ns" in shown(SUMMARY)


def test_findings_are_shown_as_they_are() -> None:
    finding = "partition 0: 1 rows wrong match; quote_venue is '[red]', should be '[/x]'"
    text = shown(replace(SUMMARY, audit_violations=1, audit_findings=[finding]), 300)
    assert finding in text
    assert "1 rows wrong" in text


def test_a_path_is_shown_as_it_is() -> None:
    assert "out/[b]/aligned" in shown(replace(SUMMARY, aligned="out/[b]/aligned"), 300)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_500, "1.5 µs"),
        (2_172_297, "2.172 ms"),
        (-3_000_000_000, "-3 s"),
        (None, "none"),
    ],
)
def test_a_duration_has_the_unit_a_person_would_choose(ns: int | None, text: str) -> None:
    assert duration(ns) == text
