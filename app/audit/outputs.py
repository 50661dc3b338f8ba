"""The audit of a batch run: the files it wrote against the files of its history."""

from collections.abc import Mapping

from app.audit.files import ParquetFiles, audit_files
from app.audit.findings import Findings
from app.audit.nodes import check_node
from app.audit.report import AuditReport
from app.audit.wanted import NodeRules
from app.config import Settings
from app.wiring.planning import declared_graph
from operators.sealed import ALIGNED
from schemas.clocks import clock_column
from schemas.stream import Stream


def audit_outputs(
    settings: Settings,
    streams: dict[str, Stream],
    inputs: Mapping[str, ParquetFiles],
    outputs: Mapping[str, ParquetFiles],
) -> AuditReport:
    """Check the aligned rows against the inputs, and each node's rows against them."""
    aligned = outputs[ALIGNED]
    report = audit_files(settings, aligned, inputs, streams=streams)
    keys = {name: settings.stream(name).key for name in settings.stream_names}
    keys[ALIGNED] = keys[settings.pipeline.left]
    declared = declared_graph(settings)
    for name in outputs.keys() - {ALIGNED}:
        rules = NodeRules.of(declared, name, keys, clock_column(settings.pipeline.clock))
        files = outputs[name]
        if rules.joins or rules.root != ALIGNED:
            what = f'kind = "asof" of {rules.joins}' if rules.joins else f"order of {rules.root} in files"
            report.reach.passed_over.nodes[name] = what
            report.rows_out[name] += sum(
                batch.num_rows for file in files.files for batch in files.batches(file)
            )
            continue
        report.reach.passed_over.features |= {
            f"{name}.{column}": why for column, why in rules.unjudged.items()
        }
        for number, (joined, made) in enumerate(zip(aligned.files, files.files, strict=True)):
            findings = Findings()
            report.rows_out[name] += check_node(
                rules, aligned.batches(joined), files.batches(made), findings, repeats=False
            )
            report.reach.passed_over.without_past += findings.without_past
            report.violations += [(number, violation) for violation in findings.violations()]
    return report
