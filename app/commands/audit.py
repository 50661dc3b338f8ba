"""`audit`: aligned rows checked against the inputs, or against another run, on topics or on Parquet."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from app.audit.against import AlignedRun, differences
from app.audit.cut import read_cuts
from app.audit.files import ParquetFiles, audit_files
from app.audit.runs import MEMORY_SIZE_MIN
from app.audit.topics import audit
from app.audit.words import report_json, report_lines
from app.cli import Bootstrap, ConfigFile, app, console, say
from app.config import Settings, load_settings
from app.errors import UsageError
from app.wiring.open import open_pipeline
from app.wiring.pipeline import Pipeline
from schemas.clocks import clock_column

CONFIG_NAME: Final = "tidemark.toml"
SIZE: Final = re.compile(r"(\d+)\s*([KMGT]?)(i?B)?", re.IGNORECASE)
UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


AlignedOption = Annotated[
    Path | None,
    typer.Option(help="Aligned rows in Parquet, a folder or a file, to audit instead of the topics."),
]
LeftOption = Annotated[
    Path | None,
    typer.Option(help="Left rows in Parquet, a folder or a file, to check --aligned.  Default: unchecked."),
]
RightOption = Annotated[
    list[str] | None,
    typer.Option(help="Rows of a right stream in Parquet, NAME=PATH; once per stream, with --left."),
]
AgainstOption = Annotated[
    Path | None,
    typer.Option(
        help="Another run to compare with: its OUT folder, Parquet or settings file.  Default: none."
    ),
]
MemoryOption = Annotated[
    str, typer.Option(help="Most memory for rows held at once, such as 512MiB or 4GiB; 16MiB at least.")
]


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, every count.  Default: lines to read.")]


@app.command("audit")
def audit_command(
    config: ConfigFile = None,
    bootstrap: Bootstrap = None,
    aligned: AlignedOption = None,
    left: LeftOption = None,
    right: RightOption = None,
    against: AgainstOption = None,
    memory_max: MemoryOption = "1GiB",
    json_: JsonOption = False,
) -> None:
    """Re-check every aligned row against the inputs: right match, no look-ahead, nothing missing or twice.

    The audit has a join of its own, in Polars, and reads the topics, or Parquet with --aligned.  A pipeline
    may run meanwhile: it is audited up to its last commit, and what is beyond is counted.  --against
    compares with another run and shows the first row that differs; for --aligned without --left and --right
    it is the only check.  Exit 1 if anything is wrong, 0 if rows only wait.

    Example: python -m app audit --config build/replay/2024-01-15/tidemark.toml

    Example: python -m app audit --aligned build/replay/2024-01-15/aligned --left day/trades.parquet
    --right quote=day/quotes.parquet
    """
    memory_size_max = parse_size(memory_max)
    if aligned is None and (left is not None or right):
        raise UsageError("--left and --right name Parquet inputs: say --aligned too, or leave them out")
    opened = _topics(config, bootstrap) if aligned is None else _files(config, aligned)
    other = None if against is None else _run_at(against, bootstrap)
    report = None
    if opened.pipeline is not None:
        report = audit(opened.pipeline, read_cuts(opened.pipeline), memory_size_max=memory_size_max)
    elif left is not None or right or against is None:
        assert opened.files is not None
        inputs = _inputs(opened.settings, left, right or [])
        report = audit_files(opened.settings, opened.files, inputs, memory_size_max=memory_size_max)
    wrong = report is not None and bool(report.violations)
    if report is not None and not json_:
        for line in report_lines(report, opened.settings, of_topics=opened.pipeline is not None):
            _print(line)
    lines: list[str] | None = None
    if other is not None:
        settings = opened.settings
        lines = differences(
            opened.run,
            other,
            on=clock_column(settings.pipeline.clock),
            keys=settings.stream(settings.pipeline.left).key,
            memory_size_max=memory_size_max,
        )
        wrong = wrong or bool(lines)
        if not json_:
            for line in [*lines, f"against {other.name}: {'differs' if lines else 'alike'}"]:
                _print(line)
    if json_:
        fields = {} if report is None else report_json(report)
        typer.echo(json.dumps(fields if lines is None else {**fields, "differences": lines}))
    if wrong:
        raise typer.Exit(1)


def _print(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


def parse_size(text: str) -> int:
    """Bytes of `512MiB`, `4G`, `1000000`, in powers of 1024; raises UsageError for anything else."""
    match = SIZE.fullmatch(text.strip())
    size = int(match[1]) * UNITS[match[2].upper()] if match else 0
    if size < MEMORY_SIZE_MIN:
        raise UsageError(
            f"--memory-max {text!r}: expected a size of at least {MEMORY_SIZE_MIN >> 20}MiB, such as 1GiB"
        )
    return size


@dataclass(frozen=True, slots=True)
class _Opened:
    """What is audited: topics, or files."""

    settings: Settings
    run: AlignedRun
    pipeline: Pipeline | None = None
    files: ParquetFiles | None = None


def _topics(config: Path | None, bootstrap: str | None) -> _Opened:
    settings = load_settings(config, {"bus": {"bootstrap": bootstrap}})
    pipeline = open_pipeline(settings, on_wait=say)
    return _Opened(settings, AlignedRun.of_topics(pipeline), pipeline=pipeline)


def _files(config: Path | None, aligned: Path) -> _Opened:
    """Parquet; a replay leaves its configuration beside its aligned folder."""
    settings = load_settings(config or next(filter(Path.is_file, _beside(aligned)), None))
    files = ParquetFiles.at(aligned)
    return _Opened(settings, AlignedRun.of_files(files), files=files)


def _beside(aligned: Path) -> Iterator[Path]:
    """Where the settings of a run may be: of several days, one of which may be `aligned`, each has them."""
    yield aligned.parent / CONFIG_NAME
    out = aligned.parent.parent if aligned.name.startswith("day=") else aligned.parent
    for day in (aligned, *sorted(aligned.glob("day=*"))):
        if day.name.startswith("day="):
            yield out / day.name.removeprefix("day=") / CONFIG_NAME


def _run_at(path: Path, bootstrap: str | None) -> AlignedRun:
    if path.is_file() and path.suffix == ".toml":
        return _topics(path, bootstrap).run
    return AlignedRun.of_files(ParquetFiles.at(path / "aligned" if (path / "aligned").is_dir() else path))


def _inputs(settings: Settings, left: Path | None, rights: list[str]) -> dict[str, ParquetFiles]:
    paths = {} if left is None else {settings.pipeline.left: left}
    for text in rights:
        name, equals, path = text.partition("=")
        if not equals or name not in settings.pipeline.right:
            raise UsageError(
                f"--right {text!r}: expected NAME=PATH with NAME one of {', '.join(settings.pipeline.right)}"
            )
        paths[name] = Path(path)
    missing = [name for name in settings.stream_names if name not in paths]
    if missing:
        flags = [
            "--left PATH" if name == settings.pipeline.left else f"--right {name}=PATH" for name in missing
        ]
        raise UsageError(f"no rows given for {', '.join(missing)}: say {' '.join(flags)}")
    return {name: ParquetFiles.at(path) for name, path in paths.items()}
