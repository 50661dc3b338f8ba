"""Progress records on the wire."""

import numpy as np
import pyarrow as pa

from schemas.stream import Stream
from tests.stage.blocks import block_of
from tests.stage.fakes import DictRegistry
from topics.avro.decode import Decoder
from topics.avro.progress import PROGRESS_SUBJECT, encode_progress
from topics.wire import Progress

STREAM = Stream(name="trade", schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string())]))


def test_a_progress_record_is_these_bytes() -> None:
    registry = DictRegistry()
    value = encode_progress(registry, Progress("trade", 100, final=True, run="r"))
    assert value == b"\0\0\0\0\1" + b"\x0atrade" + b"\xc8\x01" + b"\x01" + b"\x02r"
    assert list(registry.subjects) == [PROGRESS_SUBJECT]


def test_progress_of_any_bound_comes_back() -> None:
    registry = DictRegistry()
    sent = [Progress("trade", bound, final=bound > 0, run="ü") for bound in (-(2**63), 0, 2**63 - 1)]
    block = block_of([(None, encode_progress(registry, progress), i) for i, progress in enumerate(sent)])
    decoded = Decoder(STREAM, "event", registry).decode(block, np.arange(3))
    assert decoded.progress == list(enumerate(sent))
    assert decoded.batch is None
    assert decoded.dead == []
