"""The rows of a node as those that read it know them."""

import pyarrow as pa

from operators.formula.features import Features, Source
from operators.graph.declare import NodeSettings


def rows_of(node: NodeSettings, source: Source, features: Features | None, wrong: set[str]) -> Source:
    """The rows of a node for those that read it; where it has errors, as much as is known of them.

    `source` are the rows that it takes, and `wrong` its features with an error.
    """
    if features is not None:
        return Source(
            node.name,
            features.layout,
            source.rows,
            features.meanings,
            memories=features.memories,
            reaches=features.reaches,
            starts=features.starts,
            sessions=source.sessions,
            scales=source.scales,
            units={**source.units, **features.units},
            labels=source.labels,
        )
    if source.layout is None:
        return Source(node.name, None)
    more = [pa.field(name, pa.null()) for name in node.features if name not in source.layout.names]
    broken = source.broken | frozenset(node.features) | wrong
    return Source(node.name, pa.schema([*source.layout, *more]), broken=broken)
