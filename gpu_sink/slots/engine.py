"""Which engine copies: the one for the device that the options name."""

from gpu_sink.options import BatchOptions
from gpu_sink.slots.copies import CopyEngine, HostCopies


def copy_engine(options: BatchOptions) -> CopyEngine:
    """The engine for the options' device; raises DeviceError where the device or its library is missing."""
    if options.device == "cpu":
        if options.arrays == "torch":
            from gpu_sink.adapters import require

            require("torch", "tensors", "tidemark-gpu-sink[torch]")
        return HostCopies(tensors=options.arrays == "torch")
    from gpu_sink.slots.cuda import CudaCopies

    return CudaCopies(options.device)
