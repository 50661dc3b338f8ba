"""The client of the aligned topic, for model services: frames in, Arrow batches and tensors out.

What needs PyTorch is not among these names: `gpu_sink.torch_dataset.AlignedDataset`.
"""

from gpu_sink.batches.batch import Batch
from gpu_sink.batches.batches import Batches
from gpu_sink.contract import FrameError
from gpu_sink.errors import (
    ColumnError,
    DeviceError,
    GapError,
    GapWarning,
    HeldWarning,
    OptionError,
    OrderWarning,
    OverwrittenError,
    ReaderWarning,
    SampleError,
    SegmentError,
    SourceError,
    StateError,
)
from gpu_sink.figures import SinkFigures
from gpu_sink.frames import Frame
from gpu_sink.options import BatchOptions, Windows
from gpu_sink.samples.bars import bar_concurrency, bar_uniqueness, return_weights, time_decay
from gpu_sink.samples.folds import PurgedKFold, purged
from gpu_sink.samples.leaks import require_no_leak
from gpu_sink.samples.moments import time_uniqueness
from gpu_sink.scan import scan_aligned
from gpu_sink.segment_writer import write_segments
from gpu_sink.source import AlignedStream

__all__ = [
    "AlignedStream",
    "Batch",
    "BatchOptions",
    "Batches",
    "ColumnError",
    "DeviceError",
    "Frame",
    "FrameError",
    "GapError",
    "GapWarning",
    "HeldWarning",
    "OptionError",
    "OrderWarning",
    "OverwrittenError",
    "PurgedKFold",
    "ReaderWarning",
    "SampleError",
    "SegmentError",
    "SinkFigures",
    "SourceError",
    "StateError",
    "Windows",
    "__version__",
    "bar_concurrency",
    "bar_uniqueness",
    "purged",
    "require_no_leak",
    "return_weights",
    "scan_aligned",
    "time_decay",
    "time_uniqueness",
    "write_segments",
]

__version__ = "0.1.0"
