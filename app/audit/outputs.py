"""The audit of a batch run: its files against the files of its history, and against what it says of them."""

from collections.abc import Mapping, Sequence

import polars as pl

from app.audit.files import ParquetFiles, audit_files
from app.audit.findings import Findings
from app.audit.nodes import NodeRules, check_node
from app.audit.report import AuditReport
from app.config import Settings
from operators.hashing.parity import Parity, sealed_hashes
from operators.sealed import ALIGNED
from schemas.stream import Stream


def audit_outputs(
    settings: Settings,
    streams: dict[str, Stream],
    inputs: Mapping[str, ParquetFiles],
    outputs: Mapping[str, ParquetFiles],
    parity: Mapping[str, Sequence[Parity]],
) -> AuditReport:
    """Check the aligned rows against the inputs, each node's against them, and all against their parity.

    `parity` is what the run rolled up, by output and partition, before the rows went to their files.
    """
    aligned = outputs[ALIGNED]
    report = audit_files(settings, aligned, inputs, streams=streams)
    for name, files in outputs.items():
        for number, file in enumerate(files.files):
            findings = Findings()
            found = report.parity[number] if name == ALIGNED else _parity(files, number)
            if found != parity[name][number]:
                told = pl.DataFrame({"told": [str(parity[name][number])], "rows": [str(found)]})
                findings.add("wrong parity", told, lambda row: f"{row['told']}, the file has {row['rows']}")
            if name != ALIGNED:
                rules = NodeRules.of(settings.graph.declared(), name)
                joined = aligned.batches(aligned.files[number])
                report.rows_out[name] += check_node(
                    rules, joined, files.batches(file), findings, repeats=False
                )
            report.violations += [(number, violation) for violation in findings.violations()]
    return report


def _parity(files: ParquetFiles, number: int) -> Parity:
    parity = Parity()
    for batch in files.batches(files.files[number]):
        parity = parity.roll(sealed_hashes(batch))
    return parity
