"""Tidemark: as-of joins of market data streams, live from Kafka or on tables, the same rows bit for bit.

`asof_join` joins tables (`warm` compiles it beforehand), `StreamingAsof` batches as they come;
`AlignedStream` reads joined rows into tensors.  Each is imported when it is first
asked for: the reader of aligned rows loads no compiler.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gpu_sink.source import AlignedStream
    from operators.asof import asof_join, warm
    from operators.streaming import StreamingAsof

__all__ = ["AlignedStream", "StreamingAsof", "asof_join", "warm"]

_HOMES: Final = {
    "AlignedStream": "gpu_sink.source",
    "StreamingAsof": "operators.streaming",
    "asof_join": "operators.asof",
    "warm": "operators.asof",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for from where it lives."""
    if name == "__version__":
        return version(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names, whether they were imported or not."""
    return sorted([*__all__, "__version__"])


def main() -> None:
    """The console script `tidemark`: the commands of `python -m app`."""
    try:
        from app.cli import main as command
    except ModuleNotFoundError as missing:
        sys.exit(f"no module named {missing.name}: the commands need pip install 'tidemark[app]'")
    command()
