"""An audit that comes at drawn moments of a run, in the midst of a commit too, and finds no fault."""

import random

from app.audit.cut import read_cuts
from app.audit.topics import audit
from app.wiring.pipeline import Pipeline


class Auditor:
    """Looks at a pipeline that lives; `chance` is how likely it is to audit at one moment.

    It draws from a source of its own, so that it changes nothing of the run it looks at.
    """

    def __init__(self, rng: random.Random, pipeline: Pipeline, chance: float) -> None:
        self.audits = self.rows = self.left = 0
        self._rng = rng
        self._pipeline = pipeline
        self._chance = chance

    def look(self) -> None:
        """Audit now, or do not; fails on any finding."""
        if self._rng.random() >= self._chance:
            return
        cuts = read_cuts(self._pipeline)
        if not cuts:
            return
        report = audit(self._pipeline, cuts)
        assert not report.violations, f"audited while it runs: {report.violations}, cuts {cuts}"
        self.audits += 1
        self.rows += report.rows_aligned
        self.left += report.reach.rows_waiting + report.reach.rows_since + report.reach.unread.total()
