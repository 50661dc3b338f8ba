"""The audit of a batch run: the files it wrote against the files of its history."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from app.audit.files import ParquetFiles, audit_files
from app.audit.findings import Findings
from app.audit.joined import root_rows
from app.audit.node_files import NodeFiles
from app.audit.node_rules import NodeRules
from app.audit.nodes import check_rows
from app.audit.report import AuditReport
from app.audit.topics import MEMORY_SIZE_MAX
from app.wiring.pipeline import Pipeline
from operators.sealed import ALIGNED
from schemas.clocks import clock_column


def audit_outputs(
    pipeline: Pipeline,
    inputs: Mapping[str, ParquetFiles],
    outputs: Mapping[str, ParquetFiles],
    *,
    memory_size_max: int = MEMORY_SIZE_MAX,
) -> AuditReport:
    """Check the aligned rows against the inputs, and each node's rows against both.

    Models are those that the pipeline has: they were valid in the run, whatever their records say since.
    Rows of a node on a stream count by key and time, in their order: files do not say where a row of the
    stream stood in its topic.
    """
    settings, streams = pipeline.settings, pipeline.streams
    report = audit_files(settings, outputs[ALIGNED], inputs, streams=streams, memory_size_max=memory_size_max)
    keys = {name: settings.stream(name).key for name in settings.stream_names}
    keys[ALIGNED] = keys[settings.pipeline.left]
    columns = {name: stream.schema.names for name, stream in streams.items()}
    columns[ALIGNED] = outputs[ALIGNED].schema.names
    declared, on = pipeline.declared, clock_column(settings.pipeline.clock)
    names = [name for name in settings.node_outputs if name in outputs]
    nodes = [NodeRules.of(declared, name, keys, on, columns) for name in names]
    with TemporaryDirectory(prefix="tidemark-audit-") as folder:
        files = NodeFiles(settings, streams, outputs[ALIGNED], Path(folder), memory_size_max)
        for name in set[str]().union(*(node.roots for node in nodes)) - {ALIGNED}:
            files.add_stream(name, inputs[name])
        for rules in nodes:
            _check(rules, files, outputs[rules.name], report)
    return report


def _check(rules: NodeRules, files: NodeFiles, made: ParquetFiles, report: AuditReport) -> None:
    """Check the rows of a node, file by file."""
    if rules.strange:
        report.reach.passed_over.nodes[rules.name] = rules.strange
        batches = (batch for file in made.files for batch in made.batches(file))
        report.rows_out[rules.name] += sum(batch.num_rows for batch in batches)
        return
    report.reach.passed_over.features |= {f"{rules.name}.{c}": why for c, why in rules.unjudged.items()}
    for number, file in enumerate(made.files):
        findings = Findings()
        wanted = files.wanted_of(rules, root_rows(rules, files.reader(number), lambda _: None), number)
        rows = files.rows_of(rules, made.batches(file), number)
        report.rows_out[rules.name] += check_rows(rules, wanted, rows, findings, repeats=False)
        report.reach.passed_over.without_past += findings.without_past
        report.violations += [(number, violation) for violation in findings.violations()]
