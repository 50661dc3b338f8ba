"""The judge of an input's rows on their way from history: what a decoder would leave out is left out here."""

import numpy as np
import pyarrow as pa

from app.config import Settings
from app.errors import RunError
from app.task.row_rules import RowRules, TimeRule
from schemas.batch import Batch
from schemas.clocks import clock_column
from schemas.stream import Stream


class Judge:
    """Lets pass the rows of one stream that keep its rules, and counts the others as their letters would be.

    `letters` counts a message and a reason once, as the dead-letter topic would; what a policy drops is not
    counted.
    """

    def __init__(self, settings: Settings, stream: Stream) -> None:
        """Raises StreamError where a column cannot have a rule that the settings give it."""
        own = settings.stream(stream.name).rules
        rules = RowRules(stream, own)
        time_rule = TimeRule(clock_column(settings.pipeline.clock))
        self._stream = stream.name
        self._judges = (time_rule, rules) if rules else (time_rule,)
        self._policies = own.policies()
        self._otherwise = settings.worker.dead
        self._dead: set[tuple[int, str, str]] = set()  # message, reason and rule, of the batch at hand
        self.letters = 0

    def accepted(self, batch: Batch) -> Batch | None:
        """The rows that keep all rules, None without any; raises RunError where a policy is to stop."""
        kept: Batch | None = batch
        for judge in self._judges:
            if kept is None:
                break
            rows = kept
            kept, broken = judge.judge(rows)
            for row, rule, reason in broken:
                self._bury(int(rows.offset[row]), reason, rule)
        self.letters += len(self._dead)
        self._dead.clear()
        return kept

    def too_far_ahead(self, ahead: pa.RecordBatch, limit: str) -> None:
        """Count rows (`AHEAD_SCHEMA`) that lie beyond `limit`; raises RunError where a policy is to stop."""
        for offset in np.unique(ahead.column("offset").to_numpy()).tolist():
            self._bury(offset, f"too far ahead: beyond {limit}", "")
        self.letters += len(self._dead)
        self._dead.clear()

    def _bury(self, offset: int, reason: str, rule: str) -> None:
        policy = self._policies.get(rule, self._otherwise)
        if policy == "fail":
            setting = f"the policy of rule {rule}" if rule in self._policies else "worker.dead"
            raise RunError(f'a row of stream {self._stream} is dead: {reason}; {setting} = "fail" stops here')
        if policy != "drop":
            self._dead.add((offset, reason, rule))
