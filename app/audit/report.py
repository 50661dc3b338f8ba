"""What an audit read, what it left for later, and what it found."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from app.audit.cut import Cut
from app.audit.findings import Violation
from operators.hashing.parity import Parity


class RuleChange(NamedTuple):
    """From the row of `since_ns` on, rows of a partition were matched by another rule, which `words` say.

    END_NS where no row was matched by it yet.
    """

    partition: int
    since_ns: int
    words: str


@dataclass(slots=True)
class PassedOver:
    """What was not judged, since topics keep no more or settings were others, and from when on nothing is.

    `from_ns` is by partition, END_NS where no such time is known.  `rows` counts, under `aligned`, aligned
    rows whose left row is gone; under the left stream its rows whose aligned row is gone, or a letter that
    may have called them late; under a right stream aligned rows whose match there may be gone.  `letters`
    counts late letters of which nobody can say whether they had a reason, `columns` aligned rows by the
    column that they have and the settings do not make; `without_past` by node rows of which a feature hangs
    on aligned rows that are gone.  `features` are those, as node and column, that the audit
    cannot compute, with the function that it lacks; `nodes` those of whose rows nothing is judged, with what
    it lacks there.
    """

    from_ns: dict[int, int] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    without_past: Counter[str] = field(default_factory=Counter)
    features: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    letters: int = 0

    def add(self, other: "PassedOver") -> None:
        """Count what another partition passed over."""
        self.from_ns |= other.from_ns
        self.rows += other.rows
        self.columns += other.columns
        self.without_past += other.without_past
        self.features |= other.features
        self.nodes |= other.nodes
        self.letters += other.letters


@dataclass(slots=True)
class Reach:
    """Up to where a pipeline that runs was judged, by partition, and what lies beyond.

    `rows_waiting` are accepted left rows whose match may still change, `rows_since` rows sealed since, and
    `unread` offsets of each stream, markers of transactions among them; `passed_over` lies before.  Of the
    partitions in `uncommitted` nothing was audited: their tasks have not committed yet.
    """

    cuts: Mapping[int, Cut] = field(default_factory=dict)
    uncommitted: list[int] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    rows_waiting: int = 0
    rows_since: int = 0
    passed_over: PassedOver = field(default_factory=PassedOver)


@dataclass(slots=True)
class AuditReport:
    """The rows that the audit read, and its violations.

    `violations` are by partition, None where files do not say of which; `parity` is that of the aligned
    rows judged; `rows_out` counts the rows of each node with an output.
    `rows_refused` counts rows of files without a key or without a time that can be joined on.
    `rows_repeated` counts aligned rows beyond the first of each place; at least once they are no violation
    where they are equal, and `rows_aligned` leaves them out.

    `rule_changes` say where rows were matched by another rule than those before, or than the settings have;
    `rows_unjudged` counts rows of the join or a node that were made in a way that the settings do not say.
    """

    rows_in: Counter[str] = field(default_factory=Counter)
    rows_late: Counter[str] = field(default_factory=Counter)
    rows_refused: Counter[str] = field(default_factory=Counter)
    rows_out: Counter[str] = field(default_factory=Counter)
    rows_unjudged: Counter[str] = field(default_factory=Counter)
    rows_aligned: int = 0
    rows_repeated: int = 0
    rows_dead: int = 0
    violations: list[tuple[int | None, Violation]] = field(default_factory=list)
    parity: dict[int, Parity] = field(default_factory=dict)
    rule_changes: list[RuleChange] = field(default_factory=list)
    reach: Reach = field(default_factory=Reach)

    def add(self, other: "AuditReport") -> None:
        """Count what another report counts, of other partitions."""
        for mine, theirs in (
            (self.rows_in, other.rows_in),
            (self.rows_late, other.rows_late),
            (self.rows_refused, other.rows_refused),
            (self.rows_out, other.rows_out),
            (self.rows_unjudged, other.rows_unjudged),
            (self.reach.unread, other.reach.unread),
        ):
            mine.update(theirs)  # which keeps a count of 0
        self.rows_aligned += other.rows_aligned
        self.rows_repeated += other.rows_repeated
        self.rows_dead += other.rows_dead
        self.reach.rows_waiting += other.reach.rows_waiting
        self.reach.rows_since += other.reach.rows_since
        self.reach.passed_over.add(other.reach.passed_over)
        self.violations += other.violations
        self.parity |= other.parity
        self.rule_changes += other.rule_changes

    @property
    def violation_rows(self) -> int:
        """How many rows break a promise; 0 is a clean audit."""
        return sum(violation.rows for _, violation in self.violations)

    @property
    def frontier_ns(self) -> int | None:
        """The smallest frontier audited up to; None where everything was, to the ends of the topics."""
        return min((cut.frontier_ns for cut in self.reach.cuts.values()), default=None)
