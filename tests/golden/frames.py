"""The golden frame: bytes that every version must read as it reads them today.

`python -m tests.golden.frames` writes the file again; do that only when the layout is meant to change.
"""

from pathlib import Path
from typing import Final

import pyarrow as pa

from schemas.frame import LEFT_INDEX, LEFT_OFFSET, encode_frame

GOLDEN_FRAME: Final = Path(__file__).with_name("aligned_frame.arrows")
GOLDEN_LAYOUT: Final = "a92222cd68a865df"


def golden_rows() -> pa.RecordBatch:
    """Three trades with their quotes: the second had none, the third a quote with one side only."""
    columns = {
        "symbol": (pa.string(), False, ["ES", "ES", "NQ"]),
        "event_ns": (pa.int64(), False, [1_700_000_000_000_000_001, 1_700_000_000_000_000_002, 2**62]),
        "price": (pa.float64(), False, [4_500.25, 4_500.5, 15_800.75]),
        "size": (pa.int32(), True, [1, None, 3]),
        LEFT_OFFSET: (pa.int64(), False, [7, 7, 8]),
        LEFT_INDEX: (pa.int32(), False, [0, 1, 0]),
        "quote_bid_price": (pa.float64(), True, [4_500.0, None, None]),
        "quote_ask_price": (pa.float64(), True, [4_500.5, None, 15_801.0]),
        "quote_event_ns": (pa.int64(), True, [1_700_000_000_000_000_000, None, 2**62]),
        "quote_age_ns": (pa.int64(), True, [1, None, 0]),
    }
    schema = pa.schema([pa.field(name, type_, nullable=null) for name, (type_, null, _) in columns.items()])
    return pa.RecordBatch.from_pydict({name: values for name, (_, _, values) in columns.items()}, schema)


if __name__ == "__main__":
    GOLDEN_FRAME.write_bytes(encode_frame(golden_rows()))
