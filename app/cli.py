"""The commands of `python -m app`; each says what it does, and bad input ends in one line and exit code 2."""

import gc
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.errors import RunError, UsageError
from app.process.logs import log_to_stderr
from operators.join.settings import SettingsError
from replay.errors import HistoryError
from schemas.frame import FrameError
from schemas.letters import LetterError
from schemas.stream import StreamError
from schemas.without_pandas import hide_pandas
from state.errors import StateError
from topics.bus import BusError
from topics.wire import CodecError, RegistryUnavailableError

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

MODULES = ("align", "infer", "repartition", "audit", "dead", "watch", "replay", "export")
# Started again and again, or waited for: these import nothing but their own.
ALONE = {"align": "align", "replay": "replay", "backtest": "replay"}

app = typer.Typer(
    help="Join market data streams as of a nanosecond: run the worker, check its rows, watch it.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="File of settings (TOML); tidemark.toml documents every key.  "
        "Without it the defaults hold; the environment (TIDEMARK_...) counts either way.",
    ),
]
Bootstrap = Annotated[
    str | None,
    typer.Option(help="Address of the Kafka broker, host:port.  Default: bus.bootstrap of the settings."),
]


def say(line: str) -> None:
    """Print one line about what is going on."""
    errors.print(line, markup=False)


def stop_on_signals() -> Callable[[], bool]:
    """Return whether SIGTERM or SIGINT has come; the loop ends after its turn, with everything committed."""
    came: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: came.append(received))
    return lambda: bool(came)


def main() -> None:
    """Run a command: exit 0 when it is done, 1 when it could not go on or a check failed, 2 on bad input."""
    if not __debug__:
        errors.print("python -O removes the checks this program relies on; run it without -O")
        sys.exit(2)
    # A worker that restarts is waited for: Polars, Matplotlib and pandas, which it does not need, take 1.5 s,
    # and looking for garbage where there is none yet takes 0.2 s.
    gc.disable()
    alone = ALONE.get(next(iter(sys.argv[1:]), ""))
    if alone is not None:
        hide_pandas()
    for name in MODULES if alone is None else (alone,):
        import_module(f"app.commands.{name}")  # registers its commands
    if alone != "align":  # which does so once it has its kernels
        gc.enable()
    log_to_stderr()
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False, prog_name="python -m app"))
    except typer.exceptions.TyperException as wrong:
        errors.print(f"error: {wrong.format_message()}", markup=False)
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except (UsageError, HistoryError, StreamError, SettingsError) as wrong:
        errors.print(f"error: {wrong}", markup=False)
        sys.exit(2)
    except (
        RunError,
        BusError,
        RegistryUnavailableError,
        CodecError,
        StateError,
        FrameError,
        LetterError,
    ) as stopped:
        errors.print(f"stopped: {stopped}", markup=False)
        sys.exit(1)
