"""How a column says that it is a label: made of later rows, to be trained on and never a feature.

It stands in the metadata of the Arrow field, which is part of a frame and of a Parquet file.
"""

from typing import Final

import pyarrow as pa

ROLE: Final = b"tidemark-role"
LABEL: Final = b"label"


def as_label(field: pa.Field) -> pa.Field:
    """The field with the mark of a label."""
    return field.with_metadata({**(field.metadata or {}), ROLE: LABEL})


def labels_of(schema: pa.Schema) -> list[str]:
    """The columns that are labels, in order."""
    return [field.name for field in schema if (field.metadata or {}).get(ROLE) == LABEL]
