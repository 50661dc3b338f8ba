"""What an audit has to say, in lines for a person and as JSON."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from app.audit.report import AuditReport
from app.config import Settings
from schemas.clocks import BEGINNING_NS


def report_lines(report: AuditReport, settings: Settings, *, of_topics: bool) -> Iterator[str]:
    """The lines of a report, the verdict last; `of_topics` says that topics were read, not files."""
    for name, rows in report.rows_in.items():
        refused = report.rows_refused[name]
        without = f", {refused:,} without key or time left out" if refused else ""
        yield f"{name}: {rows:,} rows in, {report.rows_late[name]:,} late{without}"
    yield f"aligned: {report.rows_aligned:,} rows, {report.rows_dead:,} dead letters"
    if report.rows_repeated:
        yield f"repeated: {report.rows_repeated:,} rows, equal to their first: at_least_once"
    for partition, parity in sorted(report.parity.items()):
        yield f"partition {partition}: parity {parity}"
    for change in sorted(report.rule_changes):
        yield f"partition {change.partition}: {change.words}, from {moment(change.since_ns)}"
    for name, rows in report.rows_unjudged.items():
        if rows:
            yield f"{name}: {rows:,} rows were made in a way that these settings do not say: values unchecked"
    for number, violation in report.violations:
        where = "" if number is None else f"partition {number}: "
        yield f"{where}{violation.rows:,} rows {violation.kind}"
        for example in violation.examples:
            yield f"  {example}"
    if report.reach.cuts:
        yield from _reach(report, settings)
    elif of_topics:
        yield (
            "audited to the ends of the topics: the group has committed nothing, or the broker has dropped "
            "its offsets"
        )
    yield "audit: clean" if not report.violations else f"audit: {report.violation_rows:,} rows wrong"


def report_json(report: AuditReport) -> dict[str, Any]:
    """All that a report says; times are int64 nanoseconds UTC, null before the first frontier."""
    return {
        "clean": not report.violations,
        "violation_rows": report.violation_rows,
        "violations": [
            {
                "partition": number,
                "kind": violation.kind,
                "rows": violation.rows,
                "examples": list(violation.examples),
            }
            for number, violation in report.violations
        ],
        "rows_in": dict(report.rows_in),
        "rows_late": dict(report.rows_late),
        "rows_refused": dict(report.rows_refused),
        "rows_aligned": report.rows_aligned,
        "rows_repeated": report.rows_repeated,
        "rows_dead": report.rows_dead,
        "rows_out": dict(report.rows_out),
        "rows_unjudged": dict(report.rows_unjudged),
        "rows_waiting": report.reach.rows_waiting,
        "rows_since": report.reach.rows_since,
        "unread": dict(report.reach.unread),
        "to_the_end": not report.reach.cuts,
        "frontier_ns": _known(report.frontier_ns),
        "frontiers_ns": {number: _known(at_ns) for number, at_ns in sorted(_frontiers(report).items())},
        "uncommitted": list(report.reach.uncommitted),
        "parity": {number: str(parity) for number, parity in sorted(report.parity.items())},
        "rule_changes": [change._asdict() for change in sorted(report.rule_changes)],
    }


def moment(at_ns: int) -> str:
    """A time to the nanosecond, UTC; before the first frontier `the beginning`."""
    return "the beginning" if at_ns == BEGINNING_NS else f"{np.datetime64(at_ns, 'ns')}Z"


def _reach(report: AuditReport, settings: Settings) -> Iterator[str]:
    """Up to where the audit went, and what is left for the next one."""
    parts = [f"{count:,} {name} offsets unread" for name, count in report.reach.unread.items() if count]
    if report.reach.rows_waiting:
        parts.insert(0, f"{report.reach.rows_waiting:,} {settings.pipeline.left} rows wait")
    if report.reach.rows_since:
        parts.append(f"{report.reach.rows_since:,} rows sealed since")
    rest = f"; beyond it {', '.join(parts)}" if parts else ""
    frontiers = _frontiers(report).values()
    lowest_ns, highest_ns = min(frontiers), max(frontiers)
    to = "" if lowest_ns == highest_ns else f" to {moment(highest_ns)}, by partition"
    yield f"audited up to {moment(lowest_ns)}{to}: the frontier of the last commit{rest}"
    for number in report.reach.uncommitted:
        yield f"partition {number}: not audited, its task has not committed yet"


def _frontiers(report: AuditReport) -> dict[int, int]:
    return {number: cut.frontier_ns for number, cut in report.reach.cuts.items()}


def _known(at_ns: int | None) -> int | None:
    return None if at_ns == BEGINNING_NS else at_ns
