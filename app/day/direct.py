"""A run without a log: the day's files straight into the tasks, and the audit of what they wrote."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from app.audit.files import ParquetFiles
from app.audit.outputs import audit_outputs
from app.audit.report import AuditReport
from app.batch.run import BatchReport, run_batch
from app.day.request import ReplayRequest
from app.reading.row_files import Metadata
from app.wiring.pipeline import Pipeline
from replay.store.day import Day


def run_direct(
    request: ReplayRequest, pipeline: Pipeline, days: Sequence[Day], sources: Mapping[str, Metadata]
) -> BatchReport:
    """Run the day and write its rows; raises what `run_batch` does."""
    folders = {name: request.rows_folder(name) for name in pipeline.sinks(0)}
    return run_batch(pipeline, days, folders, scratch=request.out, sources=sources)


def audit_direct(
    request: ReplayRequest, pipeline: Pipeline, days: Sequence[Day], batch: BatchReport
) -> AuditReport:
    """Check the files that the run has written; what went in is what the run says."""
    outputs = {name: ParquetFiles.at(request.rows_folder(name)) for name in batch.rows_out}
    with TemporaryDirectory(dir=request.out, prefix="_inputs-") as scratch:
        files = {day.stream.name: day.files_in(Path(scratch)) for day in days}
        inputs = {name: ParquetFiles(paths[0].parent, paths) for name, paths in files.items()}
        report = audit_outputs(pipeline, inputs, outputs)
    for counts, said in ((report.rows_in, batch.rows_in), (report.rows_late, batch.rows_late)):
        counts.clear()
        counts.update(said)
    report.rows_dead = batch.rows_dead
    return report
