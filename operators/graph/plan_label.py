"""What a node of labels computes: its columns, what they mean, and which rows they hang on."""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from operators.formula.features import Features
from operators.formula.history import Reach, Start, farthest, latest_start
from operators.formula.meaning import digest
from operators.graph.errors import NodeError
from operators.graph.plan_join import Upstream
from operators.labels.declare import LabelSettings
from operators.labels.planned import PlannedLabel
from operators.labels.settings import LabelError
from operators.sessions.sessions import Sessions
from schemas.clocks import Clock


class LabelPlan(NamedTuple):
    """How rows are labelled, their columns as those of any node, and what those behind them read."""

    label: PlannedLabel
    features: Features
    upstream: Upstream


def plan_label(
    node: str, label: LabelSettings, reads: Sequence[Upstream], clock: Clock, sessions: Sessions
) -> LabelPlan | NodeError:
    """The labels of rows whose columns are known, or what is wrong with them.

    `reads` are the rows that are labelled, and those beside them: with later mids, or with statuses.
    """
    upstream = reads[0]
    try:
        planned = _planned(label, reads, clock, sessions)
        _require_known(planned, reads)
        planned.require()
    except ValueError as wrong:  # of the label, or of the join of a spread
        return NodeError(node, None, str(wrong), setting=label.key)
    features = _features(planned, reads)
    source = upstream.source._replace(
        name=node,
        layout=features.layout,
        meanings=features.meanings,
        memories=features.memories,
        reaches=features.reaches,
        starts=features.starts,
        labels=upstream.source.labels | {field.name for field in planned.fields},
    )
    roots = tuple(sorted({root for one in reads for root in one.roots}))
    behind = upstream._replace(source=source, roots=roots, waits=True)
    return LabelPlan(planned, features, behind)


def _planned(
    label: LabelSettings, reads: Sequence[Upstream], clock: Clock, sessions: Sessions
) -> PlannedLabel:
    upstream, *others = reads
    rows = upstream.source.layout
    assert rows is not None, f"the columns of {upstream.source.name} are not known"
    if not others:
        settings = label.label(rows.names, upstream.source.scales)
        return PlannedLabel(label.key, settings, sessions, clock, rows, upstream.key)
    beside = others[0].source.layout
    assert beside is not None, f"the columns of {others[0].source.name} are not known"
    own = label.later_mid(rows.names) if label.quotes else label.label(rows.names, upstream.source.scales)
    return PlannedLabel(label.key, own, sessions, clock, rows, upstream.key, beside, others[0].key)


def _require_known(planned: PlannedLabel, reads: Sequence[Upstream]) -> None:
    """Raise LabelError where a label would be made of another one: of what is not known at its row."""
    taken = [(reads[0].source, name) for name in planned.reads]
    taken += [(other.source, name) for other in reads[1:] for name in planned.reads_beside]
    for source, name in taken:
        if name in source.labels:
            raise LabelError(f"{name} of {source.name} is a label itself, and not known at its row")


def _features(planned: PlannedLabel, reads: Sequence[Upstream]) -> Features:
    """The columns with what each means; a label has those of a feature, and is none."""
    source = reads[0].source
    assert source.layout is not None
    meanings = planned.meaning(
        digest(source.rows, *(source.meanings[name] for name in planned.reads)),
        *(
            digest(one.source.rows, *(one.source.meanings[name] for name in planned.reads_beside))
            for one in reads[1:]
        ),
    )
    own = [field.name for field in planned.fields]
    # Which events are crowded out hangs on all that waited before, which a session ends.
    since: Start = "genesis" if planned.since_ever else "session"
    start = latest_start([since, *(source.starts.get(name, "") for name in planned.reads)])
    reach = Reach(ns=planned.bound_ns).behind(
        farthest([source.reaches.get(name, Reach()) for name in planned.reads])
    )
    return Features(
        (),
        pa.schema([*source.layout, *planned.fields]),
        (),
        (),
        source.rows,
        {**source.meanings, **{name: digest(meanings, name) for name in own}},
        {**source.memories, **dict.fromkeys(planned.values, "held")},
        {**source.reaches, **dict.fromkeys(own, reach)},
        {**source.starts, **dict.fromkeys(own, start)},
        {},
    )
