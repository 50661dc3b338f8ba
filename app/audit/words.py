"""What an audit has to say, in lines for a person and as JSON."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from app.audit.report import AuditReport
from app.config import Settings
from operators.sealed import ALIGNED
from schemas.clocks import BEGINNING_NS, END_NS


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
        since = "" if change.since_ns == END_NS else f", from {moment(change.since_ns)}"
        yield f"partition {change.partition}: {change.words}{since}"
    for name, rows in report.rows_unjudged.items():
        if rows:
            yield f"{name}: {rows:,} rows were made in a way that these settings do not say: values unchecked"
    for name, rows in sorted(report.reach.passed_over.columns.items()):
        yield f"{name}: {rows:,} rows have this column, which these settings do not make: unchecked there"
    for feature, function in sorted(report.reach.passed_over.features.items()):
        yield f"{feature}: not judged, the audit has no {function} of its own"
    for node, what in sorted(report.reach.passed_over.nodes.items()):
        yield f"{node}: rows not judged, the audit has no {what} of its own"
    for number, violation in report.violations:
        where = "" if number is None else f"partition {number}: "
        yield f"{where}{violation.rows:,} rows {violation.kind}"
        for example in violation.examples:
            yield f"  {example}"
    if report.reach.cuts:
        yield from _reach(report, settings)
    elif of_topics:
        yield (
            f"audited {_from(report)}to the ends of the topics: the group has committed nothing, or the "
            "broker has dropped its offsets"
        )
    yield from _gone(report, settings)
    yield "audit: clean" if not report.violations else f"audit: {report.violation_rows:,} rows wrong"


def report_json(report: AuditReport) -> dict[str, Any]:
    """All that a report says; times are int64 nanoseconds UTC, null before the first frontier.

    `from_ns` has the partitions whose topics do not keep all, null where no time is known;
    `since_ns` of a rule is null where no row was matched by it yet.
    """
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
        "rows_gone": dict(report.reach.passed_over.rows),
        "letters_unjudged": report.reach.passed_over.letters,
        "from_ns": {
            number: _bounded(at_ns) for number, at_ns in sorted(report.reach.passed_over.from_ns.items())
        },
        "rows_without_past": dict(report.reach.passed_over.without_past),
        "features_unjudged": dict(sorted(report.reach.passed_over.features.items())),
        "nodes_unjudged": dict(sorted(report.reach.passed_over.nodes.items())),
        "columns_unjudged": dict(report.reach.passed_over.columns),
        "parity": {number: str(parity) for number, parity in sorted(report.parity.items())},
        "rule_changes": [
            change._asdict() | {"since_ns": _bounded(change.since_ns)}
            for change in sorted(report.rule_changes)
        ],
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
    yield f"audited {_from(report)}up to {moment(lowest_ns)}{to}: the frontier of the last commit{rest}"
    for number in report.reach.uncommitted:
        yield f"partition {number}: not audited, its task has not committed yet"


def _from(report: AuditReport) -> str:
    """From when on everything was judged, where topics do not keep all."""
    moments = [at_ns for at_ns in report.reach.passed_over.from_ns.values() if at_ns < END_NS]
    return f"from {moment(max(moments))} (topics keep no more) " if moments else ""


def _gone(report: AuditReport, settings: Settings) -> Iterator[str]:
    """What was passed over since topics keep no more of it."""
    left, rows = settings.pipeline.left, report.reach.passed_over.rows
    parts = [f"{rows[ALIGNED]:,} aligned rows whose {left} row is gone"] if rows[ALIGNED] else []
    if rows[left]:
        parts.append(f"{rows[left]:,} {left} rows whose aligned row or late letter is gone")
    parts += [
        f"{rows[name]:,} rows whose match in {name} may be gone"
        for name in settings.pipeline.right
        if rows[name]
    ]
    if parts:
        yield f"not judged, for topics keep no more: {', '.join(parts)}"
    for name, count in sorted(report.reach.passed_over.without_past.items()):
        yield f"{name}: {count:,} rows not judged in full: they hang on rows before what is kept"
    if report.reach.passed_over.letters:
        letters = f"{report.reach.passed_over.letters:,} late letters"
        yield f"not judged: {letters} that neither these settings nor what is left of the topics explain"


def _bounded(at_ns: int) -> int | None:
    return None if at_ns == END_NS else at_ns


def _frontiers(report: AuditReport) -> dict[int, int]:
    return {number: cut.frontier_ns for number, cut in report.reach.cuts.items()}


def _known(at_ns: int | None) -> int | None:
    return None if at_ns == BEGINNING_NS else at_ns
