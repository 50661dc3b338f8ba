"""The commands of `python -m app`; each says what it does, and bad input ends in one line and exit code 2."""

import gc
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError
from rich.console import Console

from app.errors import RunError, UsageError
from app.process.logs import log_to_stderr
from app.process.version import NAME, program_version
from app.settings.mistakes import expected
from operators.formula.suggest import did_you_mean
from operators.join.settings import SettingsError
from operators.sessions.sessions import CalendarError
from operators.tiles.calls import TileError
from replay.dates import parse_moment
from replay.errors import HistoryError, NotWrittenError
from schemas.frame import FrameError
from schemas.letters import LetterError
from schemas.stream import StreamError
from schemas.without_pandas import hide_pandas
from state.errors import StateError
from topics.bus import BusError
from topics.wire import CodecError, RegistryUnavailableError

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True)
STOPS: Final = (signal.SIGTERM, signal.SIGINT)

MODULES = (
    "align",
    "infer",
    "repartition",
    "publish",
    "capture",
    "sql",
    "audit",
    "dead",
    "late",
    "progress",
    "reset",
    "config",
    "group",
    "upgrade",
    "graph",
    "edges",
    "fit",
    "watch",
    "exporter",
    "serve",
    "dashboards",
    "replay",
    "backtest",
    "export",
    "calendar",
    "kafka",
)
# By the first word of a command: it imports nothing but its own, since somebody waits for it.
ALONE = {
    "backtest": ("backtest",),
    "doctor": ("watch",),
    "graph": ("graph", "edges", "fit"),
    "topics": ("align", "infer", "repartition"),
    "drain": ("group",),
    "upgrade-check": ("upgrade",),
    "watermarks": ("watch",),
    **{
        name: (name,)
        for name in (
            "align",
            "audit",
            "calendar",
            "capture",
            "config",
            "dashboards",
            "dead",
            "export",
            "exporter",
            "group",
            "kafka",
            "late",
            "progress",
            "publish",
            "replay",
            "reset",
            "serve",
            "sql",
        )
    },
}

WITH_PANDAS: Final = ("calendar",)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        console.print(f"{NAME} {program_version()}")
        raise typer.Exit


@app.callback()
def program(
    shown_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Join market data streams as of a nanosecond: run the worker, check its rows, watch it."""
    # Without this, a program of one command would take no command's name; one that stands alone is such.


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


StreamName = Annotated[
    str | None, typer.Option("--stream", help="Input stream that the letters came from.  Default: all.")
]
Since = Annotated[
    str | None,
    typer.Option(help="Earliest record time, ISO 8601, UTC: 2024-01-15T14:30.  Default: the beginning."),
]
LISTED: Final = 50  # letters that a table shows where no limit is given
Limit = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Most letters to show, the newest; the counts are of all.  Default: 50, with --json all.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.  Default: a table.")]


def print_lines(lines: Iterable[str]) -> None:
    """Print each line as one line: cut at the edge of a terminal, whole anywhere else."""
    for line in lines:
        if console.is_terminal:
            console.print(line, markup=False, no_wrap=True, overflow="ellipsis")
        else:
            console.print(line, markup=False, soft_wrap=True)


def require_stream(names: Sequence[str], stream: str | None) -> None:
    """Raise UsageError where a stream is named that is no input."""
    if stream is not None and stream not in names:
        raise UsageError(f"--stream {stream}: the inputs are {', '.join(names)}")


def moment_ns(option: str, text: str) -> int:
    """A moment as int64 ns UTC: ISO 8601 to the nanosecond, UTC where it names no zone; raises UsageError."""
    try:
        return parse_moment(text)
    except HistoryError as wrong:
        raise UsageError(f"{option} {wrong}") from None


def say(line: str) -> None:
    """Print one line about what is going on."""
    errors.print(line, markup=False)


@contextmanager
def ended_by_signals(words: str) -> Iterator[None]:
    """Meanwhile SIGTERM and SIGINT say these words and end the process with exit 0: nothing to commit yet."""

    def end(_received: int, _frame: FrameType | None) -> None:
        say(words)
        sys.exit(0)

    before = {number: signal.signal(number, end) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is end:  # who has taken another one keeps it
                signal.signal(number, handler)


def stop_on_signals() -> Callable[[], bool]:
    """Return whether SIGTERM or SIGINT has come; the loop ends after its turn, with everything committed."""
    came: list[int] = []
    for number in STOPS:
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
    if alone != WITH_PANDAS:
        hide_pandas()
    for name in alone or MODULES:
        import_module(f"{__package__}.commands.{name}")  # registers its commands
    if alone != ALONE["align"]:  # which does so once it has its kernels
        gc.enable()
    log_to_stderr()
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False, prog_name="python -m app"))
    except typer.exceptions.TyperException as wrong:
        if told := _told(wrong):  # a group of commands that was called alone has shown its help
            errors.print(f"error: {_as_make_says(told)}", markup=False)
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except NotWrittenError as refused:
        errors.print(f"stopped: {refused}", markup=False)
        sys.exit(1)
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
        CalendarError,
        TileError,
    ) as stopped:
        errors.print(f"stopped: {stopped}", markup=False)
        sys.exit(1)


def _told(wrong: typer.exceptions.TyperException) -> str:
    """What is wrong with what was typed, in one line: the flag, its value, and what was expected."""
    flags = [flag for known in _options(wrong) for flag in known.opts]
    if hasattr(wrong, "possibilities"):  # the flags like an unknown one, by the alphabet
        unknown = str(vars(wrong)["option_name"])
        return f"No such option: {unknown}{did_you_mean(unknown, flags)}"
    option, invalid = getattr(wrong, "param", None), wrong.__cause__
    if option is None or not isinstance(invalid, ValidationError):
        return wrong.format_message()
    flag, error = option.opts[0], invalid.errors()[0]
    whole_flag = flag.removesuffix("-ns").removesuffix("-ms")
    as_duration = (lambda text: f"{whole_flag} {text}") if {flag, whole_flag} <= set(flags) else None
    wanted = expected(error, flag.lstrip("-"), as_duration)
    if getattr(option, "max", None) is not None:
        wanted = f"expected a whole number from {option.min} to {option.max}"
    return f"{flag} {error['input']!r}: {wanted}"


def _as_make_says(told: str) -> str:
    """A message with `BUS=` in place of `--bus` where the Makefile passed on what was typed."""
    if "--from-make" not in sys.argv:
        return told
    from app.day.typed import as_typed  # other commands need none of a day's modules

    return as_typed(told, by_make=True)


def _options(wrong: typer.exceptions.TyperException) -> list[Any]:
    """The options of the command that was typed."""
    context = getattr(wrong, "ctx", None)
    return [] if context is None else list(context.command.params)
