"""A task of a batch run: one partition of all inputs, the operator of a live task, files as outputs."""

from collections import Counter
from collections.abc import Mapping, Sequence

from app.batch.judge import Judge
from app.batch.outputs import OutputFile
from app.errors import RunError
from app.process.clock import now_ns
from app.reading.aligned import Frames
from app.wiring.pipeline import Pipeline
from operators.nulls import NullCounts
from operators.operator import Operator
from operators.sealed import ALIGNED, Sealed
from schemas.arrived import Arrived, ProgressRecord
from schemas.batch import Batch
from schemas.clocks import BEGINNING_NS
from schemas.frame import FrameHeaders
from schemas.reasons import Nulls, summed_nulls


class BatchTask:
    """Rows go in with `take`; what they make final goes to the files.

    `rows_in` counts, by stream, the rows that keep all rules, and `rows_late` those of them that came too
    late; `frames` has an element per seal with rows, as if it were one frame, and `nulls` counts those of
    features, by output.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        number: int,
        files: Mapping[str, OutputFile],
        judges: Mapping[str, Judge],
        operator: Operator | None = None,
    ) -> None:
        """`operator` has taken earlier rows; without it a new one begins."""
        self.rows_in: Counter[str] = Counter()
        self.rows_late: Counter[str] = Counter()
        self.frames = Frames()
        self.nulls: dict[str, Nulls] = {}
        self.failed_tiles = 0  # that would have a dead letter
        self._pipeline = pipeline
        self._number = number
        self._operator = operator or pipeline.operator()
        self._files = files
        self._judges = judges
        self._newest_ns = BEGINNING_NS
        self._released_ns = 0

    def take(self, batches: Mapping[str, Batch], progress: Mapping[str, Sequence[ProgressRecord]]) -> None:
        """Take rows of each stream and what bounds those to come, and write what is final with them.

        Raises RunError where a policy is to stop.
        """
        self._released_ns = now_ns()
        for stream, judge in self._judges.items():
            batch = batches.get(stream)
            accepted = None if batch is None else judge.accepted(batch)
            self._operator.push(stream, Arrived(accepted, progress[stream]), now_ns=self._released_ns)
            if accepted is not None:
                self.rows_in[stream] += accepted.rows
                self._newest_ns = max(self._newest_ns, int(accepted.time_ns.max()))
                self._set_aside(stream, judge)
        self._write(self._operator.seal())

    def finish(self) -> None:
        """Write the rows that still wait, for rows of another day."""
        if not self._operator.final:
            self._write(self._operator.finish())

    def _set_aside(self, stream: str, judge: Judge) -> None:
        """Count what the input did not take."""
        inputs = self._operator.inputs
        ahead = inputs.ahead(stream)
        if ahead.num_rows:
            judge.too_far_ahead(ahead, self._pipeline.ahead_limit())
        late = inputs.late(stream).num_rows
        policy, setting = self._pipeline.settings.late(stream)
        if late and policy == "fail":
            raise RunError(f'{late:,} rows of stream {stream} are late; {setting} = "fail" stops here')
        self.rows_late[stream] += late

    def _write(self, parts: Mapping[str, Sealed]) -> None:
        for name, sealed in parts.items():
            if sealed.rows is None or sealed.rows.num_rows == 0:
                continue
            file = self._files[name]
            file.write(sealed.rows)
            if file.sink.features:
                nulls = NullCounts(sealed, file.sink.features).between(0, sealed.rows.num_rows)
                self.nulls[name] = summed_nulls([self.nulls.get(name, {}), nulls])
            if name == ALIGNED:
                self.frames.add(self._number, self._headers(file, sealed, sealed.rows.num_rows))
        for failed in self._operator.nodes.failures():
            if self._pipeline.settings.worker.dead == "fail":
                raise RunError(f'{failed.words}; worker.dead = "fail" stops here')
            self.failed_tiles += self._pipeline.settings.worker.dead != "drop"

    def _headers(self, file: OutputFile, sealed: Sealed, rows: int) -> FrameHeaders:
        return FrameHeaders(
            layout=file.sink.layout,
            complete_ns=sealed.complete_ns,
            rows=rows,
            released_ns=self._released_ns,
            sealed_ns=now_ns(),
            newest_ns=self._newest_ns,
            parity="",  # rolled up as the files are audited
            assumed_rows=sealed.assumed_rows,
            rule=file.sink.rule,
        )
