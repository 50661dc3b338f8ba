"""A sink: one output of a task, with its topic, its layout and the parity of all rows sent to it."""

from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from operators.hashing.parity import Parity
from schemas.frame import layout_fingerprint
from schemas.reasons import nulls_size_max


@dataclass(slots=True, kw_only=True)
class Sink:
    """Where the rows of one output of a task go, as `form` says: `frame` or `avro`.

    `on` is the time column of its rows.  `key` names the columns that make the message key of Avro rows;
    frames have none.  `parity` is the hash of all rows sent.  `layout` is the fingerprint of `schema`.
    `rule` is the text of the rule its rows are matched by, which each message of a seal carries.
    `features` are the columns whose nulls its frames count, `nulls_size` the most bytes that takes.
    """

    name: str
    topic: str
    partition: int
    schema: pa.Schema
    on: str
    form: Literal["frame", "avro"] = "frame"
    key: tuple[str, ...] = ()
    rule: str = ""
    features: tuple[str, ...] = ()
    parity: Parity = field(default_factory=Parity)
    layout: str = field(init=False)
    nulls_size: int = field(init=False)

    def __post_init__(self) -> None:
        self.layout = layout_fingerprint(self.schema)
        self.nulls_size = nulls_size_max(self.features)
